"""Cold and warm invocations through the function host, against a bare interpreter and an echo.

Peers in the same run: a cold call against the start and end of `python -c pass` (a process without
any isolation); a warm call against one JSON message echoed by a child over a socketpair.
`python -m bench.bench_invoke` prints this part alone; it needs no stack.
"""

import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.report import Row, heading, ms, table
from functions.host.interpreter import base_python
from functions.host.nodejs import find
from functions.runner import HostUnreachableError, Runner
from functions.runtypes import RunSpec

_COLD_CALLS = 100
_WARM_CALLS = 2000
_SPACED_CALLS = 200
_SPACE_S = 0.005
_RARE_CALLS = 50
_RARE_S = 0.1  # between calls, as when functions are called now and then
_SOURCES = {
    "python3": ("main.py", "def handler(event, context): return event", "#"),
    "nodejs": ("index.js", "exports.main = async (event) => event;", "//"),
}
_ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def _host() -> Iterator[Runner]:
    with tempfile.TemporaryDirectory(prefix="baas-bench-") as directory:
        socket_path = f"{directory}/host.sock"
        paths = ["--socket", socket_path, "--data-dir", f"{directory}/data"]
        process = subprocess.Popen(
            [sys.executable, "-m", "functions.host", *paths, "--api-url", "http://127.0.0.1:9"],
            cwd=_ROOT,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            stderr=subprocess.DEVNULL,
        )
        runner = Runner(socket_path)
        try:
            _wait(runner)
            yield runner
        finally:
            runner.close()
            process.terminate()
            process.wait(20)


def _wait(runner: Runner) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            status = runner.status()
        except HostUnreachableError:
            status = {"ready": False}
        if status["ready"]:
            return
        time.sleep(0.02)
    raise RuntimeError("the function host did not become ready")


def _package(number: int, runtime: str = "python3") -> bytes:
    file, source, comment = _SOURCES[runtime]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(file, f"{source} {comment} {number}\n")
    return buffer.getvalue()


def _spec(package: bytes, isolation: str = "persist", runtime: str = "python3") -> RunSpec:
    return RunSpec(
        invocation_id="bench",
        project="bench",
        project_slug="bench",
        function="echo",
        version=1,
        digest=hashlib.sha256(package).hexdigest(),
        event=b'{"n":1}',
        isolation=isolation,
        runtime=runtime,
        handler="index.main" if runtime == "nodejs" else "main.handler",
    )


def _times_ms(count: int, call: Callable[[int], None], pause_s: float = 0.0) -> list[float]:
    times = []
    for number in range(count):
        begun = time.perf_counter()
        call(number)
        times.append((time.perf_counter() - begun) * 1000)
        if pause_s:
            time.sleep(pause_s)
    return sorted(times)


def _at(times: list[float], share: float) -> float:
    return times[min(len(times) - 1, int(len(times) * share))]


def _run(runner: Runner, spec: RunSpec, package: bytes) -> None:
    result = runner.run(spec, lambda: package)
    if result.outcome != "ok":
        raise RuntimeError(f"the function failed: {result}")


def _cold(
    runner: Runner, first: int, count: int, pause_s: float, runtime: str = "python3"
) -> list[float]:
    packages = [_package(number, runtime) for number in range(first, first + count)]
    specs = [_spec(package, runtime=runtime) for package in packages]
    # The package is there already: sending and unpacking it is part of a deploy, not of a start.
    for spec, package in zip(specs, packages, strict=True):
        runner.inspect(spec, package)
    return _times_ms(count, lambda n: _run(runner, specs[n], packages[n]), pause_s)


def _node_rows(runner: Runner, echo: list[float]) -> list[Row]:
    """The same with Node; nothing where there is none."""
    node = find()
    if node is None or not runner.status()["runtimes"].get("nodejs"):
        return []
    command = [node.path, "-e", "0"]
    bare = _times_ms(_RARE_CALLS, lambda n: subprocess.run(command, check=True) and None)
    cold = _cold(runner, 2 * _COLD_CALLS, _RARE_CALLS, 4 * _RARE_S, "nodejs")
    package = _package(-1, "nodejs")
    spec = _spec(package, runtime="nodejs")
    _run(runner, spec, package)
    warm = _times_ms(_WARM_CALLS, lambda _: _run(runner, spec, package))
    spaced = _times_ms(_SPACED_CALLS, lambda _: _run(runner, spec, package), _SPACE_S)
    return [
        _row("invoke Node, cold, 400 ms apart", cold, bare, "`node -e 0`"),
        _row("invoke Node, warm, back to back", warm, echo, "JSON echo over a socketpair"),
        _row("invoke Node, warm, 5 ms apart", spaced, echo, "JSON echo over a socketpair"),
    ]


def _bare_python() -> list[float]:
    command = [base_python(), "-I", "-S", "-c", "pass"]
    return _times_ms(_COLD_CALLS, lambda n: subprocess.run(command, check=True) and None)


def _echo() -> list[float]:
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        while data := theirs.recv(65_536):
            theirs.sendall(json.dumps(json.loads(data)).encode())
        os._exit(0)
    theirs.close()

    def exchange(_: int) -> None:
        ours.sendall(b'{"n":1}')
        ours.recv(65_536)

    try:
        return _times_ms(_WARM_CALLS, exchange)
    finally:
        ours.close()
        os.waitpid(child, 0)


def _row(what: str, times: list[float], peer: list[float], name: str) -> Row:
    return Row(
        what=f"{what}, p50 / p99",
        ours=f"{ms(_at(times, 0.5))} / {ms(_at(times, 0.99))}",
        peer=f"{ms(_at(peer, 0.5))} / {ms(_at(peer, 0.99))} ({name})",
        ratio=f"{_at(times, 0.5) / _at(peer, 0.5):.2f}",
    )


def measure() -> list[Row]:
    """Measure, and return the rows of the table."""
    package = _package(-1)
    with _host() as runner:
        bare = _bare_python()
        cold = _cold(runner, 0, _COLD_CALLS, 0.0)
        rare = _cold(runner, _COLD_CALLS, _RARE_CALLS, _RARE_S)
        spec, fresh = _spec(package), _spec(package, "per-call")
        _run(runner, spec, package)
        warm = _times_ms(_WARM_CALLS, lambda _: _run(runner, spec, package))
        spaced = _times_ms(_SPACED_CALLS, lambda _: _run(runner, spec, package), _SPACE_S)
        _run(runner, fresh, package)
        per_call = _times_ms(_RARE_CALLS, lambda _: _run(runner, fresh, package), _RARE_S)
        echo = _echo()
        node_rows = _node_rows(runner, echo)
    return [
        _row("invoke, cold, back to back", cold, bare, "`python -c pass`"),
        _row("invoke, cold, 100 ms apart", rare, bare, "`python -c pass`"),
        _row("invoke, warm, back to back", warm, echo, "JSON echo over a socketpair"),
        _row("invoke, warm, 5 ms apart", spaced, echo, "JSON echo over a socketpair"),
        _row("invoke, fresh sandbox per call, 100 ms apart", per_call, bare, "`python -c pass`"),
        *node_rows,
    ]


if __name__ == "__main__":
    print(heading(), table(measure()), sep="\n\n")
