"""A closed-loop HTTP load: N keep-alive connections, each with one request in flight.

Written for benchmarks on a small machine: raw protocols on uvloop, so that the client takes as
little as possible of the CPU that the servers under test need.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import uvloop

REPLY_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to send: a TCP port on loopback, or a Unix socket."""

    port: int = 0
    socket_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came back. Latencies in seconds, sorted."""

    requests: int
    seconds: float
    failures: int
    latencies: list[float]
    first_failure: str = ""

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    def percentile_ms(self, share: float) -> float:
        index = min(len(self.latencies) - 1, int(share * len(self.latencies)))
        return self.latencies[index] * 1000


def request_bytes(
    method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class _Connection(asyncio.Protocol):
    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._buffer = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._run.next_request())  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            self._buffer = buffer
            return
        head = buffer[:end].lower()
        at = head.find(b"content-length:")
        if at >= 0:
            length = int(head[at + 15 : (head.find(b"\r\n", at) + 1 or len(head) + 1) - 1])
            complete = len(buffer) >= end + 4 + length
        elif b"chunked" in head:
            complete = buffer.endswith(b"0\r\n\r\n")
        else:
            complete = True
        if not complete:
            self._buffer = buffer
            return
        self._buffer = b""
        run = self._run
        run.latencies.append(time.perf_counter() - self._began)
        if buffer[9:10] != b"2":
            run.failures += 1
            run.first_failure = run.first_failure or buffer[:300].decode("latin-1")
        if time.perf_counter() < run.until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        # Servers close a connection after so many requests: go on with a new one.
        self._run.connection_closed()


class _Run:
    def __init__(
        self, target: Target, make: Callable[[int], bytes], seconds: float, connections: int
    ) -> None:
        self._target = target
        self._make = make
        self._count = 0
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self.open = connections
        self.latencies: list[float] = []
        self.failures = 0
        self.first_failure = ""
        self.until = time.perf_counter() + seconds
        self.done = self._loop.create_future()
        for _ in range(connections):
            self._connect()

    def next_request(self) -> bytes:
        self._count += 1
        return self._make(self._count)

    def _connect(self) -> None:
        task = self._loop.create_task(self._open())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self) -> None:
        if self._target.socket_path:
            await self._loop.create_unix_connection(
                lambda: _Connection(self), self._target.socket_path
            )
        else:
            await self._loop.create_connection(
                lambda: _Connection(self), "127.0.0.1", self._target.port
            )

    def connection_closed(self) -> None:
        if time.perf_counter() < self.until:
            self._connect()
            return
        self.open -= 1
        if not self.open and not self.done.done():
            self.done.set_result(None)


async def _drive(
    target: Target, make: Callable[[int], bytes], seconds: float, connections: int
) -> Load:
    began = time.perf_counter()
    run = _Run(target, make, seconds, connections)
    try:
        await asyncio.wait_for(run.done, seconds + REPLY_TIMEOUT_S)
    except TimeoutError:
        raise RuntimeError(f"{run.open} of {connections} connections wait for a reply") from None
    return Load(
        requests=len(run.latencies),
        seconds=time.perf_counter() - began,
        failures=run.failures,
        latencies=sorted(run.latencies),
        first_failure=run.first_failure,
    )


def drive(
    target: Target, make: Callable[[int], bytes], *, seconds: float = 4.0, connections: int = 16
) -> Load:
    """Send `make(1)`, `make(2)`, … for `seconds`; raises when any reply was not 2xx."""
    result = uvloop.run(_drive(target, make, seconds, connections))
    if result.failures:
        raise RuntimeError(f"{result.failures} replies were not 2xx: {result.first_failure}")
    return result
