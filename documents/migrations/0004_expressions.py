"""SQL functions of aggregation expressions: one file for each family, in sql/."""

import re
from pathlib import Path

from django.db import migrations

FAMILIES = (
    "values",
    "strings",
    "regexes",
    "zones",
    "dates",
    "date_texts",
    "calendar",
    "conversion",
    "arithmetic",
    "arrays",
    "sets",
    "objects",
    "accumulators",
    "pipelines",
)
FORWARD = "\n".join(
    (Path(__file__).parent / "sql" / f"0004_{family}.sql").read_text() for family in FAMILIES
)
# No name has two functions, so a name is enough.
BACKWARD = "\n".join(
    f"DROP {kind} {name}{'(int)' if kind == 'AGGREGATE' else ''};"
    for kind, name in reversed(re.findall(r"CREATE (FUNCTION|AGGREGATE) (\w+)\(", FORWARD))
)


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0003_order")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
