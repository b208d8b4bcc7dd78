"""The ceiling as a contender: `peers/bare_wsgi.py` on the product's own tables."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from baas.embedded.temporary import RunningStack
from bench.documents import data
from bench.documents.contender import Contender
from bench.documents.ours import Prepared
from bench.load import Target, request_bytes
from bench.stack import database_url, process, wait_for


@contextmanager
def running(stack: RunningStack, made: Prepared) -> Iterator[Contender]:
    """The bare server on the same Postgres and the same tables, for as long as the block."""
    path = stack.data_dir / "bare.sock"
    path.unlink(missing_ok=True)
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--uds", str(path)),
            *("--workers", "1", "--blocking-threads", "32", "--http", "1", "--no-ws"),
            *("--blocking-threads-idle-timeout", "600"),
            *("--log-level", "warning", "bench.peers.bare_wsgi:application"),
        ],
        env={
            **os.environ,
            "BAAS_DATABASE_URL": database_url(stack),
            "BENCH_ITEMS": made.tables["items"],
            "BENCH_OWNED": made.tables["owned"],
            "BENCH_OWNER": made.uid,
        },
    )
    try:
        wait_for(path)
        pids = {"bare": server.pid, "postgres": process(stack, "postgres")["pid"]}
        yield Contender(
            target=Target(socket_path=str(path)), requests=_requests(made.count), pids=pids
        )
    finally:
        server.terminate()
        server.wait(10)


def _requests(count: int) -> dict[str, Callable[[int], bytes]]:
    def send(method: str, path: str, body: Any = None) -> bytes:
        return request_bytes(method, path, json.dumps(body).encode() if body is not None else b"")

    def id_of(n: int) -> str:
        return f"doc{data.picked(n, count):09d}"

    return {
        "get": lambda n: send("GET", f"/get/{id_of(n)}"),
        "create": lambda n: send("POST", "/create", data.document(n, count)),
        "patch": lambda n: send("POST", f"/patch/{id_of(n)}", {"rank": n}),
        "list": lambda n: send("GET", f"/list/{data.kind(n, count)}"),
        "total": lambda n: send("GET", f"/total/{data.kind(n, count)}"),
        "rule": lambda n: send("GET", "/owned/"),
        "bulk": lambda n: send("POST", "/bulk", [data.document(n, count)] * 100),
        "count": lambda n: send("GET", f"/count/{n % data.GROUPS}"),
        "aggregate": lambda n: send("GET", "/aggregate/"),
    }
