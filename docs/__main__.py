"""`make docs`: writes the pages that are made from the code (`docs/reference/http.md`)."""

import os
from pathlib import Path

import django

HTTP = Path(__file__).parent / "reference" / "http.md"
_HEAD = """# HTTP interface

Every address of the server, from its OpenAPI document (`GET /v1/openapi.json`, which has the
shapes). Written by `make docs`; a test keeps it true. Errors are RFC 9457 problems:
[problems](problems.md).

"""


def http_page() -> str:
    """The page's text. Needs Django to be set up."""
    from baas.openapi import document

    lines = [_HEAD + "| method | address | what |", "|---|---|---|"]
    for path, operations in sorted(document()["paths"].items()):
        for method, operation in operations.items():
            what = operation.get("summary") or operation.get("description") or ""
            first = what.strip().splitlines()[0] if what.strip() else operation["operationId"]
            lines.append(f"| {method.upper()} | `{path}` | {first} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    # Only looks at the code: no server is asked, so any values do.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "baas.settings")
    os.environ.setdefault("BAAS_SECRET_KEY", "only-to-read-the-settings-no-secret-at-all")
    os.environ.setdefault("BAAS_DATABASE_URL", "postgresql://nobody@/nothing")
    django.setup()
    HTTP.write_text(http_page())


if __name__ == "__main__":
    main()
