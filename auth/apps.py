from django.apps import AppConfig


class AuthConfig(AppConfig):
    name = "auth"
    label = "baas_auth"  # `auth` is django.contrib.auth's
