"""Imports that can be taken up again."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0007_transactions")]
    operations = []
