"""Document get, create and list through HTTP: against bare WSGI + psycopg and PocketBase.

All three serve the same document from this machine in the same run, each alone in its turn; the
client is the same. Bare WSGI runs the same SQL on the same Postgres under the same server
(`peers/bare_wsgi.py`), so the ratio to it is the price of everything the product adds.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg

from baas.embedded.temporary import RunningStack
from bench.load import Load, Target, drive, request_bytes
from bench.peers import pocketbase
from bench.report import Row, ms, rate

CONNECTIONS = 16
ROUNDS = 3
SECONDS = 3.0
DOCUMENT = {"title": "a note about nothing much", "done": False, "rank": 3, "tags": ["a", "b"]}
BODY = json.dumps(DOCUMENT).encode()


def measure(stack: RunningStack) -> list[Row]:
    """Rows for the table; takes about a minute and a half."""
    operator = json.loads((stack.data_dir / "operator.json").read_text())
    project, user_token, document_id = _prepare(stack.url, operator["token"])
    ours = Target(port=int(stack.url.rsplit(":", 1)[1]))
    direct = Target(socket_path=_process_socket(stack, "web"))
    base = f"/v1/projects/{project}/db/notes"
    user = {"Authorization": f"Bearer {user_token}"}
    requests = {
        "get": request_bytes("GET", f"{base}/docs/{document_id}", headers=user),
        "list": request_bytes("GET", f"{base}/docs?limit=20", headers=user),
        "create": request_bytes("POST", f"{base}/docs", BODY, user),
    }
    with _bare(stack, project) as (bare, bare_id), pocketbase.running(_free_port()) as record:
        bare_requests = {
            "get": request_bytes("GET", f"/get/{bare_id}"),
            "list": request_bytes("GET", "/list"),
            "create": request_bytes("POST", "/create", BODY),
        }
        records = "/api/collections/notes/records"
        peer_requests = {
            "get": request_bytes("GET", f"{records}/{record.id}"),
            "list": request_bytes("GET", f"{records}?perPage=20"),
            "create": request_bytes("POST", records, BODY),
        }
        rows = []
        for operation in ("get", "create", "list"):
            turns: dict[str, Callable[[], Load]] = {
                "ours": lambda op=operation: _turn(ours, requests[op]),  # type: ignore[misc]
                "direct": lambda op=operation: _turn(direct, requests[op]),  # type: ignore[misc]
                "bare": lambda op=operation: _turn(bare, bare_requests[op]),  # type: ignore[misc]
                "peer": lambda op=operation: _turn(  # type: ignore[misc]
                    Target(port=record.port), peer_requests[op]
                ),
            }
            best = _alternate(turns)
            name = operation if operation != "list" else "list of 20"
            rows += [
                _row(f"{name}, public port, vs PocketBase", best["ours"], best["peer"]),
                _row(f"{name}, web process, vs bare WSGI", best["direct"], best["bare"]),
            ]
        return rows


def _turn(target: Target, request: bytes) -> Load:
    return drive(target, lambda _: request, seconds=SECONDS, connections=CONNECTIONS)


def _alternate(turns: dict[str, Callable[[], Load]]) -> dict[str, Load]:
    """The median run of each, taken in turn so that a slow minute hits all of them."""
    runs: dict[str, list[Load]] = {name: [] for name in turns}
    for _ in range(ROUNDS):
        for name, turn in turns.items():
            runs[name].append(turn())
    return {name: sorted(found, key=lambda r: r.rate)[ROUNDS // 2] for name, found in runs.items()}


def _row(what: str, ours: Load, peer: Load) -> Row:
    return Row(
        what=what,
        ours=f"{rate(ours.rate)} (p99 {ms(ours.percentile_ms(0.99))})",
        peer=f"{rate(peer.rate)} (p99 {ms(peer.percentile_ms(0.99))})",
        ratio=f"{ours.rate / peer.rate:.2f}",
    )


def _prepare(url: str, token: str) -> tuple[str, str, str]:
    """(project, an end user's access token, a document's id): rules that really run."""
    project = f"bench-{int(time.time())}"
    with httpx.Client(base_url=url, timeout=30) as http:

        def call(method: str, path: str, bearer: str, body: object) -> httpx.Response:
            headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
            reply = http.request(method, path, json=body, headers=headers)
            reply.raise_for_status()
            return reply

        made = call("POST", "/v1/admin/projects", token, {"slug": project}).json()
        rules = {"read": "owner", "create": "authenticated", "update": "owner", "delete": "owner"}
        base = f"/v1/projects/{project}"
        call("PUT", f"{base}/collections/notes", made["secret_key"], {"rules": rules})
        credentials = {"email": "bench@example.com", "password": "correct horse battery"}
        user = call("POST", f"{base}/auth/sign-up", "", credentials).json()["access_token"]
        for _ in range(200):
            document = call("POST", f"{base}/db/notes/docs", user, DOCUMENT).json()
    return project, user, document["_id"]


@contextmanager
def _bare(stack: RunningStack, project: str) -> Iterator[tuple[Target, str]]:
    """The bare server on a table of the same shape, on the stack's own Postgres."""
    database = _database_url(stack)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            'CREATE TABLE IF NOT EXISTS bench_notes (_id text COLLATE "C" PRIMARY KEY,'
            " doc jsonb NOT NULL, version bigint NOT NULL, owner text,"
            " created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL)"
        )
        connection.execute(
            "INSERT INTO bench_notes SELECT 'note' || n, %s, 1, NULL, now(), now()"
            " FROM generate_series(1, 200) n ON CONFLICT DO NOTHING",
            (BODY.decode(),),
        )
    path = stack.data_dir / "bare.sock"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--uds", str(path)),
            *("--workers", "1", "--blocking-threads", "32", "--http", "1", "--no-ws"),
            *("--log-level", "warning", "bench.peers.bare_wsgi:application"),
        ],
        env={**os.environ, "BAAS_DATABASE_URL": database, "BENCH_TABLE": "bench_notes"},
    )
    try:
        _wait_for(path)
        yield Target(socket_path=str(path)), "note7"
    finally:
        process.terminate()
        process.wait(10)


def _database_url(stack: RunningStack) -> str:
    """From the environment of the running web process: the stack keeps its password to itself."""
    pid = _process(stack, "web")["pid"]
    for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name == b"BAAS_DATABASE_URL":
            return value.decode()
    raise RuntimeError("the web process has no BAAS_DATABASE_URL")


def _process(stack: RunningStack, name: str) -> dict[str, object]:
    for entry in json.loads((stack.data_dir / "run.json").read_text())["processes"]:
        if entry["name"] in (name, f"{name}-1"):
            return dict(entry)
    raise RuntimeError(f"run.json has no {name}")


def _process_socket(stack: RunningStack, name: str) -> str:
    return str(_process(stack, name)["socket"])


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            if path.exists() and probe.connect_ex(str(path)) == 0:
                return
        if time.monotonic() > deadline:
            raise RuntimeError("the bare server did not start")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
