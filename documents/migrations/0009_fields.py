"""Fields that rules hide."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0008_transfers")]
    operations = []
