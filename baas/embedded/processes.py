"""Look at running processes through /proc. A pid alone proves nothing: pids are reused."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path


def exe_name(pid: int) -> str | None:
    """The name of the program's file; None when the process is gone or not ours to see."""
    try:
        target = os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None
    # The kernel marks a program that was replaced on disk (an upgrade) while it runs.
    return Path(target.removesuffix(" (deleted)")).name


def cwd(pid: int) -> Path | None:
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return None


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name stands in brackets and may hold anything, brackets too.
    return text.rpartition(")")[2].split()


def started_at(pid: int) -> int | None:
    """Clock ticks since boot: with the pid it names a process. None for the gone and zombies."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def members(group: int) -> Iterator[int]:
    """The living processes of a process group."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields and int(fields[2]) == group and fields[0] not in "ZX":
                yield int(name)


def send(pid: int, number: signal.Signals) -> bool:
    """Signal one process; false when it is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
