from django.apps import AppConfig


class FunctionsConfig(AppConfig):
    name = "functions"
    label = "baas_functions"
