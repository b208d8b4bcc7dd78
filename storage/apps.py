from django.apps import AppConfig


class StorageConfig(AppConfig):
    name = "storage"
    label = "baas_storage"

    def ready(self) -> None:
        from baas.kernel import health, projects
        from storage import backends, service

        projects.on_delete(service.delete_project)
        health.register("object_store", lambda: backends.default().check())
