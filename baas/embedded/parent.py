"""End with the program that started us: `make`, which keeps some signals to itself."""

import os
import signal
from pathlib import Path

_ASKING = 1 << (signal.SIGINT - 1) | 1 << (signal.SIGHUP - 1)


class Parent:
    """Watches the process that started this one."""

    def __init__(self) -> None:
        self._pid = os.getppid()
        self._caught = _caught(self._pid) if _name(self._pid) in ("make", "gmake") else 0

    def wants_our_end(self) -> bool:
        """Whether it is gone, or waits for us to end.

        GNU make that alone gets SIGINT or SIGHUP takes it for one of the terminal, which its
        children would have got too: it tells them nothing, stops catching the signal, and waits.
        """
        return os.getppid() != self._pid or bool(self._caught & ~_caught(self._pid))


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _caught(pid: int) -> int:
    """Which of these signals the process has a handler for."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    line = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return int(line.split()[1], 16) & _ASKING
