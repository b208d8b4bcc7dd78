"""SQL functions of geometry on the sphere."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0004_expressions")]
    operations = []
