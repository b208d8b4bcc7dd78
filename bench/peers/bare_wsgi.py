"""The physical limit that the data plane is measured against: WSGI and psycopg, nothing else.

Same server (Granian), same Postgres, the same tables and indexes as the product, and one statement
for each request: a get is one primary-key look-up, a write brings its event along, a list reads
the index. No routing, principals, rules, validation, ids or problems. One connection per thread.
"""

import os
import threading
from collections.abc import Iterable
from typing import Any, LiteralString

import psycopg

_local = threading.local()
ITEMS = os.environ.get("BENCH_ITEMS", "")
OWNED = os.environ.get("BENCH_OWNED", "")
OWNER = os.environ.get("BENCH_OWNER", "")
# As a declared index on `kind, -rank` has it.
_KIND = (
    "(documents_sort_text(doc -> 'kind') COLLATE \"C\") = '3' || %s"
    " AND documents_sort_number(doc -> 'kind') = 0"
)
_RANKED = (
    "(documents_sort_text(doc -> 'rank') COLLATE \"C\") DESC,"
    " (documents_sort_number(doc -> 'rank')) DESC"
)
_EVENT = (
    " INSERT INTO kernel_event (project_id, type, source, subject, data, traceparent)"
    " SELECT 0, 'bench', '/bench', _id, doc, '' FROM written"
)
GET = f"SELECT doc::text, version FROM {ITEMS} WHERE _id = %s"
LIST = f"SELECT doc::text FROM {ITEMS} WHERE {_KIND} ORDER BY {_RANKED}, _id DESC LIMIT 20"
COUNT = f"SELECT count(*)::text FROM {ITEMS} WHERE {_KIND}"
RULE = f"SELECT doc::text FROM {OWNED} WHERE owner = '{OWNER}' ORDER BY _id LIMIT 20"
CREATE = (
    f"WITH written AS (INSERT INTO {ITEMS} (_id, doc) VALUES (gen_random_uuid()::text, %s)"
    f" RETURNING _id, doc), event AS ({_EVENT}) SELECT doc::text FROM written"
)
PATCH = (
    f"WITH written AS (UPDATE {ITEMS} SET doc = doc || %s, version = version + 1,"
    f" updated_at = now() WHERE _id = %s RETURNING _id, doc), event AS ({_EVENT})"
    " SELECT doc::text FROM written"
)
BULK = (
    f"WITH written AS (INSERT INTO {ITEMS} (_id, doc) SELECT gen_random_uuid()::text, item"
    f" FROM jsonb_array_elements(%s) AS item RETURNING _id, doc), event AS ({_EVENT})"
    " SELECT doc::text FROM written"
)
_PART = (
    "(documents_sort_text(doc -> 'part') COLLATE \"C\") = '2'"
    " AND documents_sort_number(doc -> 'part')"
)
COUNT_PART = f"SELECT count(*)::text FROM {OWNED} WHERE {_PART} = %s::text::numeric"
AGGREGATE = (
    "SELECT json_build_object('part', doc -> 'part', 'n', count(*),"
    f" 'top', max(documents_sort_number(doc -> 'rank')))::text FROM {OWNED}"
    f" WHERE {_PART} = ANY(ARRAY(SELECT n::numeric FROM generate_series(0, 9) n))"
    " GROUP BY doc -> 'part'"
)


def _run(statement: LiteralString, *values: str) -> list[str]:
    if not hasattr(_local, "connection"):
        _local.connection = psycopg.connect(
            os.environ["BAAS_DATABASE_URL"], autocommit=True, prepare_threshold=1
        )
    return [row[0] for row in _local.connection.cursor().execute(statement, values)]


def _answer(operation: str, argument: str, body: str) -> str:
    match operation:
        case "get":
            return _run(GET, argument)[0]
        case "list":
            return f"[{','.join(_run(LIST, argument))}]"
        case "total":
            return f"[{_run(COUNT, argument)[0]},{','.join(_run(LIST, argument))}]"
        case "owned":
            return f"[{','.join(_run(RULE))}]"
        case "count":
            return _run(COUNT_PART, argument)[0]
        case "create":
            return _run(CREATE, body)[0]
        case "patch":
            return _run(PATCH, body, argument)[0]
        case "bulk":
            return f"[{','.join(_run(BULK, body))}]"
        case _:
            return f"[{','.join(_run(AGGREGATE))}]"


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    operation, _, argument = environ["PATH_INFO"][1:].partition("/")
    body = ""
    if environ["REQUEST_METHOD"] == "POST":
        body = environ["wsgi.input"].read().decode()
    answer = _answer(operation, argument, body).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
    start_response("200 OK", headers)
    return (answer,)
