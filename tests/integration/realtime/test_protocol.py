"""Frames that are wrong, sockets that are slow, addresses that are not websockets."""

import json
import socket as sockets
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from websockets.exceptions import ConnectionClosed

from tests.installation import TestProject
from tests.integration.realtime.conftest import Connect, Notes, Server


def figures(directory: Path) -> dict[str, float]:
    """What a process counts into the files of its node."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, str(directory))  # type: ignore[no-untyped-call]
    lines = generate_latest(registry).decode().splitlines()
    found = (line.rsplit(" ", 1) for line in lines if line.startswith("baas_realtime_"))
    return {name: float(value) for name, value in found}


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ping_is_answered(open_socket: Connect) -> None:
    assert open_socket().ask(op="ping") == {"re": 1, "ok": True}


def test_an_id_may_be_text(open_socket: Connect) -> None:
    socket = open_socket()
    socket.ws.send('{"id":"é1","op":"ping"}')
    assert socket.receive() == {"re": "é1", "ok": True}


@pytest.mark.parametrize(
    ("text", "code", "re"),
    [
        ("nonsense", "malformed_json", None),
        ('{"op":"ping"}', "invalid_frame", None),
        ('{"id":true,"op":"ping"}', "invalid_frame", None),
        ('{"id":1.5,"op":"ping"}', "invalid_frame", None),
        ('{"id":9223372036854775808,"op":"ping"}', "invalid_frame", None),
        ('{"id":"\\ud800","op":"ping"}', "malformed_json", None),
        (json.dumps({"id": "x" * 129, "op": "ping"}), "invalid_frame", None),
        ("[1]", "invalid_frame", None),
        ("null", "invalid_frame", None),
        ('{"id":7}', "unknown_op", 7),
        ('{"id":7,"op":"shout"}', "unknown_op", 7),
        ('{"id":7,"op":["ping"]}', "unknown_op", 7),
        ('{"id":7,"op":"auth","token":5}', "invalid_frame", 7),
        ('{"id":7,"op":"unsubscribe"}', "invalid_frame", 7),
        ('{"id":7,"op":"unsubscribe","sub":"s9"}', "subscription_not_found", 7),
        ("[" * 101 + "]" * 101, "nesting_too_deep", None),
        (json.dumps({"id": 7, "op": "ping", "x": "y" * 65536}), "frame_too_large", None),
        (json.dumps({"id": 7, "op": "ping", "x": "é" * 40000}, ensure_ascii=False),
         "frame_too_large", None),
    ],
)  # fmt: skip
def test_a_wrong_frame_is_answered_with_a_problem(
    open_socket: Connect, text: str, code: str, re: int | None
) -> None:
    socket = open_socket()
    socket.ws.send(text)
    reply = socket.receive()
    assert (reply["re"], reply["problem"]["code"]) == (re, code)
    assert {"type", "title", "status", "detail", "code", "request_id"} <= reply["problem"].keys()
    assert socket.ask(op="ping")["ok"] is True


def test_a_binary_frame_closes_the_socket(open_socket: Connect) -> None:
    socket = open_socket()
    socket.ws.send(b"\x00")
    assert socket.expect_close()[0] == 1003


def test_a_gigantic_frame_closes_the_socket(open_socket: Connect) -> None:
    socket = open_socket()
    try:
        socket.ws.send("x" * 1_100_000)
    except ConnectionClosed:
        return  # closed while we still wrote: then nobody tells us why
    assert socket.expect_close()[0] == 1009


def test_a_socket_has_a_hundred_subscriptions_and_no_more(
    open_socket: Connect, notes: Notes
) -> None:
    socket = open_socket()
    names = [socket.subscribe(filter={"n": n}) for n in range(100)]
    assert len(set(names)) == 100
    frame = {"op": "subscribe", "channel": "db", "collection": "notes"}
    reply = socket.ask(**frame)
    assert reply["problem"]["code"] == "too_many_subscriptions"
    socket.ask(op="unsubscribe", sub=names[0])
    assert socket.ask(**frame)["ok"] is True


def test_http_is_answered_with_a_problem(server: Server, project: TestProject) -> None:
    for path in ("/", f"{project.path}/realtime"):
        reply = httpx.get(f"http://127.0.0.1:{server.port}{path}")
        assert reply.status_code == 404
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["code"] == "not_found"
        assert reply.headers["x-request-id"] == reply.json()["request_id"]


def test_tokens_do_not_get_into_the_log(open_socket: Connect, notes: Notes, server: Server) -> None:
    open_socket(notes.token).watch()
    open_socket("garbage-token").expect_close()
    assert "/realtime?token=…" in server.log
    assert notes.token not in server.log
    assert "garbage-token" not in server.log


def test_a_slow_consumer_is_reset_and_ends_up_with_the_truth(
    open_socket: Connect, notes: Notes, server: Server
) -> None:
    slow, quick = open_socket(max_queue=1), open_socket()
    for socket in (slow, quick):
        socket.subscribe(limit=50)
        socket.receive()
    before = _memory_kb(server.pid)
    notes.create("n", round=0)
    filling = "x" * 200_000
    for n in range(1, 121):  # 24 MB, of which the slow one reads nothing meanwhile
        notes.patch("n", round=n, text=filling)
    shown = None
    while shown != 120:
        shown = quick.changes()[-1]["doc"]["round"]
    assert quick.ask(op="ping")["ok"] is True
    grown_kb = _memory_kb(server.pid) - before
    assert grown_kb < 20_000, grown_kb
    types, last = [], None
    while last != 120:
        frame = slow.receive()
        types.append(frame["type"])
        if frame["type"] == "change":
            last = frame["changes"][-1]["doc"]["round"]
        elif frame["type"] == "snapshot":
            last = frame["docs"][-1]["round"]
    assert "reset" in types
    assert types.count("change") < 60
    notes.patch("n", round=121, text="")
    assert slow.changes()[-1]["doc"]["round"] == 121


def _memory_kb(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_who_asks_without_reading_is_not_listened_to(
    open_socket: Connect, notes: Notes, own_server: Server, tmp_path: Path
) -> None:
    """Replies are frames too: they must not pile up behind a client that only sends."""
    own_server.start(PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    before = _memory_kb(own_server.pid)
    address = ("127.0.0.1", own_server.port)
    with sockets.create_connection(address) as raw:
        path = f"{notes.project.path}/realtime"
        handshake = (
            f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        raw.sendall(handshake.encode())
        raw.settimeout(2)
        assert b"101" in raw.recv(4096)
        payload = json.dumps({"id": "i" * 100, "op": "unsubscribe", "sub": "x"}).encode()
        frame = bytes([0x81, 0x80 | 126]) + len(payload).to_bytes(2, "big") + bytes(4) + payload
        assert len(payload) > 125
        with pytest.raises(TimeoutError):
            raw.sendall(frame * 500_000)
        assert _memory_kb(own_server.pid) - before < 20_000
        assert figures(tmp_path)["baas_realtime_sockets"] == 1
    wait_until(lambda: figures(tmp_path)["baas_realtime_sockets"] == 0)


def test_it_ends_cleanly_and_says_so(
    open_socket: Connect, notes: Notes, own_server: Server
) -> None:
    own_server.start()
    socket = open_socket(to=f"ws://127.0.0.1:{own_server.port}{notes.project.path}/realtime")
    socket.watch()
    began = time.monotonic()
    status = own_server.stop()
    assert socket.expect_close()[0] == 1012
    assert status in (0, -15), own_server.log
    assert time.monotonic() - began < 6
    assert "Traceback" not in own_server.log


def test_it_counts_what_it_does(
    open_socket: Connect, notes: Notes, own_server: Server, tmp_path: Path
) -> None:
    """Into the files that any web process of the node reads for `/metrics`."""
    directory = tmp_path / "metrics"
    directory.mkdir()
    own_server.start(PROMETHEUS_MULTIPROC_DIR=str(directory))
    where = f"ws://127.0.0.1:{own_server.port}{notes.project.path}/realtime"
    first, second = open_socket(to=where), open_socket(to=where)
    for socket in (first, second):
        socket.watch()
    notes.create("a")
    for socket in (first, second):
        socket.changes()
    time.sleep(1.5)  # frames are counted once a second
    seen = figures(directory)
    assert seen["baas_realtime_sockets"] == 2
    assert seen["baas_realtime_subscriptions"] == 2
    assert seen["baas_realtime_views"] == 1
    assert seen["baas_realtime_frames_total"] == 6  # a reply, a snapshot and a change for each
    assert seen["baas_realtime_events_total"] >= 1
    first.ws.close()
    second.ws.close()
    wait_until(lambda: figures(directory)["baas_realtime_sockets"] == 0)
    seen = figures(directory)
    assert seen["baas_realtime_subscriptions"] == 0
    assert seen["baas_realtime_views"] == 0


def test_a_silent_socket_gets_heartbeats_with_newer_tokens(
    open_socket: Connect, notes: Notes, own_server: Server
) -> None:
    own_server.start(BAAS_REALTIME_HEARTBEAT_S="1")
    where = f"ws://127.0.0.1:{own_server.port}{notes.project.path}/realtime"
    socket = open_socket(to=where)
    socket.watch(filter={"n": 1})
    notes.create("other", n=2)  # nothing for this subscription, but the log goes on
    frame = socket.receive()
    assert frame["type"] == "heartbeat"
    assert set(frame["tokens"]) == {"s1"}
    assert frame["tokens"]["s1"] != socket.last_token
    back = open_socket(to=where)
    back.subscribe(filter={"n": 1}, since=frame["tokens"]["s1"])
    assert back.changes() == []
