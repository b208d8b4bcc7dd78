"""Interactive transactions."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0006_collections")]
    operations = []
