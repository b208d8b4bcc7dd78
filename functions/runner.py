"""The synchronous, thread-safe client of the function host."""

import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

import orjson

from functions.runtypes import InspectResult, RunError, RunResult, RunSpec, log_items
from functions.sandbox.frames import Frame, FrameError, FrameReader

# Beyond the function's own time: waiting for room, loading, and the way there and back.
_GRACE_S: Final = 25.0
_INSPECT_TIMEOUT_S: Final = 60.0
_HEADER_CAP: Final = 8 << 20
_BODY_CAP: Final = 64 << 20


class HostUnreachableError(Exception):
    """The function host does not answer. `started`: the request may have been acted upon."""

    def __init__(self, detail: str, *, started: bool) -> None:
        super().__init__(detail)
        self.started = started


class _Connection:
    """One persistent connection; a request at a time."""

    def __init__(self, path: str) -> None:
        self.owner_pid = os.getpid()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._reader = FrameReader(_HEADER_CAP, _BODY_CAP)
        try:
            self._socket.settimeout(5.0)
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            detail = f"The function host does not answer at {path}: {error}"
            raise HostUnreachableError(detail, started=False) from error
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def close(self) -> None:
        self._socket.close()

    def __del__(self) -> None:
        self._socket.close()  # a thread that ends leaves its connection to be collected

    def is_stale(self) -> bool:
        """True when the host has closed it (nothing may be readable between requests)."""
        return bool(self._poll.poll(0))

    def exchange(self, header: dict[str, Any], body: bytes, timeout_s: float) -> Frame:
        """Send one request and wait for its answer."""
        if body:
            header["body"] = len(body)
        packed = orjson.dumps(header)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.sendall(b"".join((len(packed).to_bytes(4, "big"), packed, body)))
            while True:
                data = self._socket.recv(self._reader.wanted)
                if not data:
                    break
                frames = self._reader.feed(data)
                if frames:
                    return frames[0]
        except (OSError, FrameError) as error:
            detail = f"The connection to the function host broke: {error}"
            raise HostUnreachableError(detail, started=True) from error
        raise HostUnreachableError("The function host went away.", started=True)


class Runner:
    """Runs functions on the host behind a Unix socket. One connection per calling thread."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path.removeprefix("unix://")
        self._local = threading.local()

    def run(self, spec: RunSpec, load_package: Callable[[], bytes]) -> RunResult:
        """Run one invocation to its end and return what came of it; never raises for the host.

        `load_package` is called only when the host does not hold the package. A request that may
        have started is never sent again: outcome `unavailable` then has the error type
        `ConnectionLost`, and `HostUnavailable` when it surely did not start.
        """
        header, body = spec.to_wire()
        header["op"] = "run"
        timeout_s = spec.timeout_s + _GRACE_S
        try:
            reply = self._exchange(header, body, timeout_s)
            if "need_code" in reply.header:
                self._put_code(spec.project, spec.digest, load_package())
                reply = self._exchange({**header}, body, timeout_s)
                _expect_started(reply)
            result = RunResult.from_wire(reply.header, reply.body)
        except HostUnreachableError as error:
            kind = "ConnectionLost" if error.started else "HostUnavailable"
            return RunResult(outcome="unavailable", error=RunError(type=kind, message=str(error)))
        return _checked(result)

    def inspect(self, spec: RunSpec, package: bytes) -> InspectResult:
        """Unpack and load a package in a sandbox; say whether it may become a version."""
        header, _ = spec.to_wire()
        header["op"] = "inspect"
        try:
            reply = self._exchange(header, package, _INSPECT_TIMEOUT_S)
        except HostUnreachableError as error:
            return InspectResult(outcome="unavailable", detail=str(error))
        found = reply.header
        return InspectResult(
            outcome=found["outcome"], detail=found["detail"], logs=log_items(found["logs"])
        )

    def status(self) -> dict[str, Any]:
        """Return the host's state; HostUnreachableError when it is down. `ready` is the verdict."""
        return self._exchange({"op": "status"}, b"", 5.0).header

    def forget(self, project: str) -> None:
        """End all sandboxes of a project and drop its code; HostUnreachableError when down."""
        self._exchange({"op": "forget", "project": project}, b"", 10.0)

    def close(self) -> None:
        """Close the calling thread's connection."""
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            self._local.connection = None
            connection.close()

    def _put_code(self, project: str, digest: str, package: bytes) -> None:
        header = {"op": "put_code", "project": project, "digest": digest}
        reply = self._exchange(header, package, _INSPECT_TIMEOUT_S)
        if reply.header["outcome"] != "ok":
            detail = f"The function host refused the package: {reply.header['detail']}"
            raise HostUnreachableError(detail, started=False)

    def _connect(self) -> _Connection:
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            # A forked child must not speak on its parent's connection.
            if connection.owner_pid == os.getpid() and not connection.is_stale():
                return connection
            self.close()
        self._local.connection = fresh = _Connection(self._path)
        return fresh

    def _exchange(self, header: dict[str, Any], body: bytes, timeout_s: float) -> Frame:
        try:
            return self._connect().exchange(header, body, timeout_s)
        except HostUnreachableError:
            self.close()
            raise


def _expect_started(reply: Frame) -> None:
    if "need_code" in reply.header:  # evicted between two frames: the node's disk is too small
        raise HostUnreachableError("The function host lost the package.", started=False)


def _checked(result: RunResult) -> RunResult:
    """Refuse a result that is not JSON: it is the word of hostile code until it was parsed.

    Here and not in the host, where one tenant's large result would hold up all others.
    """
    if result.outcome != "ok":
        return result
    try:
        orjson.loads(result.result or b"")
    except orjson.JSONDecodeError as error:
        return RunResult(
            outcome="invalid_response",
            error=RunError(type="InvalidResponse", message=f"The result is not JSON: {error}"),
            logs=result.logs,
            duration_ms=result.duration_ms,
            billed_ms=result.billed_ms,
            max_memory_mb=result.max_memory_mb,
            cold=result.cold,
        )
    return result
