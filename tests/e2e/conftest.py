"""The whole stack as a black box: nothing of ours is imported, everything goes over the wire."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
Check = Callable[[], Any]


def wait_until(check: Check, timeout_s: float = 30.0, what: str = "it") -> Any:
    """Wait until the check gives something true, and return that."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout_s:g} s"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(kw_only=True)
class Stack:
    """One `python -m baas.cli up` on its own data directory and port.

    `start` and `stop` may be called again and again; the data stays.
    """

    data_dir: Path
    port: int = field(default_factory=free_port)
    variables: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """All that the stack sees: nothing of the test session's own environment."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {
            **kept,
            **{name: value for name, value in os.environ.items() if name.endswith("_BIN")},
            "HOME": str(self.data_dir.parent),
            "BAAS_DATA_DIR": str(self.data_dir),
            "BAAS_PORT": str(self.port),
            **self.variables,
        }

    @property
    def log_path(self) -> Path:
        return self.data_dir.with_suffix(".log")

    @property
    def stdout_path(self) -> Path:
        return self.data_dir.with_suffix(".out")

    @property
    def supervisor(self) -> subprocess.Popen[bytes]:
        assert self._process, "the stack was not started"
        return self._process

    @property
    def operator(self) -> dict[str, str]:
        """`operator.json`: url, email, password, token."""
        document: dict[str, str] = json.loads((self.data_dir / "operator.json").read_text())
        return document

    @property
    def token(self) -> str:
        return self.operator["token"]

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of the command line on this data directory."""
        return subprocess.run(
            [sys.executable, "-m", "baas.cli", *arguments],
            cwd=CHECKOUT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, timeout_s: float = 120.0, log: int | None = None) -> float:
        """Start and wait for the `ready:` line; returns the seconds that it took.

        The log goes to `log_path`, or to the descriptor `log`.
        """
        began = time.monotonic()
        with self.log_path.open("a") as log_file, self.stdout_path.open("w") as stdout:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "baas.cli", "up", "--with-parent"],
                cwd=CHECKOUT,
                env=self.environ,
                stdout=stdout,
                stderr=log_file if log is None else log,
                start_new_session=True,
            )

        def ready() -> bool:
            if self.supervisor.poll() is not None:
                pytest.fail(f"the stack ended at its start:\n{self.log()[-6000:]}")
            return f"ready: {self.url}\n" in self.stdout_path.read_text()

        try:
            wait_until(ready, timeout_s, "ready")
        except AssertionError:
            self.stop(signal.SIGKILL)
            pytest.fail(f"the stack was not ready in {timeout_s:g} s:\n{self.log()[-6000:]}")
        return time.monotonic() - began

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 60.0) -> int:
        """Send the signal and wait for the end; returns the exit status."""
        process = self.supervisor
        if process.poll() is None:
            process.send_signal(number)
        return process.wait(timeout_s)

    def processes(self) -> dict[str, dict[str, Any]]:
        """`run.json` by name."""
        document = json.loads((self.data_dir / "run.json").read_text())
        return {entry["name"]: entry for entry in document["processes"]}

    def pid(self, name: str) -> int | None:
        """The pid of a process; None while it is down."""
        entry = self.processes().get(name)
        return entry["pid"] if entry else None

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Kill the process of this name; returns the pid that it had."""
        pid = wait_until(lambda: self.pid(name), what=f"a process {name}")
        os.kill(pid, number)
        return int(pid)

    def kill_and_wait(self, name: str) -> None:
        """Kill it, wait until another one runs in its place and the stack is ready again."""
        old = self.kill(name)
        wait_until(lambda: self.pid(name) not in (None, old), what=f"a restart of {name}")
        self.wait_ready()

    def wait_ready(self, timeout_s: float = 30.0) -> None:
        """Until GET /readyz answers 200."""

        with httpx.Client(timeout=10) as client:

            def ready() -> bool:
                try:
                    return client.get(f"{self.url}/readyz").status_code == 200
                except httpx.TransportError:
                    return False

            wait_until(ready, timeout_s, "/readyz 200")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all end-to-end tests of the session: `url`, `token`, `data_dir`, `kill(name)`.

    Make your own project in it; leave it running.
    """
    stack = Stack(data_dir=tmp_path_factory.mktemp("stack") / "data")
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture
def new_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Makes stacks of their own (not started yet), for tests that break them."""
    made: list[Stack] = []

    def make(**variables: str) -> Stack:
        made.append(Stack(data_dir=tmp_path / f"data{len(made)}", variables=variables))
        return made[-1]

    yield make
    for stack in made:
        if stack._process and stack._process.poll() is None:
            stack.stop()
