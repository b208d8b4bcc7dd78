"""Buckets and the metadata of objects."""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = """
-- An upload into a bucket that is being deleted fails instead of leaving an object without one.
ALTER TABLE storage_object ADD CONSTRAINT storage_object_bucket
    FOREIGN KEY (project_id, bucket) REFERENCES storage_bucket (project_id, name);
"""
BACKWARD = "ALTER TABLE storage_object DROP CONSTRAINT storage_object_bucket"


class Migration(migrations.Migration):
    initial = True
    dependencies = [("kernel", "0002_events")]
    operations = [
        migrations.CreateModel(
            name="Bucket",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "project", "name", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.TextField(db_collation="C")),
                ("public", models.BooleanField()),
                ("rules", models.JSONField()),
                ("max_size", models.BigIntegerField()),
                ("allowed_types", models.JSONField()),
                ("cache_control", models.TextField(null=True)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="kernel.project",
                    ),
                ),
            ],
            options={"db_table": "storage_bucket"},
        ),
        migrations.CreateModel(
            name="StoredObject",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "project_id", "bucket", "path", blank=True, editable=False, primary_key=True,
                        serialize=False,
                    ),
                ),
                ("project_id", models.BigIntegerField()),
                ("bucket", models.TextField(db_collation="C")),
                ("path", models.TextField(db_collation="C")),
                ("version", models.TextField(db_collation="C")),
                ("size", models.BigIntegerField()),
                ("content_type", models.TextField()),
                ("etag", models.TextField()),
                ("sha256", models.TextField()),
                ("owner", models.TextField(null=True)),
                ("metadata", models.JSONField()),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "db_table": "storage_object",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project_id", "version"), name="storage_object_version"
                    )
                ],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
