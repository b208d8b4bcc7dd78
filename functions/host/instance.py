"""One sandbox from its birth to its end, seen from outside."""

import asyncio
import contextlib
import logging
import math
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from functions.host.bridge import Api, Bridge
from functions.host.cgroups import Group
from functions.host.freezer import (
    CgroupFreezer,
    FreezeError,
    Freezer,
    SignalFreezer,
    descendants,
)
from functions.host.kinds import Kind
from functions.host.output import HeapAbort, LineSplitter, Redactor, Transcript
from functions.host.zygotes import Exit, StartError, Zygote
from functions.runtypes import LogItem, Outcome, RunError, RunResult, RunSpec
from functions.sandbox.frames import Frame, FrameError, FrameReader, encode
from functions.sandbox.limits import Limits
from functions.sandbox.worker import RESULT_CAP

log = logging.getLogger("functions.host.instance")

LOAD_TIMEOUT_S: Final = 10.0
_HEADER_CAP: Final = 64 << 10
_MESSAGE_CAP: Final = 4096
_PIPE_READ: Final = 65_536
_FLOOD_PAUSE_S: Final = 0.005  # how long a pipe is left alone once its log is full
_SHELL_SIGNALS: Final = 128
_LAST_SIGNAL: Final = 64
_ABORTS: Final = (signal.SIGABRT, signal.SIGTRAP, signal.SIGILL, signal.SIGSEGV)
_REPLY_OUTCOMES: Final[dict[str, Outcome]] = {
    "ok": "ok",
    "error": "error",
    "out_of_memory": "out_of_memory",
    "invalid_response": "invalid_response",
    "result_too_large": "result_too_large",
}


@dataclass(frozen=True, kw_only=True)
class Slot:
    """What one sandbox owns on this node: a number, a uid and cgroups."""

    number: int
    uid: int
    group: Group


class LoadError(Exception):
    """The function could not be started; carries the outcome for the caller."""

    def __init__(
        self, outcome: Outcome, error: RunError, logs: tuple[LogItem, ...], *, kind: str = ""
    ) -> None:
        super().__init__(error.message)
        self.outcome = outcome
        self.error = error
        self.logs = logs
        self.kind = kind  # what the worker called it


class Instance:
    """A sandbox: prepared for any function, then loaded with one. One call at a time."""

    def __init__(self, slot: Slot, kind: Kind, api: Api) -> None:
        self._loop = asyncio.get_running_loop()
        self.slot = slot
        self.kind = kind
        self.zygote: Zygote | None = None
        self._spec: RunSpec | None = None
        self.calls = 0
        self.born_s = self._loop.time()
        self.used_s = self.born_s
        self.peak_mb = 0
        self.pid = 0
        self.is_frozen = False
        self.gone: asyncio.Future[Exit] = self._loop.create_future()
        self.on_gone: Callable[[Instance], None] | None = None
        self._api = api
        self._kill_reason = ""
        self._fault = ""
        self._pidfd = -1
        self._bridge: Bridge | None = None
        self._control: socket.socket | None = None
        self._reader = FrameReader(_HEADER_CAP, RESULT_CAP)
        self._reply: asyncio.Future[Frame] | None = None
        self._pipes: dict[int, LineSplitter] = {}
        self._heap_abort = HeapAbort()
        self._stderr = -1
        self._redactor = Redactor(())
        self._transcript = Transcript(self._redactor)
        self._freezer: Freezer | None = None
        self._oom_kills = 0
        self._died_of_memory = False
        self._load_s = 0.0
        self._timeout_s = LOAD_TIMEOUT_S  # of what goes on now

    @property
    def is_usable(self) -> bool:
        """False from the moment when its end was decided, even if it still has to die."""
        return not (self._fault or self._kill_reason or self.gone.done())

    # --- birth ---------------------------------------------------------------------------------

    @property
    def is_loaded(self) -> bool:
        """True from the moment when a function was assigned."""
        return self._spec is not None

    @property
    def spec(self) -> RunSpec:
        """Of the call that loaded it: identity and limits of all later calls."""
        if self._spec is None:
            raise RuntimeError("no function was assigned yet")
        return self._spec

    async def prepare(self, zygote: Zygote) -> None:
        """Fork and isolate as far as can be done for any function.

        LoadError with outcome `unavailable` when that fails; the instance is then gone.
        """
        try:
            await self._fork(zygote)
        except (StartError, OSError) as error:
            await self.end("setup")
            raise _no_sandbox(str(error)) from error
        timer = self._loop.call_later(LOAD_TIMEOUT_S, self.kill, "timeout")
        frame = await self._receive()
        timer.cancel()
        if frame is None or frame.header.get("type") != "prepared":
            await self.end("setup")
            raise _no_sandbox(_setup_failure(frame))

    async def load(self, spec: RunSpec, code: str) -> None:
        """Confine it for this function and import that; afterwards it can be called.

        It is not frozen: call it or let it rest at once. LoadError when the function or the
        sandbox does not come up; the instance is then gone.
        """
        begun = self._loop.time()
        self._spec = spec
        self._redactor = Redactor((name, spec.env[name]) for name in spec.secret_names)
        self._transcript = Transcript(self._redactor)
        limits = Limits(memory_mb=spec.memory_mb)
        group = self.slot.group
        group.limit(memory_mb=limits.memory_mb, processes=limits.processes)
        self._oom_kills = group.oom_kills()
        frame = await self._import(spec, code, limits)
        self._load_s = self._loop.time() - begun
        if frame is None or frame.header.get("type") != "ready":
            failure = self._load_failure(frame)
            await self.end("load")
            raise failure

    async def _fork(self, zygote: Zygote) -> None:
        self.zygote = zygote
        control, control_inside = socket.socketpair()
        api, api_inside = socket.socketpair()
        pipes = [os.pipe() for _ in range(3)]
        entrances = self.slot.group.open_entrances()
        inside = [control_inside.fileno(), api_inside.fileno(), *(pipe[1] for pipe in pipes)]
        try:
            self._adopt(control, api, [pipe[0] for pipe in pipes])
            self._reply = self._loop.create_future()  # `prepared` may come before the pidfd
            self._pidfd = await zygote.start(
                self.slot.number,
                kind=self.kind,
                uid=self.slot.uid,
                descriptors=[*inside, *entrances],
                on_exit=self._on_exit,
            )
        finally:
            control_inside.close()
            api_inside.close()
            for descriptor in [*(pipe[1] for pipe in pipes), *entrances]:
                os.close(descriptor)
        if not self.is_usable:
            self._signal_kill()  # decided while there was nothing to kill yet
        self.pid = _pid_behind(self._pidfd)
        if self.slot.group.has_freezer:
            self._freezer = CgroupFreezer(self.slot.group)
        else:
            self._freezer = SignalFreezer(self.pid)

    def _adopt(self, control: socket.socket, api: socket.socket, pipes: list[int]) -> None:
        control.setblocking(False)
        api.setblocking(False)
        self._control = control
        self._bridge = Bridge(api, self._api, self.fault)
        kinds = (
            LineSplitter("info", structured=True),
            LineSplitter("info", structured=False),
            LineSplitter("error", structured=False),
        )
        self._loop.add_reader(control.fileno(), self._on_control)
        for descriptor, splitter in zip(pipes, kinds, strict=True):
            os.set_blocking(descriptor, False)
            self._pipes[descriptor] = splitter
            self._loop.add_reader(descriptor, self._on_pipe, descriptor)
        self._stderr = pipes[-1]

    async def _import(self, spec: RunSpec, code: str, limits: Limits) -> Frame | None:
        assignment = {"type": "assign", "code": code, "limits": asdict(limits)}
        init = {
            "type": "init",
            "handler": spec.handler,
            "signature": spec.signature,
            "function": spec.function,
            "version": spec.version,
            "env": spec.env,
        }
        timer = self._loop.call_later(LOAD_TIMEOUT_S, self.kill, "timeout")
        try:
            return await self._exchange(encode(assignment) + encode(init))
        finally:
            timer.cancel()

    def _load_failure(self, frame: Frame | None) -> LoadError:
        self._drain()
        logs = self._transcript.items()
        if frame is None:
            outcome, error = self._death()
            return LoadError(outcome, error, logs)
        header = frame.header
        if header.get("type") == "setup_failed":
            return _no_sandbox(_setup_failure(frame))
        kind = str(header.get("kind"))
        outcome = "out_of_memory" if kind == "out_of_memory" else "load_error"
        return LoadError(outcome, self._guest_error(header), logs, kind=kind)

    # --- a call --------------------------------------------------------------------------------

    async def call(self, spec: RunSpec) -> RunResult:
        """Run one invocation. The instance may be gone afterwards (see `gone`)."""
        cold, self.calls = self.calls == 0, self.calls + 1
        if not cold:
            self._discard_idle_output()
            self._transcript = Transcript(self._redactor)
            self.slot.group.reset_peak()
        self._wake()
        assert self._bridge is not None  # noqa: S101 - set by prepare()
        self._bridge.open(spec)
        begun = self._loop.time()
        self._timeout_s = spec.timeout_s
        timer = self._loop.call_later(spec.timeout_s, self.kill, "timeout")
        call = {
            "type": "call",
            "id": spec.invocation_id,
            "invocation_id": spec.invocation_id,
            "deadline": time.time() + spec.timeout_s,
            "timeout_s": spec.timeout_s,
            "auth": spec.auth,
            "attempt": spec.attempt,
            "trace_id": spec.trace_id,
        }
        try:
            frame = await self._exchange(encode(call, spec.event))
        finally:
            timer.cancel()
        duration_s = self._loop.time() - begun
        outcome, error, result = self._judge(frame, spec)
        clean = self._bridge.shut()
        if self.is_usable:
            self._rest_or_end(outcome, clean=clean)
        self._drain()
        self.used_s = self._loop.time()
        billed_s = duration_s + (self._load_s if cold else 0.0)
        return RunResult(
            outcome=outcome,
            result=result,
            error=error,
            logs=self._transcript.items(),
            duration_ms=round(duration_s * 1000, 3),
            billed_ms=max(1, math.ceil(billed_s * 1000)),
            max_memory_mb=self._measure_memory(),
            cold=cold,
        )

    def _rest_or_end(self, outcome: Outcome, *, clean: bool) -> None:
        if outcome in ("crashed", "timeout", "out_of_memory") or not clean:
            self.kill("spoilt")
        else:
            self.come_to_rest()

    async def _exchange(self, data: bytes) -> Frame | None:
        """Send bytes and wait for a frame; None when the sandbox ends instead."""
        assert self._control is not None  # noqa: S101 - set by prepare()
        if self.gone.done():
            return None
        self._reply = self._loop.create_future()
        await self._send(self._control, data)
        return await self._receive()

    async def _receive(self) -> Frame | None:
        """Wait for the frame that is due; None when the sandbox ends instead."""
        reply = self._reply
        assert reply is not None  # noqa: S101 - set by whoever waits
        try:
            await asyncio.wait((reply, self.gone), return_when=asyncio.FIRST_COMPLETED)
            if reply.done() and not self._kill_reason:
                return reply.result()
            await self.gone
            return None
        finally:
            self._reply = None

    async def _send(self, control: socket.socket, data: bytes) -> None:
        try:
            sent = control.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.fault("the control channel is closed")
            return
        if sent == len(data):
            return
        # Only a live sandbox reads on, and a hostile one need not: its end is the end of this.
        rest = self._loop.create_task(self._loop.sock_sendall(control, memoryview(data)[sent:]))
        await asyncio.wait((rest, self.gone), return_when=asyncio.FIRST_COMPLETED)
        if not rest.done():
            rest.cancel()
        elif rest.exception() is not None:
            self.fault("the control channel is closed")

    def _judge(
        self, frame: Frame | None, spec: RunSpec
    ) -> tuple[Outcome, RunError | None, bytes | None]:
        if frame is None:
            return *self._death(), None
        header = frame.header
        found = header.get("outcome")
        is_reply = header.get("type") == "reply" and header.get("id") == spec.invocation_id
        outcome = _REPLY_OUTCOMES.get(found) if isinstance(found, str) else None
        if not is_reply or outcome is None:
            self.fault("a forged reply")
            return "crashed", RunError(type="ProtocolFault", message=self._fault), None
        if outcome == "ok":
            return "ok", None, frame.body
        return outcome, self._guest_error(header), None

    def _guest_error(self, header: dict[str, Any]) -> RunError:
        error = header.get("error")
        if not isinstance(error, dict):
            return RunError(type="Error", message="")
        kind = str(error.get("type", "Error"))[:200]
        message = str(error.get("message", ""))[:_MESSAGE_CAP]
        clean = message.encode("utf-8", "backslashreplace").decode()
        return RunError(
            type=kind.encode("utf-8", "replace").decode(), message=self._redactor.redact(clean)
        )

    def _death(self) -> tuple[Outcome, RunError]:
        """Why the sandbox ended, when it did so in place of an answer."""
        if self._kill_reason == "timeout":
            text = f"The function did not finish within {self._timeout_s:g} s."
            return "timeout", RunError(type="Timeout", message=text)
        if self._kill_reason == "memory" or self._died_of_memory:
            text = f"The function used more than {self.spec.memory_mb} MiB."
            return "out_of_memory", RunError(type="OutOfMemory", message=text)
        if self._fault:
            return "crashed", RunError(type="ProtocolFault", message=self._fault)
        how = self.gone.result()
        if how.is_ours:
            text = "The function host ended the sandbox; the function may have run."
            return "unavailable", RunError(type="ConnectionLost", message=text)
        status = self._status(how)
        if -status in _ABORTS and self._heap_abort.was_seen:
            text = f"The function used more than its {self.spec.memory_mb} MiB allow for its heap."
            return "out_of_memory", RunError(type="OutOfMemory", message=text)
        end = _signal_text(-status) if status < 0 else f"exited with status {status}"
        return "crashed", RunError(type="Crashed", message=f"The function {end}.")

    def _status(self, how: Exit) -> int:
        """Exit code, or minus the signal's number; the keeper of a Node tells it as shells do."""
        beyond = how.status - _SHELL_SIGNALS
        is_signal = self.kind.runtime == "nodejs" and 0 < beyond <= _LAST_SIGNAL
        return -beyond if is_signal else how.status

    # --- rest ----------------------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """Freeze it until the next call; it is killed when it does not stand still."""
        assert self._freezer is not None  # noqa: S101 - set by prepare()
        try:
            self._freezer.freeze()
        except (FreezeError, OSError) as error:
            self.fault(f"cannot be frozen: {error}")
            return
        self.is_frozen = True

    def _wake(self) -> None:
        if not self.is_frozen:
            return
        assert self._freezer is not None  # noqa: S101 - set by prepare()
        self.is_frozen = False
        self._freezer.thaw()

    def _measure_memory(self) -> int:
        """The peak of this call; after the end of the sandbox, what was measured then."""
        if not self.gone.done():
            self.peak_mb = self.slot.group.peak_memory_mb() or self._peak_rss_mb()
        return self.peak_mb

    def _peak_rss_mb(self) -> int:
        """Of Node: of all its processes, since the first of them only keeps the sandbox."""
        pids = descendants(self.pid) if self.kind.runtime == "nodejs" else [self.pid]
        return sum(map(_peak_rss_mb, pids))

    # --- output --------------------------------------------------------------------------------

    def _on_pipe(self, descriptor: int) -> None:
        if self._read_pipe(descriptor) == 0:
            self._loop.remove_reader(descriptor)
        elif self._transcript.is_full:
            # A flood is left waiting in its own pipe instead of keeping this process busy.
            self._loop.remove_reader(descriptor)
            self._loop.call_later(_FLOOD_PAUSE_S, self._listen_again, descriptor)

    def _listen_again(self, descriptor: int) -> None:
        if descriptor in self._pipes:
            self._loop.add_reader(descriptor, self._on_pipe, descriptor)

    def _read_pipe(self, descriptor: int) -> int:
        """Take what is there; the number of bytes, 0 at the end, -1 when there is nothing."""
        try:
            data = os.read(descriptor, _PIPE_READ)
        except BlockingIOError:
            return -1
        self._pipes[descriptor].feed(data, self._transcript)
        if descriptor == self._stderr and self.kind.runtime == "nodejs":
            self._heap_abort.feed(data)
        return len(data)

    def _drain(self) -> None:
        for descriptor, splitter in self._pipes.items():
            for _ in range(8):  # a pipe holds 64 KiB; a flood must not hold us
                if self._read_pipe(descriptor) <= 0:
                    break
            splitter.finish(self._transcript)

    def _discard_idle_output(self) -> None:
        """What a thread wrote between the reply and the freeze belongs to no invocation."""
        self._transcript = Transcript(self._redactor)
        self._drain()

    # --- the end -------------------------------------------------------------------------------

    def _on_control(self) -> None:
        assert self._control is not None  # noqa: S101 - the reader is removed when it is closed
        try:
            data = self._control.recv(self._reader.wanted)
            frames = self._reader.feed(data)
        except BlockingIOError:
            return
        except (OSError, FrameError) as error:
            self._loop.remove_reader(self._control.fileno())
            self.fault(f"the control channel: {error}")
            return
        if not data:
            # Dying, usually: the exit status tells more. If not, it has no business left.
            self._loop.remove_reader(self._control.fileno())
            self._signal_kill()
            return
        for frame in frames:
            if self._reply is None or self._reply.done():
                self.fault("a frame that nobody asked for")
                return
            self._reply.set_result(frame)
        if self._reply is None and not frames:
            self.fault("bytes that nobody asked for")

    def fault(self, reason: str) -> None:
        """Kill the sandbox for breaking the protocol."""
        if not self._fault and not self._kill_reason:
            self._fault = reason
            self._signal_kill()

    def kill(self, reason: str) -> None:
        """Kill everything in the sandbox: `timeout`, `memory`, or a word for the log."""
        if not self._kill_reason and not self.gone.done():
            self._kill_reason = reason
            self._signal_kill()

    def _signal_kill(self) -> None:
        if self._pidfd >= 0 and not self.gone.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def end(self, reason: str) -> None:
        """Kill the sandbox and wait until it is gone."""
        if self._pidfd < 0:
            self._on_exit(Exit(status=0, cpu_s=0.0, max_rss_mb=0))  # it was never born
            return
        self.kill(reason)
        await self.gone

    def _on_exit(self, how: Exit) -> None:
        """Called once, when no process of the sandbox is left."""
        if self.gone.done():
            return
        if self._control is not None and self._reply is not None and not self._reply.done():
            self._on_control()  # what it said last may be noticed after its end
        self._drain()
        group = self.slot.group
        self._died_of_memory = group.oom_kills() > self._oom_kills
        self.peak_mb = group.peak_memory_mb() or how.max_rss_mb
        self.gone.set_result(how)
        if self._control is not None:
            self._loop.remove_reader(self._control.fileno())
            self._control.close()
        if self._bridge is not None:
            self._bridge.close()
        for descriptor in self._pipes:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)
        self._pipes = {}
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        if self.on_gone is not None:
            self.on_gone(self)


def _no_sandbox(reason: str) -> LoadError:
    return LoadError("unavailable", RunError(type="SandboxUnavailable", message=reason), ())


def _setup_failure(frame: Frame | None) -> str:
    if frame is None:
        return "the sandbox ended while it was prepared"
    return f"step {frame.header.get('step')}: {frame.header.get('error')}"


def _signal_text(number: int) -> str:
    try:
        return f"was killed by {signal.Signals(number).name}"
    except ValueError:
        return f"was killed by signal {number}"


def _pid_behind(pidfd: int) -> int:
    """The process's number in this host's own pid namespace."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    raise OSError("the kernel does not tell the pid behind a pidfd")


def _peak_rss_mb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return -(-int(line.split()[1]) >> 10)
    return 0
