"""Start a program so that it never outlives its parent, and end it with all its descendants."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from baas.embedded import processes

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stop_signal: signal.Signals = signal.SIGTERM,
    demote: Callable[[], None] | None = None,
    output: int | IO[bytes],
    errors: int | IO[bytes] = subprocess.STDOUT,
    umask: int = 0o077,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start the program in a session of its own.

    When the calling thread ends, by kill -9 too, the kernel sends it `stop_signal`: call from the
    main thread. Raises OSError when the program cannot be started.
    """
    parent = os.getpid()

    def prepare() -> None:
        if demote:
            demote()
        # After the demotion: a change of identity clears it.
        _libc.prctl(_PR_SET_PDEATHSIG, stop_signal, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(
        argv,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
        preexec_fn=prepare,  # safe: the supervisor has one thread
        umask=umask,
        pass_fds=pass_fds,
    )


def signal_group(pid: int, number: signal.Signals) -> bool:
    """Signal every process of the group that `pid` leads; false when none is left."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Someone in the group changed identity; the members that we may signal were signalled.
        return True
    return True


def stop(
    process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM, grace_s: float = 10
) -> None:
    """Ask the program to end, wait, then kill what is left of its group. Blocks ≤ grace_s + 1."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            signal_group(process.pid, signal.SIGKILL)
            process.wait()
    kill_group(process.pid)


def kill_group(pid: int, timeout_s: float = 1.0) -> None:
    """Kill every process of the group that this dead program led; waits until they are gone."""
    deadline = time.monotonic() + timeout_s
    while signal_group(pid, signal.SIGKILL) and any(processes.members(pid)):
        if time.monotonic() > deadline:
            return  # in an uninterruptible sleep: it ends when its disk answers
        time.sleep(0.002)
