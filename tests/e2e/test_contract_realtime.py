"""The contract, "Realtime": frames, snapshots and changes, resume, rules, refusals."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from .conftest import Stack
from .contract import App

OWNED = {"read": "owner", "create": "authenticated", "update": "owner", "delete": "owner"}
TOP = {"channel": "db", "collection": "notes", "filter": {"n": {"$gt": 0}}, "sort": ["-n"]}


class Socket:
    """One connection; frames that are no answers are kept in their order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.last_id = 0
        self.pushed: list[dict[str, Any]] = []

    def send(self, frame: Any) -> dict[str, Any]:
        """Send one frame and return its answer."""
        self.connection.send(frame if isinstance(frame, str) else json.dumps(frame))
        while True:
            received = self.receive()
            if "re" in received:
                return received
            self.pushed.append(received)

    def ask(self, op: str, **members: Any) -> dict[str, Any]:
        self.last_id += 1
        answer = self.send({"id": self.last_id, "op": op, **members})
        assert answer["re"] == self.last_id
        return answer

    def subscribe(self, **query: Any) -> str:
        answer = self.ask("subscribe", **query)
        assert answer["ok"] is True, answer
        sub: str = answer["sub"]
        return sub

    def refused(self, op: str, **members: Any) -> str:
        problem = self.ask(op, **members)["problem"]
        assert problem.keys() >= {"type", "title", "status", "detail", "code", "request_id"}
        found: str = problem["code"]
        return found

    def receive(self, timeout_s: float = 15) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self.connection.recv(timeout=timeout_s))
        return frame

    def next(self, timeout_s: float = 15) -> dict[str, Any]:
        """The next frame that is no answer."""
        return self.pushed.pop(0) if self.pushed else self.receive(timeout_s)


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        for name in ("notes", "closing"):
            app("PUT", f"/collections/{name}", app.key, {"rules": OWNED})
        app("PUT", "/collections/board", app.key, {"rules": {**OWNED, "read": "public"}})
        yield app


@pytest.fixture(scope="module")
def bob(app: App) -> str:
    return app.token("bob")


@contextmanager
def open_socket(app: App, token: str | None = None, path: str | None = None) -> Iterator[Socket]:
    address = app.stack.url.replace("http", "ws", 1) + (path or f"{app.path}/realtime")
    with connect(address + (f"?token={token}" if token else ""), proxy=None) as connection:
        yield Socket(connection)


def put(app: App, token: str, name: str, **fields: Any) -> dict[str, Any]:
    reply = app("PUT", f"/db/notes/docs/{name}", token, fields)
    assert reply.is_success, reply.text
    document: dict[str, Any] = reply.json()
    return document


def moves(frame: dict[str, Any]) -> list[tuple[str, str, int, int]]:
    assert frame["type"] == "change", frame
    assert frame["token"]
    return [
        (change["op"], change["id"], change["old_index"], change["new_index"])
        for change in frame["changes"]
    ]


def test_ping_and_frames_that_are_none(app: App) -> None:
    with open_socket(app) as socket:
        assert socket.ask("ping") == {"re": 1, "ok": True}
        assert socket.send({"id": "text", "op": "ping"}) == {"re": "text", "ok": True}
        for frame, code in (
            ("no json", "malformed_json"),
            ("[1]", "invalid_frame"),
            ('{"op": "ping"}', "invalid_frame"),
            (json.dumps({"id": 1, "op": "ping", "pad": "x" * 70_000}), "frame_too_large"),
        ):
            answer = socket.send(frame)
            assert (answer["re"], answer["problem"]["code"]) == (None, code)
        assert socket.refused("fly") == "unknown_op"
        assert socket.refused("unsubscribe", sub="none") == "subscription_not_found"
        assert socket.refused("subscribe", channel="fly") == "unsupported_channel"
        assert socket.ask("ping")["ok"] is True  # none of it closed the socket


def test_snapshot_then_changes(app: App, bob: str) -> None:
    alice = app.token("alice")
    first = put(app, alice, "s1", n=1)
    with open_socket(app, alice) as socket:
        sub = socket.subscribe(**TOP, limit=2)
        snapshot = socket.next()
        assert snapshot.keys() == {"sub", "type", "docs", "token"}
        assert (snapshot["sub"], snapshot["type"]) == (sub, "snapshot")
        assert snapshot["docs"] == [first]
        five = put(app, alice, "s5", n=5)
        change = socket.next()
        assert moves(change) == [("added", "s5", -1, 0)]
        assert change["changes"][0]["doc"] == five
        put(app, alice, "s3", n=3)
        assert moves(socket.next()) == [("removed", "s1", 1, -1), ("added", "s3", -1, 1)]
        put(app, bob, "sb", n=9)  # not alice's
        app("PATCH", "/db/notes/docs/s3", alice, {"n": 7})
        (modified,) = moves(socket.next())
        assert modified == ("modified", "s3", 1, 0)
        app("PATCH", "/db/notes/docs/s5", alice, {"n": 0})  # no longer matches
        assert moves(socket.next()) == [("removed", "s5", 1, -1), ("added", "s1", -1, 1)]
        app("DELETE", "/db/notes/docs/s3", alice)
        last = socket.next()
        assert moves(last) == [("removed", "s3", 0, -1)]
        assert "doc" not in last["changes"][0]
        assert socket.ask("unsubscribe", sub=sub)["ok"] is True
        put(app, alice, "s8", n=8)
        with pytest.raises(TimeoutError):
            socket.next(0.7)
    with open_socket(app, alice) as again:  # another connection: only what was missed
        again.subscribe(**TOP, limit=2, since=last["token"])
        assert moves(again.next()) == [("added", "s8", -1, 0)]
        sub = again.subscribe(**TOP, since="nonsense")
        assert again.next() == {"sub": sub, "type": "reset"}
        assert [document["_id"] for document in again.next()["docs"]] == ["s8", "s1"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"collection": "closed"}, "rule_denied"),
        ({"filter": {"$no": 1}}, "unsupported_operator"),
        ({"sort": 5}, "invalid_query"),
        ({"limit": 5001}, "invalid_frame"),
        ({"limit": 0}, "invalid_frame"),
        ({"collection": None}, "invalid_frame"),
    ],
)
def test_subscriptions_that_cannot_be(app: App, bob: str, query: Any, code: str) -> None:
    with open_socket(app, bob) as socket:
        assert socket.refused("subscribe", **{**TOP, **query}) == code


def test_the_caller_may_change(app: App, bob: str) -> None:
    alice = app.token("alice")
    put(app, alice, "c1", n=1)
    with open_socket(app) as socket:
        assert socket.refused("subscribe", **TOP) == "rule_denied"
        socket.subscribe(channel="db", collection="board")
        assert socket.next()["docs"] == []
        assert socket.refused("auth", token="bad") == "invalid_token"
        assert socket.ask("auth", token=alice)["ok"] is True
        socket.subscribe(**TOP)
        assert [document["_id"] for document in socket.next()["docs"]] == ["c1"]
        assert socket.ask("auth", token=bob)["ok"] is True
        frames = [socket.next(), socket.next()]
        assert [frame["type"] for frame in frames] == ["reset", "snapshot"]
        assert "c1" not in [document["_id"] for document in frames[1]["docs"]]


def test_a_change_of_rules_ends_what_is_no_longer_allowed(app: App, bob: str) -> None:
    with open_socket(app, bob) as socket:
        sub = socket.subscribe(channel="db", collection="closing")
        socket.next()
        app("PUT", "/collections/closing", app.key, {"rules": {**OWNED, "read": "closed"}})
        closed = socket.next()
        assert (closed["sub"], closed["type"]) == (sub, "closed")
        assert closed["problem"]["code"] == "rule_denied"


def closing(socket: Socket) -> tuple[int | None, str | None]:
    """Code and reason with which the server closes the socket."""
    with suppress(ConnectionClosed):
        for _ in socket.connection:
            continue
    return socket.connection.close_code, socket.connection.close_reason


def test_a_sign_out_closes_the_socket(app: App) -> None:
    token = app.token()
    with open_socket(app, token) as socket:
        socket.ask("ping")
        app("POST", "/auth/sign-out", token)
        began = time.monotonic()
        assert closing(socket) == (4401, "invalid_token")
        assert time.monotonic() - began < 10


def test_sockets_that_cannot_be(app: App) -> None:
    with open_socket(app, "bad") as socket:
        assert closing(socket) == (4401, "invalid_token")
    with open_socket(app, path="/v1/projects/none-such/realtime") as socket:
        assert closing(socket) == (4404, "project_not_found")
    with open_socket(app) as socket:
        socket.connection.send(b"binary")
        assert closing(socket)[0] == 1003
    with pytest.raises(InvalidStatus), open_socket(app, path=f"{app.path}/realtimes"):
        pass
