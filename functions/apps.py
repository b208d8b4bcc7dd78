from django.apps import AppConfig


class FunctionsConfig(AppConfig):
    name = "functions"
    label = "baas_functions"

    def ready(self) -> None:
        from auth import lockout, sessions
        from baas.kernel import health, metrics, projects
        from documents import expiry
        from documents.indexes import builder
        from documents.transactions import store as transactions
        from documents.transfer import progress as imports
        from functions import hosting, removal
        from functions.events import housekeeping
        from functions.events.metrics import Ledger
        from storage import sweeps

        projects.on_delete(removal.delete_project)
        health.register("function_host", hosting.check)
        metrics.register_live(Ledger())
        housekeeping.register("ended sessions", sessions.sweep)
        housekeeping.register("failed sign-ins", lockout.sweep)
        housekeeping.register("expired transactions", transactions.sweep)
        housekeeping.register("old imports", imports.sweep)
        housekeeping.register("bytes without an object", sweeps.start)
        housekeeping.register("expired documents", expiry.sweep, every_minute=True)
        housekeeping.register("indexes to build", builder.sweep, every_minute=True)
