"""How much CPU each part of the stack used, from /proc: what noise in the timing cannot hide."""

from collections.abc import Mapping
from pathlib import Path


class Meter:
    """CPU seconds of process trees since the meter was made."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._before = self._now()

    def seconds(self) -> dict[str, float]:
        """By name. What processes that have ended meanwhile used is not in it."""
        now = self._now()
        return {
            name: sum(used - self._before[name].get(task, 0) for task, used in tasks.items()) / 1e9
            for name, tasks in now.items()
        }

    def _now(self) -> dict[str, dict[str, int]]:
        children = _children()
        return {name: _tasks(pid, children) for name, pid in self._pids.items()}


def _tasks(pid: int, children: Mapping[int, list[int]]) -> dict[str, int]:
    """Nanoseconds on a processor by thread, of the process and all below it."""
    found: dict[str, int] = {}
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            found[task.name] = int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue  # it has just ended
    for child in children.get(pid, ()):
        found |= _tasks(child, children)
    return found


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        found.setdefault(parent, []).append(int(entry.name))
    return found
