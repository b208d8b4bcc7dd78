from django.apps import AppConfig


class AuthConfig(AppConfig):
    name = "auth"
    label = "baas_auth"  # `auth` is django.contrib.auth's

    def ready(self) -> None:
        from auth import users
        from baas.kernel import projects

        projects.on_delete(users.delete_all)
