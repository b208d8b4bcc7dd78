"""What collections declare."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0005_geo")]
    operations = []
