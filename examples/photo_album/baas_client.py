"""A small client for the example: HTTP with patient retries, and one live query.

A server process may be killed and restarted at any moment. A write carries an Idempotency-Key, so
repeating it after a lost connection is safe; a live query resumes from its last token, so it
misses nothing.
"""

import json
import threading
import time
import uuid
from typing import Any

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

PATIENCE_S = 60.0


class Refused(Exception):
    """The server said no: an RFC 9457 problem."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem.get('status')} {problem.get('code')}: {problem.get('detail')}")
        self.status = problem.get("status")
        self.code = problem.get("code")


class Client:
    """Speaks to one server as one caller."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self._http = httpx.Client(base_url=self.url, timeout=30)

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The reply's JSON (or bytes). Raises Refused for a 4xx; waits out restarts."""
        reply = self.reply(method, path, body, **options)
        if reply.headers.get("Content-Type", "").startswith("application/json"):
            return reply.json()
        return reply.content

    def reply(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: bytes | None = None,
        files: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        sent = dict(headers or {})
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if method != "GET":
            sent["Idempotency-Key"] = uuid.uuid4().hex
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                reply = self._http.request(
                    method, path, json=body, content=content, files=files, headers=sent
                )
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise
                failure = str(error)
            else:
                if reply.status_code < 400:
                    return reply
                problem = reply.json()
                retry = reply.status_code >= 500 or reply.status_code == 429
                if not retry or time.monotonic() > deadline:
                    raise Refused(problem)
                failure = problem["detail"]
            print(f"          … {method} {path.rsplit('/', 1)[-1]}: {failure} Trying again.")
            time.sleep(0.3)


class LiveQuery(threading.Thread):
    """A live query: `docs` is what the server shows this caller, as of now."""

    def __init__(self, url: str, token: str, collection: str) -> None:
        super().__init__(daemon=True)
        self._address = f"{url.replace('http', 'ws', 1)}/realtime?token={token}"
        self._collection = collection
        self._since: str | None = None
        self._ended = threading.Event()
        self.docs: dict[str, dict[str, Any]] = {}
        self.changes = 0
        self.ready = threading.Event()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                with connect(self._address, open_timeout=10) as socket:
                    self._follow(socket)
            except (OSError, WebSocketException, TimeoutError) as error:
                if not self._ended.is_set():
                    print(f"          … the live query lost its connection ({error}), resuming.")
                    time.sleep(0.3)

    def _follow(self, socket: Any) -> None:
        frame = {
            "id": "1",
            "op": "subscribe",
            "channel": "db",
            "collection": self._collection,
            "filter": {},
        }
        if self._since:
            frame["since"] = self._since
        socket.send(json.dumps(frame))
        while not self._ended.is_set():
            try:
                message = json.loads(socket.recv(timeout=1))
            except TimeoutError:
                continue
            if "problem" in message:
                raise Refused(message["problem"])
            match message.get("type"):
                case "snapshot":
                    self.docs = {doc["_id"]: doc for doc in message["docs"]}
                    self.ready.set()
                case "change":
                    for change in message["changes"]:
                        self.changes += 1
                        if change["op"] == "removed":
                            self.docs.pop(change["id"], None)
                        else:
                            self.docs[change["id"]] = change["doc"]
                case "reset":
                    self._since = None
            self._since = message.get("token", self._since)

    def stop(self) -> None:
        self._ended.set()
        self.join(5)
