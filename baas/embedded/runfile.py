"""`run.json`: what runs now, and after a kill -9, what may still run and must go."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from baas.embedded import processes
from baas.embedded.process import Process


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step, mode 0600: readers see the old or the new text, whole."""
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


class RunFile:
    """The list of running processes, rewritten at each start and end of a child."""

    def __init__(self, path: Path, *, url: str = "") -> None:
        self._path = path
        self._url = url
        self._running: dict[str, dict[str, Any]] = {}

    def add(self, process: Process, pid: int) -> None:
        entry: dict[str, Any] = {"name": process.name, "pid": pid}
        if process.port is not None:
            entry["port"] = process.port
        if process.socket is not None:
            entry["socket"] = str(process.socket)
        # A pid is only a name together with the time of its birth.
        entry["started_ticks"] = processes.started_at(pid)
        self._running[process.name] = entry
        self._write()

    def remove(self, name: str) -> None:
        if self._running.pop(name, None):
            self._write()

    def delete(self) -> None:
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        document = {
            "url": self._url,
            "supervisor": os.getpid(),
            "boot_id": processes.boot_id(),
            "processes": list(self._running.values()),
        }
        write_private(self._path, json.dumps(document, indent=1))


def read(path: Path) -> dict[str, Any] | None:
    """The file's document; None when nothing runs or ran."""
    try:
        document = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return document if isinstance(document, dict) else None


def end_leftovers(path: Path, grace_s: float = 5.0) -> list[str]:
    """End what a killed supervisor left running; returns the names.

    Call only with the data directory's lock held. The children were told to end when their
    supervisor died, so most are gone or going; the rest is killed after the grace time. Only
    processes that are provably those of the file are touched, never a reused pid.
    """
    document = read(path)
    if document is None:
        return []
    left: dict[str, list[int]] = {}
    if document.get("boot_id") == processes.boot_id():
        left = {entry["name"]: _members(entry) for entry in document["processes"]}
        left = {name: pids for name, pids in left.items() if pids}
    deadline = time.monotonic() + grace_s
    for number, until in ((signal.SIGTERM, deadline), (signal.SIGKILL, deadline + 2)):
        waiting = [pid for name, pids in left.items() if name != "postgres" for pid in pids]
        born = {pid: processes.started_at(pid) for pid in waiting}
        for pid in waiting:
            processes.send(pid, number)
        while time.monotonic() < until and any(
            when is not None and processes.started_at(pid) == when for pid, when in born.items()
        ):
            time.sleep(0.01)
    # Postgres is ended by its own rules when it is prepared for the next start.
    path.unlink(missing_ok=True)
    return sorted(left)


def _members(entry: dict[str, Any]) -> list[int]:
    pid, born = entry["pid"], entry["started_ticks"]
    leader = processes.started_at(pid)
    if born is None or (leader is not None and leader != born):
        return []
    # While a member lives its group's number is not given away, so with the leader gone those
    # who carry the number and are younger than the leader are its descendants.
    ages = {member: processes.started_at(member) for member in processes.members(pid)}
    return [member for member, age in ages.items() if age is not None and age >= born]
