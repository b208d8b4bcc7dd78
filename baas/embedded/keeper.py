"""Keep one program running."""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from functools import partial
from signal import Signals

from baas.embedded import child
from baas.embedded.errors import StackError
from baas.embedded.output import Lines, Output
from baas.embedded.process import Backoff, Process
from baas.embedded.runfile import RunFile

_HURRY_GRACE_S = 2.0


class Keeper:
    """Starts a program, and again after each crash, until `stop`.

    Each life is a session of its own; when its leader ends, whatever it had started is killed
    before the next life begins.
    """

    def __init__(
        self,
        process: Process,
        run_file: RunFile,
        output: Output,
        on_crash: Callable[[str, int], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.process = process
        self.pid: int | None = None  # None while it is down
        self._run_file = run_file
        self._output = output
        self._on_crash = on_crash  # called with the name and the crashes in a row
        self._stopping = asyncio.Event()
        self._hurrying = asyncio.Event()
        self._on_failure = on_failure  # called when the keeper itself fails: a fault of ours
        self._task = asyncio.create_task(self._keep(), name=process.name)
        self._task.add_done_callback(self._report_failure)

    async def stop(self) -> None:
        """End it: the stop signal, its grace time, then SIGKILL; returns when all is gone."""
        self._stopping.set()
        await self._task

    def hurry(self) -> None:
        """No more grace time, now or later."""
        self._hurrying.set()

    def _report_failure(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error:
            self._on_failure(error)

    async def _keep(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            born = time.monotonic()
            reason = await self._live()
            if self._stopping.is_set():
                return
            pause_s = backoff.pause_after(time.monotonic() - born)
            again = f"in {pause_s:g} s" if pause_s else "at once"
            self._output.say("stack", f"{self.process.name} {reason}; it starts again {again}")
            self._on_crash(self.process.name, backoff.crashes)
            await _until(self._stopping, pause_s)

    async def _live(self) -> str:
        """One life, from start to end; returns how it ended."""
        lines = Lines(partial(self._output.write, self.process.name))
        try:
            popen = self._spawn(lines.write_end)
        except (OSError, StackError, subprocess.SubprocessError) as error:
            return f"could not be started: {error}"
        finally:
            lines.close_write_end()
        ended = asyncio.create_task(wait_for_end(popen.pid))
        try:
            self.pid = popen.pid
            self._record(popen.pid)
            await _first_of(ended, self._stopping)
            if not ended.done():
                await self._end(popen.pid, ended)
        finally:
            # The leader is not reaped yet, so its group's number cannot be given away meanwhile.
            child.kill_group(popen.pid)
            code = popen.wait()
            self.pid = None
            self._record(None)
            lines.close()
        return f"was ended by {Signals(-code).name}" if code < 0 else f"ended with status {code}"

    def _record(self, pid: int | None) -> None:
        try:
            if pid is None:
                self._run_file.remove(self.process.name)
            else:
                self._run_file.add(self.process, pid)
        except OSError as error:
            # A full disk: the stack goes on as long as it can.
            self._output.say("stack", f"run.json could not be written: {error}")

    def _spawn(self, output: int) -> subprocess.Popen[bytes]:
        process = self.process
        process.prepare()
        return child.spawn(
            process.argv,
            env=process.env,
            cwd=process.cwd,
            stop_signal=process.stop_signal,
            demote=process.demote,
            output=output,
            umask=process.umask,
            pass_fds=process.pass_fds,
        )

    async def _end(self, pid: int, ended: "asyncio.Task[None]") -> None:
        os.kill(pid, self.process.stop_signal)
        await _first_of(ended, self._hurrying, timeout_s=self.process.grace_s)
        if not ended.done() and self._hurrying.is_set():
            os.kill(pid, self.process.hurry_signal)
            await _first_of(ended, timeout_s=_HURRY_GRACE_S)
        if not ended.done():
            name, grace_s = self.process.name, self.process.grace_s
            if not self._hurrying.is_set():
                self._output.say("stack", f"{name} did not end in {grace_s:g} s: killed")
            os.kill(pid, Signals.SIGKILL)
            await ended


async def wait_for_end(pid: int) -> None:
    """Until our child has ended; it stays unreaped."""
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(pid)
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _until(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return


async def _first_of(
    task: "asyncio.Task[None]", event: asyncio.Event | None = None, timeout_s: float | None = None
) -> None:
    waiting = [task] if event is None else [task, asyncio.create_task(_wait(event))]
    await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    if event is not None:
        waiting[1].cancel()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
