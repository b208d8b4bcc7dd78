"""The tables, for migrations. Everything that runs per request speaks SQL (`storage.sql`)."""

from django.db import models


class Bucket(models.Model):
    """A named place for objects, with its rules and limits."""

    pk = models.CompositePrimaryKey("project", "name")
    project = models.ForeignKey("kernel.Project", on_delete=models.CASCADE, related_name="+")
    name = models.TextField(db_collation="C")
    public = models.BooleanField()
    rules = models.JSONField()
    max_size = models.BigIntegerField()  # bytes
    allowed_types = models.JSONField()  # globs; empty: every type
    cache_control = models.TextField(null=True)  # noqa: DJ001 - null: our default
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "storage_bucket"

    def __str__(self) -> str:
        return self.name


class StoredObject(models.Model):
    """What is known of an object; its bytes are in the object store under `version`."""

    pk = models.CompositePrimaryKey("project_id", "bucket", "path")
    project_id = models.BigIntegerField()
    # Byte order, so that prefixes are ranges of the primary key's index.
    bucket = models.TextField(db_collation="C")
    path = models.TextField(db_collation="C")
    version = models.TextField(db_collation="C")
    size = models.BigIntegerField()  # bytes
    content_type = models.TextField()
    etag = models.TextField()  # MD5 in hex, as S3 clients expect
    sha256 = models.TextField()  # hex
    owner = models.TextField(null=True)  # noqa: DJ001 - null in rules too: nobody
    metadata = models.JSONField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "storage_object"
        constraints = [
            models.UniqueConstraint(fields=["project_id", "version"], name="storage_object_version")
        ]

    def __str__(self) -> str:
        return f"{self.bucket}/{self.path}"
