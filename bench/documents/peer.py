"""PocketBase as a contender: the same documents and indexes, public rules where ours are open."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench.documents import data
from bench.documents.contender import Contender
from bench.load import Target, request_bytes
from bench.peers import pocketbase
from bench.peers.pocketbase import PocketBase

_FIELDS = [
    {"name": "title", "type": "text"},
    {"name": "kind", "type": "text"},
    {"name": "part", "type": "number"},
    {"name": "rank", "type": "number"},
    {"name": "done", "type": "bool"},
    {"name": "tags", "type": "json"},
    {"name": "owner", "type": "text"},
    {"name": "created", "type": "autodate", "onCreate": True},
    {"name": "updated", "type": "autodate", "onCreate": True, "onUpdate": True},
]
_USER = {"email": "user@example.com", "password": "correct horse battery"}


@contextmanager
def running(count: int) -> Iterator[Contender]:
    with pocketbase.running(_free_port()) as server:
        token = _prepare(server, count)
        yield Contender(
            target=Target(port=server.port),
            requests=_requests(count, token, server.token),
            pids={"pocketbase": server.pid},
        )


def _prepare(server: PocketBase, count: int) -> str:
    """Two collections of `count` records, batches allowed; a user's token."""
    open_to_all = dict.fromkeys(("viewRule", "createRule", "updateRule"), "")
    for name, rule, indexed in (
        ("items", "", ["kind, rank"]),
        ("owned", "owner = @request.auth.id", ["owner, id", "part"]),
    ):
        indexes = [f"CREATE INDEX {name}_{i} ON {name} ({of})" for i, of in enumerate(indexed)]
        collection = {"name": name, "type": "base", "fields": _FIELDS, "indexes": indexes}
        server.call("POST", "collections", {**collection, **open_to_all, "listRule": rule})
    server.call("PATCH", "settings", {"batch": {"enabled": True, "maxRequests": 100}})
    server.call(
        "POST", "collections/users/records", {**_USER, "passwordConfirm": _USER["password"]}
    )
    reply = server.call(
        "POST",
        "collections/users/auth-with-password",
        {"identity": _USER["email"], "password": _USER["password"]},
    )
    for name in ("items", "owned"):
        _load(server, name, count, reply["record"]["id"])
    server.execute("ANALYZE")
    return str(reply["token"])


def _load(server: PocketBase, table: str, count: int, uid: str) -> None:
    at = f"'{time.strftime('%Y-%m-%d %H:%M:%S.000Z', time.gmtime())}'"
    columns = "id, title, kind, part, rank, done, tags, owner, created, updated"
    values = (
        f"printf('doc%012d', n), {data.TITLE}, {data.kind_sql(count)}, {data.PART}, {data.RANK},"
        f' FALSE, \'["a","b"]\', {data.owner(count, uid)}, {at}, {at}'
    )
    server.execute(
        "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers"
        f" WHERE n < {count - 1}) INSERT INTO {table} ({columns}) SELECT {values} FROM numbers"
    )


def _requests(count: int, token: str, superuser: str) -> dict[str, Callable[[int], bytes]]:
    items = "/api/collections/items/records"
    owned = "/api/collections/owned/records"

    def send(method: str, path: str, body: Any = None, bearer: str = "") -> bytes:
        content = json.dumps(body).encode() if body is not None else b""
        headers = {"Authorization": bearer} if bearer else {}
        return request_bytes(method, path, content, headers)

    def id_of(n: int) -> str:
        return f"doc{data.picked(n, count):012d}"

    def page(n: int) -> str:
        return f"{items}?filter=(kind=%27{data.kind(n, count)}%27)&sort=-rank,-id&perPage=20"

    def batch(n: int) -> dict[str, Any]:
        one = {"method": "POST", "url": items, "body": data.document(n, count)}
        return {"requests": [one] * 100}

    # There is no aggregation.
    return {
        "get": lambda n: send("GET", f"{items}/{id_of(n)}"),
        "create": lambda n: send("POST", items, data.document(n, count)),
        "patch": lambda n: send("PATCH", f"{items}/{id_of(n)}", {"rank": n}),
        "list": lambda n: send("GET", page(n) + "&skipTotal=1"),
        "total": lambda n: send("GET", page(n)),
        "rule": lambda n: send("GET", f"{owned}?perPage=20&sort=id&skipTotal=1", bearer=token),
        "count": lambda n: send(
            "GET", f"{owned}?filter=(part={n % data.GROUPS})&perPage=1", bearer=superuser
        ),
        "bulk": lambda n: send("POST", "/api/batch", batch(n)),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
