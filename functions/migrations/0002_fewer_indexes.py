"""A delivery is written four times in its life: it carries only the indexes that are read."""

from django.db import migrations

# Django adds it for LIKE on text keys; nobody searches deliveries by a part of their id.
LIKE = "functions_delivery_id_98ac4fa4_like"


class Migration(migrations.Migration):
    dependencies = [("baas_functions", "0001_initial")]

    operations = [
        migrations.RemoveIndex(model_name="delivery", name="delivery_function"),
        migrations.RemoveIndex(model_name="invocation", name="invocation_project"),
        migrations.RunSQL(
            f"DROP INDEX IF EXISTS {LIKE}",
            f"CREATE INDEX {LIKE} ON functions_delivery (id text_pattern_ops)",
        ),
    ]
