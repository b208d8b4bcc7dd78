"""The host's socket: frames from the product's processes, one request at a time per connection."""

import asyncio
import logging
import os
import socket
from pathlib import Path
from typing import Any, Final

from functions.host.codestore import CodeStore
from functions.host.instance import LoadError
from functions.host.kinds import SMALLEST_NODE_MB
from functions.host.node import Node, Report
from functions.host.packages import PackageRejectedError
from functions.host.pool import Pool, ThrottledError
from functions.runtypes import LogItem, RunError, RunResult, RunSpec
from functions.sandbox.frames import Frame, FrameError, FrameReader, encode

log = logging.getLogger("functions.host.server")

_HEADER_CAP: Final = 8 << 20
_BODY_CAP: Final = 64 << 20
_PROBE_WAIT_S: Final = 10.0
_SIGNATURES: Final = ("event", "http")
Reply = tuple[dict[str, Any], bytes]


def _unsupported(spec: RunSpec) -> str:
    """Why this node cannot run such a function, empty when it can."""
    if spec.egress:
        return "Egress is not available yet: remove the egress list."
    if spec.signature not in _SIGNATURES:
        return f"The signature {spec.signature!r} is not available yet; use event or http."
    if spec.runtime.startswith("nodejs") and spec.memory_mb < SMALLEST_NODE_MB:
        return f"Node needs a memory_mb of {SMALLEST_NODE_MB} at least."
    return ""


def _missing_runtime(spec: RunSpec, report: Report) -> str:
    """Why this node does not have what the function needs, empty when it has."""
    if spec.runtime.startswith("python3") or report.can_run_node(spec.runtime):
        return ""
    return f"The runtime {spec.runtime[:40]!r} is not available on this node."  # status says why


class Service:
    """What the host does for its clients."""

    def __init__(self, node: Node, pool: Pool, store: CodeStore) -> None:
        self._node = node
        self._pool = pool
        self._store = store

    async def answer(self, header: dict[str, Any], body: bytes) -> Reply:
        """Answer one request; ValueError for one that is malformed."""
        op = header.pop("op", None)
        if op == "run":
            return await self._run(RunSpec.from_wire(header, body))
        if op == "put_code":
            return await self._put_code(header["project"], header["digest"], body), b""
        if op == "inspect":
            return await self._inspect(RunSpec.from_wire(header, b"null"), body), b""
        if op == "status":
            return self._status(), b""
        if op == "forget":
            await self._pool.forget(header["project"])
            await self._store.forget(header["project"])
            return {"outcome": "ok"}, b""
        raise ValueError(f"unknown op {op!r}")

    async def _run(self, spec: RunSpec) -> Reply:
        problem = (
            await self._node_problem()
            or _unsupported(spec)
            or _missing_runtime(spec, self._node.report)
        )
        if problem:
            error = RunError(type="SandboxUnavailable", message=problem)
            return RunResult(outcome="unavailable", error=error).to_wire()
        if not self._store.holds(spec.project, spec.digest):
            return {"need_code": True}, b""
        return (await self._pool.run(spec)).to_wire()

    async def _node_problem(self) -> str:
        """Why this node runs nothing, empty when it does. Waits for the probe, for a while."""
        if not self._node.probed.is_set():
            try:
                await asyncio.wait_for(self._node.probed.wait(), _PROBE_WAIT_S)
            except TimeoutError:
                return "The function host is still starting."
        return self._node.report.problem

    async def _put_code(self, project: str, digest: str, package: bytes) -> dict[str, Any]:
        try:
            await self._store.put(project, digest, package)
        except PackageRejectedError as error:
            return {"outcome": "package_rejected", "detail": str(error)}
        return {"outcome": "ok", "detail": ""}

    async def _inspect(self, spec: RunSpec, package: bytes) -> dict[str, Any]:
        problem = _unsupported(spec)
        if problem:
            return _verdict("unsupported", problem)
        problem = await self._node_problem()
        if problem:
            return _verdict("unavailable", problem)
        problem = _missing_runtime(spec, self._node.report)
        if problem:
            return _verdict("unsupported", problem)
        placed = await self._put_code(spec.project, spec.digest, package)
        if placed["outcome"] != "ok":
            return _verdict("package_rejected", placed["detail"])
        try:
            instance = await self._pool.inspect(spec)
        except LoadError as error:
            if error.outcome == "unavailable":
                return _verdict("unavailable", str(error))
            kind = "handler_not_found" if error.kind == "handler_not_found" else "load_error"
            return _verdict(kind, f"{error.error.type}: {error.error.message}", error.logs)
        except ThrottledError as error:
            return _verdict("unavailable", str(error))
        await instance.end("inspected")
        return _verdict("ok", "")

    def _status(self) -> dict[str, Any]:
        report = self._node.report
        return {
            "ready": report.ready,
            "problem": report.problem,
            "tier": "t1",
            "mode": report.mode,
            "layers": report.layers,
            "cgroups": report.cgroups,
            "cgroups_problem": report.cgroups_problem,
            "freezer": report.freezer,
            "landlock_abi": report.landlock_abi,
            "runtimes": report.runtimes,
            "node_problem": report.node_problem,
            **self._pool.figures(),
        }


def _verdict(outcome: str, detail: str, logs: tuple[LogItem, ...] = ()) -> dict[str, Any]:
    rows = [(item.time, item.level, item.message) for item in logs]
    return {"outcome": outcome, "detail": detail, "logs": rows}


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._reader = FrameReader(_HEADER_CAP, _BODY_CAP)
        self._transport: asyncio.Transport
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what asyncio gives
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._reader.feed(data)
        except FrameError as error:
            log.warning("a client sent no frame: %s", error)
            self._transport.abort()
            return
        for frame in frames:
            if self._task is not None:
                log.warning("a client sent a second request before the first was answered")
                self._transport.abort()
                return
            self._task = asyncio.get_running_loop().create_task(self._handle(frame))

    async def _handle(self, frame: Frame) -> None:
        try:
            header, body = await self._service.answer(frame.header, frame.body)
        except Exception:  # the client sees a broken connection, the operator the reason
            log.exception("a request failed")
            self._transport.abort()
            return
        self._task = None
        self._transport.write(encode(header, body))


async def listen(path: Path, service: Service) -> asyncio.Server:
    """Listen on a Unix socket that only this user may open; a stale one is replaced."""
    if path.exists():
        if _is_alive(path):
            raise OSError(f"another function host listens on {path}")
        path.unlink()
    previous = os.umask(0o177)
    try:
        loop = asyncio.get_running_loop()
        return await loop.create_unix_server(lambda: Connection(service), str(path), backlog=512)
    finally:
        os.umask(previous)


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
