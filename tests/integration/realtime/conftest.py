"""A real realtime process on the session's database, and a client that speaks its protocol."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from tests.installation import Client, TestProject

ROOT = Path(__file__).resolve().parents[3]
# Frames that must not come are waited for this long; those that must come, much longer.
SILENCE_S = 0.4
PATIENCE_S = 10.0


class Server:
    """A uvicorn process as the stack starts it."""

    def __init__(self, database_url: str, log: Path) -> None:
        self._environ = {**os.environ, "BAAS_DATABASE_URL": database_url}
        self._log = log
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text()

    def start(self, **environ: str) -> None:
        self._environ |= environ
        argv = [sys.executable, "-m", "uvicorn", "baas.asgi:application"]
        argv += ["--host", "127.0.0.1", "--port", str(self.port), "--ws-max-size", "1048576"]
        argv += ["--ws-per-message-deflate", "false", "--timeout-graceful-shutdown", "5"]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                argv, cwd=ROOT, env=self._environ, stdout=output, stderr=output
            )
        deadline = time.monotonic() + 30
        while True:
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)

    def stop(self) -> int:
        """The exit status after SIGTERM; killed when it takes too long."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


class Socket:
    """One websocket; frames are dicts. Replies and pushed frames come as they come."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.last_token = ""
        self._next = 0
        self._kept: list[dict[str, Any]] = []

    def send(self, **frame: Any) -> int:
        self._next += 1
        self.ws.send(json.dumps({"id": self._next, **frame}))
        return self._next

    def receive(self, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """The next frame; TimeoutError when none comes."""
        if self._kept:
            return self._kept.pop(0)
        frame: dict[str, Any] = json.loads(self.ws.recv(timeout_s))
        return frame

    def ask(self, **frame: Any) -> dict[str, Any]:
        """The reply to a frame; what else comes in between is kept for `receive`."""
        id_ = self.send(**frame)
        seen = []
        while True:
            reply = self.receive()
            if reply.get("re") == id_:
                self._kept = seen + self._kept
                return reply
            seen.append(reply)

    def subscribe(self, collection: str = "notes", **frame: Any) -> str:
        """The name of a new subscription; its first frame is the next to be received."""
        reply = self.ask(op="subscribe", channel="db", collection=collection, **frame)
        assert reply.get("ok") is True, reply
        name: str = reply["sub"]
        return name

    def watch(self, collection: str = "notes", **frame: Any) -> list[dict[str, Any]]:
        """Subscribe; the documents of the snapshot."""
        name = self.subscribe(collection, **frame)
        snapshot = self.receive()
        assert (snapshot["sub"], snapshot["type"]) == (name, "snapshot"), snapshot
        docs: list[dict[str, Any]] = snapshot["docs"]
        self.last_token = snapshot["token"]
        return docs

    def changes(self) -> list[dict[str, Any]]:
        """The changes of the next frame, which must be a change frame."""
        frame = self.receive()
        assert frame["type"] == "change", frame
        self.last_token = frame["token"]
        changes: list[dict[str, Any]] = frame["changes"]
        return changes

    def expect_silence(self) -> None:
        with pytest.raises(TimeoutError):
            raise AssertionError(self.receive(SILENCE_S))

    def expect_close(self) -> tuple[int, str]:
        """(code, reason) of the close that follows."""
        with pytest.raises(ConnectionClosedError):
            deque(self.ws, maxlen=0)  # read to the end
        assert self.ws.close_code is not None
        return self.ws.close_code, self.ws.close_reason or ""


Connect = Callable[..., Socket]


@pytest.fixture(scope="session")
def test_database_url(migrated: None) -> str:
    """The session's test database as BAAS_DATABASE_URL names it."""
    from django.db import connection

    parts = urlsplit(os.environ["BAAS_DATABASE_URL"])
    name = connection.settings_dict["NAME"]
    return urlunsplit(parts._replace(path=f"/{quote(str(name))}"))


@pytest.fixture(scope="session")
def server(test_database_url: str, redis_url: str, session_dir: Path) -> Iterator[Server]:
    """The process that most tests share."""
    server = Server(test_database_url, session_dir / "realtime.log")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_server(
    test_database_url: str, redis_url: str, installation: None, tmp_path: Path
) -> Iterator[Server]:
    """A process of one's own, to be broken. Not started."""
    server = Server(test_database_url, tmp_path / "realtime.log")
    yield server
    if server._process is not None and server._process.poll() is None:
        server.kill()


@pytest.fixture
def url(server: Server, server_log: None, project: TestProject) -> str:
    return f"ws://127.0.0.1:{server.port}{project.path}/realtime"


@pytest.fixture
def open_socket(url: str) -> Iterator[Connect]:
    """Connects to the test's project: `open_socket(token)`."""
    with ExitStack() as stack:

        def make(token: str | None = None, *, to: str = "", **options: Any) -> Socket:
            address = to or url
            if token is not None:
                address += f"?token={token}"
            options = {"max_size": None, "max_queue": None, "compression": None} | options
            opened = connect(address, **options)
            return Socket(stack.enter_context(opened))

        yield make


class Notes:
    """The collection `notes`, written by the project's secret key."""

    def __init__(self, client: Client, project: TestProject) -> None:
        self.client = client
        self.project = project
        self.token = project.secret_key

    def declare(self, read: str = "public", name: str = "notes", **declared: Any) -> None:
        rules = {"read": read, "create": "public", "update": "public", "delete": "public"}
        reply = self.client.put(
            f"{self.project.path}/collections/{name}",
            {"rules": rules, **declared},
            token=self.project.secret_key,
        )
        assert reply.status in (200, 201), reply

    def create(self, id: str, token: str | None = None, name: str = "notes", **fields: Any) -> None:
        reply = self.client.post(
            f"{self.project.path}/db/{name}/docs",
            {"_id": id, **fields},
            token=token or self.project.secret_key,
        )
        assert reply.status == 201, reply

    def patch(self, id: str, **fields: Any) -> None:
        reply = self.client.patch(
            f"{self.project.path}/db/notes/docs/{id}", fields, token=self.project.secret_key
        )
        assert reply.status == 200, reply

    def delete(self, id: str) -> None:
        reply = self.client.delete(
            f"{self.project.path}/db/notes/docs/{id}", token=self.project.secret_key
        )
        assert reply.status == 204, reply


@pytest.fixture
def notes(client: Client, project: TestProject) -> Notes:
    """Public, unless declared otherwise."""
    notes = Notes(client, project)
    notes.declare()
    return notes


@pytest.fixture
def sign_up(client: Client, project: TestProject) -> Callable[[str], dict[str, Any]]:
    """Makes a user: the grant with tokens and user."""

    def make(name: str) -> dict[str, Any]:
        reply = client.post(
            f"{project.path}/auth/sign-up",
            {"email": f"{name}@example.com", "password": "correct horse battery"},
        )
        assert reply.status == 201, reply
        grant: dict[str, Any] = reply.json
        return grant

    return make


def ids(documents: list[dict[str, Any]]) -> list[str]:
    return [document["_id"] for document in documents]


def steps(changes: list[dict[str, Any]]) -> list[tuple[str, str, int, int]]:
    return [(c["op"], c["id"], c["old_index"], c["new_index"]) for c in changes]


@pytest.fixture
def server_log(server: Server) -> Iterator[None]:
    """What the process says during a test is shown when the test fails."""
    before = len(server.log)
    yield
    print(server.log[before:])
