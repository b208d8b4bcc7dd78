"""Fan-out: one change to many sockets, against a bare `websockets` broadcast of the same frame.

What counts is the processor time of the server for each frame, so neither the client nor the
other work of the machine is in the figure. The bare server only sends; ours reads the log, matches
the filter and the rule, keeps the window and makes the frame in that time as well.
"""

import json
import os
import selectors
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from baas.embedded.temporary import RunningStack
from bench.report import Row, ms, rate
from bench.stack import process, wait_for

SOCKETS = 400
WRITES = 300
PER_S = 100
ROUNDS = 3
_HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def measure(stack: RunningStack) -> list[Row]:
    """Rows for the table; takes about half a minute."""
    operator = json.loads((stack.data_dir / "operator.json").read_text())
    realtime = process(stack, "realtime")
    path, pid = str(realtime["socket"]), int(str(realtime["pid"]))
    project = f"bench-realtime-{int(time.time())}"
    base = f"/v1/projects/{project}"
    peer_path = stack.data_dir / "broadcast.sock"
    peer = subprocess.Popen([sys.executable, "-m", "bench.peers.broadcast", str(peer_path)])
    ours, bare, latencies = [], [], []
    try:
        wait_for(peer_path)
        with httpx.Client(base_url=stack.url, timeout=30) as http:
            http.headers["Authorization"] = f"Bearer {operator['token']}"
            http.post("/v1/admin/projects", json={"slug": project}).raise_for_status()
            rules = {"read": "doc.public == true"}
            http.put(f"{base}/collections/notes", json={"rules": rules}).raise_for_status()
            for _ in range(ROUNDS):
                frames, seconds, lag = _ours(http, base, path, pid)
                ours.append(frames / seconds)
                latencies += lag
                frames, seconds = _bare(str(peer_path), peer.pid)
                bare.append(frames / seconds)
    finally:
        peer.terminate()
        peer.wait(10)
    best, best_bare = sorted(ours)[ROUNDS // 2], sorted(bare)[ROUNDS // 2]
    latencies.sort()
    middle, high = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
    return [
        Row(
            what=f"realtime: frames per processor second, {SOCKETS} sockets, vs bare broadcast",
            ours=rate(best),
            peer=rate(best_bare),
            ratio=f"{best / best_bare:.2f}",
        ),
        Row(
            what=f"realtime: write answered → the last of {SOCKETS} sockets has it (p50, p99)",
            ours=f"{ms(middle * 1000)}, {ms(high * 1000)}",
        ),
    ]


class _Crowd:
    """Many sockets, read by one selector; counts the frames that come."""

    def __init__(self, path: str, address: str, first: str | None) -> None:
        self._selector = selectors.DefaultSelector()
        self._stack = ExitStack()
        self._sockets = []
        for _ in range(SOCKETS):
            one = self._stack.enter_context(socket.socket(socket.AF_UNIX))
            one.connect(path)
            one.sendall(_HANDSHAKE.format(path=address).encode())
            reply = b""
            while b"\r\n\r\n" not in reply:
                reply += one.recv(4096)
            assert b" 101 " in reply, reply
            self._sockets.append(one)
        for one in self._sockets:
            if first is not None:
                one.sendall(_masked(first))
                while b'"snapshot"' not in one.recv(65536):
                    continue
            one.setblocking(False)
            self._selector.register(one, selectors.EVENT_READ, bytearray())

    def send(self, text: str) -> None:
        self._sockets[0].sendall(_masked(text))

    def count(self, timeout_s: float) -> int:
        """Frames that have come, waiting for the first of them at most so long."""
        frames = 0
        for key, _ in self._selector.select(timeout_s):
            assert isinstance(key.fileobj, socket.socket)
            key.data.extend(key.fileobj.recv(1 << 16))
            frames += _take_frames(key.data)
        return frames

    def close(self) -> None:
        self._selector.close()
        self._stack.close()


def _masked(text: str) -> bytes:
    payload = text.encode()
    length = (
        bytes([0x80 | len(payload)])
        if len(payload) < 126
        else bytes([0x80 | 126]) + len(payload).to_bytes(2, "big")
    )
    return b"\x81" + length + bytes(4) + payload


def _take_frames(buffer: bytearray) -> int:
    """Remove the complete frames of a server from the buffer; how many texts were among them."""
    at = texts = 0
    while len(buffer) - at >= 4:
        size, head = buffer[at + 1], 2
        if size == 126:
            size, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
        if len(buffer) - at < head + size:
            break
        texts += buffer[at] == 0x81
        at += head + size
    del buffer[:at]
    return texts


def _ours(http: httpx.Client, base: str, path: str, pid: int) -> tuple[int, float, list[float]]:
    """(frames, processor seconds, seconds from each answer to the last socket)."""
    subscribe = {"id": 1, "op": "subscribe", "channel": "db", "collection": "notes"}
    subscribe |= {"sort": ["-_id"], "limit": 50}
    crowd = _Crowd(path, f"{base}/realtime", json.dumps(subscribe))
    lag = []
    try:
        frames, before = 0, _processor_s(pid)
        for n in range(WRITES):
            began = time.monotonic()
            document = {"public": True, "n": n, "title": "a note about nothing much"}
            http.post(f"{base}/db/notes/docs", json=document).raise_for_status()
            answered = time.monotonic()
            frames += _read(crowd, SOCKETS)
            lag.append(time.monotonic() - answered)
            time.sleep(max(0.0, began + 1 / PER_S - time.monotonic()))
        return frames, _processor_s(pid) - before, lag
    finally:
        crowd.close()


def _bare(path: str, pid: int) -> tuple[int, float]:
    change = {"op": "added", "id": "x" * 26, "doc": {"public": True, "title": "a note" * 20}}
    frame = {"sub": "s1", "type": "change", "changes": [change], "token": "t" * 40}
    crowd = _Crowd(path, "/", None)
    try:
        before = _processor_s(pid)
        crowd.send(f"go {WRITES} {PER_S} {json.dumps(frame)}")
        frames = _read(crowd, SOCKETS * WRITES)
        return frames, _processor_s(pid) - before
    finally:
        crowd.close()


def _read(crowd: _Crowd, expected: int) -> int:
    frames, deadline = 0, time.monotonic() + 60
    while frames < expected:
        assert time.monotonic() < deadline, f"{frames} of {expected} frames came"
        frames += crowd.count(1.0)
    return frames


def _processor_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


if __name__ == "__main__":
    from baas.embedded.temporary import temporary_stack
    from bench.report import heading, table

    with temporary_stack() as running:
        print(heading(), table(measure(running)), sep="\n\n")
