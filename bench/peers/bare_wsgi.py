"""The physical limit that the data plane is measured against: WSGI and psycopg, nothing else.

Same server (Granian), same Postgres, same tables and the same SQL shape as the product: a get is
one primary-key look-up, a create writes the document and its event in one statement, a list is
one statement. No routing, principals, rules, validation, ids or problems.
"""

import os
import threading
from collections.abc import Iterable
from typing import Any

import psycopg

_local = threading.local()
TABLE = os.environ.get("BENCH_TABLE", "")
GET = f"SELECT doc::text, version FROM {TABLE} WHERE _id = %s"
LIST = f"SELECT doc::text FROM {TABLE} ORDER BY _id LIMIT 20"
CREATE = f"""
WITH written AS (
    INSERT INTO {TABLE} (_id, doc, version, owner, created_at, updated_at)
    VALUES (gen_random_uuid()::text, %s, 1, NULL, now(), now()) RETURNING _id, doc
)
INSERT INTO kernel_event (project_id, type, source, subject, data, traceparent)
SELECT 0, 'bench', '/bench', _id, doc, '' FROM written RETURNING subject
"""


def _cursor() -> Any:
    if not hasattr(_local, "connection"):
        _local.connection = psycopg.connect(os.environ["BAAS_DATABASE_URL"], autocommit=True)
    return _local.connection.cursor()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    cursor = _cursor()
    if environ["REQUEST_METHOD"] == "POST":
        document = environ["wsgi.input"].read().decode()
        body = cursor.execute(CREATE, (document,)).fetchone()[0].encode()
    elif path == "/list":
        body = b"[" + ",".join(row[0] for row in cursor.execute(LIST)).encode() + b"]"
    else:
        row = cursor.execute(GET, (path[5:],)).fetchone()
        body = row[0].encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return (body,)
