from django.apps import AppConfig


class KernelConfig(AppConfig):
    name = "baas.kernel"
    label = "kernel"
