from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    name = "documents"
    label = "baas_documents"

    def ready(self) -> None:
        from baas.kernel import projects
        from documents import configuration, tables

        projects.on_create(tables.create_schema)
        projects.on_delete(configuration.delete_all)
