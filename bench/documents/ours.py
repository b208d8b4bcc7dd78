"""The product as a contender: an end user's token, rules that really run, declared indexes."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import psycopg

from baas.embedded.temporary import RunningStack
from bench.documents import data
from bench.documents.contender import Contender
from bench.load import Target, request_bytes
from bench.stack import database_url, pids, process

RULES = {"create": "authenticated", "update": "authenticated"}


@dataclass(frozen=True, kw_only=True)
class Prepared:
    base: str  # the path of the project
    user: dict[str, str]  # headers of an end user
    key: dict[str, str]  # headers with the secret key, which no rule binds
    tables: dict[str, str]  # collection → its table, quoted
    uid: str
    count: int


def prepare(stack: RunningStack, count: int) -> Prepared:
    """A project with `count` documents in `items` (open) and in `owned` (rule `owner`)."""
    operator = json.loads((stack.data_dir / "operator.json").read_text())["token"]
    slug = f"bench-{time.monotonic_ns():x}"
    base = f"/v1/projects/{slug}"
    with httpx.Client(base_url=stack.url, timeout=60) as http:

        def call(method: str, path: str, bearer: str, body: Any) -> Any:
            headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
            return http.request(method, path, json=body, headers=headers).raise_for_status().json()

        key = call("POST", "/v1/admin/projects", operator, {"slug": slug})["secret_key"]
        for name, read, fields in (
            ("items", "authenticated", ["kind", "-rank"]),
            ("owned", "owner", ["part"]),
        ):
            declared = {"rules": {**RULES, "read": read}, "indexes": [{"fields": fields}]}
            call("PUT", f"{base}/collections/{name}", key, declared)
        credentials = {"email": "bench@example.com", "password": "correct horse battery"}
        signed_up = call("POST", f"{base}/auth/sign-up", "", credentials)
    uid = signed_up["user"]["id"]
    with psycopg.connect(database_url(stack), autocommit=True) as connection:
        tables = _tables(connection, slug)
        for table in tables.values():
            _load(connection, table, count, uid)
    return Prepared(
        base=base,
        user={"Authorization": f"Bearer {signed_up['access_token']}"},
        key={"Authorization": f"Bearer {key}"},
        tables=tables,
        uid=uid,
        count=count,
    )


def contender(stack: RunningStack, made: Prepared, *, direct: bool = False) -> Contender:
    """Through the public port, or straight to the web process (`direct`)."""
    target = Target(port=int(stack.url.rsplit(":", 1)[1]))
    if direct:
        target = Target(socket_path=process(stack, "web")["socket"])
    return Contender(target=target, requests=_requests(made), pids=pids(stack))


def _requests(made: Prepared) -> dict[str, Callable[[int], bytes]]:
    items, owned = f"{made.base}/db/items", f"{made.base}/db/owned"

    def send(
        method: str, path: str, body: Any = None, headers: dict[str, str] = made.user
    ) -> bytes:
        content = json.dumps(body).encode() if body is not None else b""
        return request_bytes(method, path, content, headers)

    def id_of(n: int) -> str:
        return f"doc{data.picked(n, made.count):09d}"

    def page(n: int) -> str:
        kind = quote(json.dumps({"kind": data.kind(n, made.count)}))
        return f"{items}/docs?filter={kind}&sort=-rank&limit=20"

    # A tenth of the documents: 100 k of a million.
    pipeline = [
        {"$match": {"part": {"$in": list(range(data.GROUPS // 10))}}},
        {"$group": {"_id": "$part", "n": {"$sum": 1}, "top": {"$max": "$rank"}}},
    ]
    return {
        "get": lambda n: send("GET", f"{items}/docs/{id_of(n)}"),
        "create": lambda n: send("POST", f"{items}/docs", data.document(n, made.count)),
        "patch": lambda n: send("PATCH", f"{items}/docs/{id_of(n)}", {"$set": {"rank": n}}),
        "list": lambda n: send("GET", page(n)),
        "total": lambda n: send("GET", page(n) + "&count=true"),
        "rule": lambda n: send("GET", f"{owned}/docs?limit=20"),
        "bulk": lambda n: send("POST", f"{items}/docs", [data.document(n, made.count)] * 100),
        "count": lambda n: send(
            "POST", f"{owned}/count", {"filter": {"part": n % data.GROUPS}}, made.key
        ),
        "aggregate": lambda n: send("POST", f"{owned}/aggregate", {"pipeline": pipeline}, made.key),
    }


def _tables(connection: psycopg.Connection[Any], slug: str) -> dict[str, str]:
    rows = connection.execute(
        "SELECT c.name, format('%%I.%%I', 'p_' || p.id, t.relname) FROM documents_collection c"
        " JOIN kernel_project p ON p.id = c.project_id JOIN pg_class t"
        " ON t.relnamespace = to_regnamespace('p_' || p.id)"
        " AND t.relname = c.name || '_' || c.id WHERE p.slug = %s",
        (slug,),
    ).fetchall()
    return dict(rows)


def _load(connection: psycopg.Connection[Any], table: str, count: int, uid: str) -> None:
    """By SQL: a million through the interface would take longer than the whole benchmark."""
    fields = (
        f"'title', {data.TITLE}, 'kind', {data.kind_sql(count)}, 'part', {data.PART},"
        f" 'rank', {data.RANK}"
    )
    statement = (
        f"INSERT INTO {table} (_id, doc, owner) SELECT 'doc' || lpad(n::text, 9, '0'),"
        f" jsonb_build_object({fields}, 'done', false, 'tags', '[\"a\", \"b\"]'::jsonb),"
        f" {data.owner(count, uid)} FROM generate_series(0, {count - 1}) AS n"
    )
    connection.execute(statement.replace("n * 7919", "n::bigint * 7919").encode())
    connection.execute(f"VACUUM ANALYZE {table}".encode())
