"""Stopping a sandbox between calls, from outside, so that no thread of it runs on after a reply."""

import contextlib
import itertools
import os
import signal
import time
from pathlib import Path
from typing import Protocol

from functions.host.cgroups import Group

_PATIENCE_S = 0.01  # this thread serves all sandboxes
_PAUSE_S = 0.00002  # grows by itself with each pass: a stop takes effect at a kernel exit


class FreezeError(Exception):
    """The sandbox would not stand still; it must be killed."""


class Freezer(Protocol):
    """Stops and continues all processes of one sandbox."""

    def freeze(self) -> None:
        """Stop everything; FreezeError when that does not succeed."""
        ...

    def thaw(self) -> None:
        """Let everything go on."""
        ...


class CgroupFreezer:
    """By cgroup v2: one write, no race."""

    def __init__(self, group: Group) -> None:
        self._group = group

    def freeze(self) -> None:
        self._group.freeze(True)

    def thaw(self) -> None:
        self._group.freeze(False)


def descendants(pid: int) -> list[int]:
    """A process and all below it. Complete only when all of them stand still."""
    found = [pid]
    for parent in found:
        try:
            for task in os.scandir(f"/proc/{parent}/task"):
                children = Path(task.path, "children").read_text().split()
                found.extend(int(child) for child in children)
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
    return found


def _state(path: str) -> bytes:
    """The letter of a process or thread; X when it is gone."""
    try:
        stat = Path(path, "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b"X"
    return stat[stat.rindex(b")") + 2 : stat.rindex(b")") + 3]


def _stands_still(pid: int) -> bool:
    """True when a process is stopped, a zombie or gone."""
    state = _state(f"/proc/{pid}")
    if state != b"Z":
        return state in b"TtX"
    # So does a process look whose first thread has ended while others run.
    try:
        tasks = [task.path for task in os.scandir(f"/proc/{pid}/task")]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return all(_state(task) in b"TtZX" for task in tasks)


class SignalFreezer:
    """By SIGSTOP to every process, again until none moves: a stopped one cannot fork another.

    A running one could continue a stopped one; hence the repetition, and an end to patience.
    """

    def __init__(self, init_pid: int) -> None:
        self._init = init_pid
        self._namespace = os.readlink(f"/proc/{init_pid}/ns/pid")

    def freeze(self) -> None:
        known: set[int] = set()
        deadline = time.monotonic() + _PATIENCE_S
        for passed in itertools.count(1):
            current = descendants(self._init)
            moving = [pid for pid in current if pid not in known or not _stands_still(pid)]
            if not moving:
                return
            self._signal(moving, signal.SIGSTOP)
            known = set(current)
            if passed > 2 and time.monotonic() > deadline:
                break
            time.sleep(_PAUSE_S * passed)
        raise FreezeError("the processes of the sandbox do not stop")

    def thaw(self) -> None:
        self._signal(descendants(self._init), signal.SIGCONT)

    def _signal(self, pids: list[int], number: int) -> None:
        for pid in pids:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended
                self._signal_one(pid, number)

    def _signal_one(self, pid: int, number: int) -> None:
        """Signal a process of this sandbox, never one that was given its number meanwhile.

        The pidfd is opened before the look at the namespace: if the number has gone to another
        process by then, either the look tells, or the pidfd means the one that is dead.
        """
        pidfd = os.pidfd_open(pid)
        try:
            if os.readlink(f"/proc/{pid}/ns/pid") == self._namespace:
                signal.pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)
