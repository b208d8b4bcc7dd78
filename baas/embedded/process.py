"""What the supervisor knows about a program: a line of the process table."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


def _nothing() -> None:
    return


@dataclass(frozen=True, kw_only=True)
class Process:
    """A program to be kept running."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]  # all of it: nothing is inherited
    cwd: Path
    socket: Path | None = None  # where it listens, for run.json
    port: int | None = None
    prepare: Callable[[], None] = _nothing  # before each start; may raise StackError
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 10.0  # from the stop signal to SIGKILL
    hurry_signal: signal.Signals = signal.SIGKILL  # when the operator asks a second time
    demote: Callable[[], None] | None = None  # leaves root behind, see privileges.py
    umask: int = 0o077
    pass_fds: Sequence[int] = ()


# How long a program must have lived to count as healthy again.
HEALTHY_AFTER_S = 30.0
_LONGEST_PAUSE_S = 10.0


class Backoff:
    """Pauses between restarts: none, then 0.5, 1, 2 … 10 s; from the start after a healthy life."""

    def __init__(self) -> None:
        self.crashes = 0  # in a row

    def pause_after(self, lived_s: float) -> float:
        """Seconds to wait after a life of this length."""
        if lived_s >= HEALTHY_AFTER_S:
            self.crashes = 0
        self.crashes += 1
        if self.crashes == 1:
            return 0.0
        return float(min(0.5 * 2 ** min(self.crashes - 2, 10), _LONGEST_PAUSE_S))
