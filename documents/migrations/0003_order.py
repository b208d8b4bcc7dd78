"""The order of all values as one text."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0002_functions")]
    operations = []
