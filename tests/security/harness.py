"""A function host in an empty network namespace, and what attacks need to be run against it."""

import hashlib
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from functions.host.interpreter import base_python
from functions.runner import HostUnreachableError, Runner
from functions.runtypes import RunResult, RunSpec

ROOT = Path(__file__).resolve().parents[2]
ORDINARY_UID = 54_321  # nobody's; the host needs no entry in /etc/passwd
_numbers = itertools.count(1)

# Put before the source of kernel attacks: raw system calls that tell their errno.
PRELUDE = """
import ctypes, errno, os
_libc = ctypes.CDLL(None, use_errno=True)
def syscall(number, *arguments):
    ctypes.set_errno(0)
    converted = [a if isinstance(a, (bytes, ctypes.Array)) else ctypes.c_long(a) for a in arguments]
    if _libc.syscall(ctypes.c_long(number), *converted) >= 0:
        return "done"
    return errno.errorcode[ctypes.get_errno()]
def refusal(attempt):
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return "done"
"""


def package(files: dict[str, str | bytes]) -> bytes:
    """A zip of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            # Without the present time, so that equal files have equal digests.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def source(text: str) -> str:
    """Handler source as it stands in a test, with the prelude."""
    return PRELUDE + textwrap.dedent(text)


def as_ordinary_user() -> list[str]:
    """Command prefix that gives up root."""
    ids = [f"--reuid={ORDINARY_UID}", f"--regid={ORDINARY_UID}", "--clear-groups"]
    return ["setpriv", *ids]


def python_of_ordinary_user() -> str | None:
    """An interpreter with which any user can start the host, None when there is none."""
    for python in (base_python(), "/usr/bin/python3"):
        # The access is asked for inside: setpriv itself still has root's powers when it execs.
        check = "import os, sys, functions.host.server; sys.exit(not os.access(sys.executable, 1))"
        command = [*as_ordinary_user(), python, "-c", check]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, env={"LANG": "C.UTF-8"})
        if done.returncode == 0:
            return python
    return None


def is_root() -> bool:
    """Root of the machine, not only of a user namespace that holds one uid."""
    mapped = Path("/proc/self/uid_map").read_text().split()
    return os.geteuid() == 0 and int(mapped[2]) > 1


def host_command(mode: str) -> list[str] | None:
    """How to start a host in this mode without any network; None when it cannot be done here."""
    if not is_root():
        return ["unshare", "-rn", sys.executable] if mode == "user" else None
    if mode == "root":
        return ["unshare", "-n", sys.executable]
    python = python_of_ordinary_user()
    return python and ["unshare", "-n", *as_ordinary_user(), python]


@dataclass
class Host:
    """A running function host."""

    process: subprocess.Popen[bytes]
    directory: Path
    mode: str
    runner: Runner
    packages: dict[str, bytes] = field(default_factory=dict)

    @property
    def socket(self) -> Path:
        return self.directory / "host.sock"

    def spec(self, code: bytes, event: Any = None, **fields: Any) -> RunSpec:
        digest = hashlib.sha256(code).hexdigest()
        self.packages[digest] = code
        values: dict[str, Any] = {
            "invocation_id": f"inv-{next(_numbers)}",
            "project": "alice",
            "project_slug": "alice-app",
            "function": "attack",
            "version": 1,
            "digest": digest,
            "event": json.dumps(event).encode(),
            "timeout_s": 10.0,
        }
        return RunSpec(**{**values, **fields})

    def run(self, text: str, event: Any = None, **fields: Any) -> RunResult:
        """Run a handler given as source."""
        return self.run_files({"main.py": source(text)}, event, **fields)

    def run_files(
        self, files: dict[str, str | bytes], event: Any = None, **fields: Any
    ) -> RunResult:
        """Run a package."""
        return self.run_spec(self.spec(package(files), event, **fields))

    def run_spec(self, spec: RunSpec) -> RunResult:
        return self.runner.run(spec, lambda: self.packages[spec.digest])

    def value(self, text: str, event: Any = None, **fields: Any) -> Any:
        """Run a handler that must succeed and return its result."""
        result = self.run(text, event, **fields)
        assert result.outcome == "ok", result
        assert result.result is not None
        return json.loads(result.result)

    def assert_neighbour_is_well(self) -> None:
        """Another project's function answers rightly and promptly, and the host is itself."""
        begun = time.monotonic()
        answer = self.value(
            "def handler(event, context): return event + 1",
            41,
            project="bob",
            project_slug="bob-app",
            function="neighbour",
        )
        assert answer == 42
        assert time.monotonic() - begun < 3.0
        status = self.runner.status()
        assert status["ready"], status
        assert status["running"] == 0, status
        assert self.process.poll() is None

    def stop(self) -> None:
        """End the host in the ordinary way and remove what it kept."""
        self.runner.close()
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
        try:
            self.process.wait(15)
        finally:
            self.process.kill()
            shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The host's own process: the command's prefixes exec, they do not fork."""
        return self.process.pid


def start_host(mode: str, *options: str, api_url: str = "http://127.0.0.1:9") -> Host | None:
    """Start a host and wait until it is ready; None when this mode is not possible here."""
    command = host_command(mode)
    if command is None:
        return None
    directory = Path(tempfile.mkdtemp(prefix="fnhost-"))
    if is_root() and mode == "user":
        os.chown(directory, ORDINARY_UID, ORDINARY_UID)
    paths = ["--socket", str(directory / "host.sock"), "--data-dir", str(directory / "data")]
    process = subprocess.Popen(
        [*command, "-m", "functions.host", *paths, "--api-url", api_url, *options],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
    )
    host = Host(process, directory, mode, Runner(str(directory / "host.sock")))
    try:
        wait_until_ready(host)
    except BaseException:
        host.stop()
        raise
    return host


def wait_until_ready(host: Host) -> None:
    deadline = time.monotonic() + 20
    while True:
        assert host.process.poll() is None, "the function host ended at once"
        try:
            status = host.runner.status()
        except HostUnreachableError:
            status = {"ready": False, "problem": ""}
        if status["ready"]:
            return
        assert not status["problem"], status["problem"]
        assert time.monotonic() < deadline, "the function host did not become ready"
        time.sleep(0.02)
