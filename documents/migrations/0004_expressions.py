"""SQL functions of aggregation expressions."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0003_order")]
    operations = []
