"""Fake programs under the real supervisor."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from baas.embedded import runfile
from baas.embedded.output import Output
from baas.embedded.process import Process
from baas.embedded.runfile import RunFile
from baas.embedded.supervisor import Supervisor


@dataclass(kw_only=True)
class Desk:
    """A supervisor with its run file and its log."""

    supervisor: Supervisor
    directory: Path

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def run_file(self) -> Mapping[str, Any]:
        return runfile.read(self.directory / "run.json") or {}

    def recorded_pid(self, name: str) -> int | None:
        pids = [e["pid"] for e in self.run_file().get("processes", []) if e["name"] == name]
        return pids[0] if pids else None

    def program(self, name: str, script: str, **options: Any) -> Process:
        """A process that runs a piece of Python."""
        return Process(
            name=name,
            argv=[sys.executable, "-u", "-S", "-c", script],
            env={"PATH": os.defpath},
            cwd=self.directory,
            **options,
        )


@pytest.fixture
def at_desk(tmp_path: Path) -> Callable[[Callable[[Desk], Awaitable[None]]], None]:
    """Run a coroutine function with a desk; whatever it started is ended afterwards."""

    def run(story: Callable[[Desk], Awaitable[None]]) -> None:
        async def whole() -> None:
            output = Output(log.fileno(), colour=False)
            supervisor = Supervisor(RunFile(tmp_path / "run.json"), output)
            try:
                await story(Desk(supervisor=supervisor, directory=tmp_path))
            finally:
                supervisor.hurry()
                await supervisor.stop(supervisor.names)
                output.flush()

        with (tmp_path / "log").open("wb") as log:
            asyncio.run(whole())

    return run


async def until(check: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """Wait until the check holds and return what it says."""
    deadline = time.monotonic() + timeout_s
    while not (found := check()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)
    return found
