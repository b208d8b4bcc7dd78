from typing import ClassVar

from django.db import models

from baas.kernel.models import Project


class Collection(models.Model):
    """What a project says of one of its collections. The documents are in a table of their own."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    name = models.TextField()
    rules = models.JSONField(default=dict)  # action -> CEL source; an absent one is closed
    schema = models.JSONField(null=True)  # JSON Schema 2020-12 of the user's fields
    indexes = models.JSONField(default=list)  # see indexes.spec.Index
    dropped_indexes = models.JSONField(default=list)  # names in PostgreSQL, still to be removed
    ttl_field = models.TextField(null=True)  # noqa: DJ001 - null is "none", "" would be a name
    ttl_seconds = models.BigIntegerField(default=0)
    max_docs = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "documents_collection"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "name"], name="documents_collection_name")
        ]

    def __str__(self) -> str:
        return self.name
