from django.apps import AppConfig


class FunctionsConfig(AppConfig):
    name = "functions"
    label = "baas_functions"

    def ready(self) -> None:
        from baas.kernel import health, metrics, projects
        from functions import hosting, removal
        from functions.events.metrics import Ledger

        projects.on_delete(removal.delete_project)
        health.register("function_host", hosting.check)
        metrics.register_live(Ledger())
