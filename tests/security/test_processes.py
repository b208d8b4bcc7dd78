"""Processes: a sandbox sees itself only, and nothing of it survives."""

import os
import time
from pathlib import Path

import pytest

from tests.security.harness import Host


def marked_processes(mark: str) -> list[int]:
    """Processes of this machine whose name was set to `mark` from inside."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "comm").read_text().strip() == mark:
                found.append(int(path.name))
        except OSError:
            continue
    return found


NAMED = """
import ctypes, os, time
def name(text):
    ctypes.CDLL(None).prctl(15, text.encode(), 0, 0, 0)
"""


def test_it_is_alone_in_its_pid_namespace(host: Host) -> None:
    text = """
    import os
    def handler(event, context):
        seen = [p for p in range(2, 3000) if refusal(lambda: os.kill(p, 0)) == "done"]
        return [os.getpid(), os.getppid(), seen]
    """
    assert host.value(text) == [1, 0, []]


def test_killing_everyone_kills_nobody_else(host: Host) -> None:
    neighbour = "import random\nme = random.random()\ndef handler(e, c): return me"
    before = host.value(neighbour, project="bob", function="alive")
    text = """
    import os, signal
    def handler(event, context):
        for pid in (-1, 0, 1, os.getppid(), *range(2, 500)):
            for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
                try:
                    os.kill(pid, number)
                except OSError:
                    pass
        return "tried"
    """
    host.run(text, timeout_s=1.0)
    assert host.value(neighbour, project="bob", function="alive") == before


def test_a_daemon_does_not_survive_its_instance(host: Host) -> None:
    mark = f"dmn{os.getpid()}{host.mode}"
    text = (
        NAMED
        + f"""
def handler(event, context):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            name({mark!r})
            time.sleep(60)
        os._exit(0)
    time.sleep(0.2)
    os._exit(1)
"""
    )
    assert host.run(text).outcome == "crashed"
    deadline = time.monotonic() + 1.0
    while marked_processes(mark) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert marked_processes(mark) == []


def test_no_thread_or_child_runs_after_the_reply(host: Host) -> None:
    text = """
    import os, threading, time
    def tick():
        while True:
            with open("/tmp/ticks", "a") as file:
                file.write("x")
            time.sleep(0.005)
    def handler(event, context):
        if event == "start":
            threading.Thread(target=tick, daemon=True).start()
            if os.fork() == 0:
                tick()
            time.sleep(0.05)
        return os.path.getsize("/tmp/ticks")
    """
    before = host.value(text, "start", function="ticker")
    time.sleep(0.6)
    after = host.value(text, "look", function="ticker")
    assert before > 5
    # 0.6 s of running would have written more than 100 ticks.
    assert after - before < 40


def test_a_process_that_wakes_its_siblings_is_stopped_or_killed(host: Host) -> None:
    text = """
    import os, signal, time
    def handler(event, context):
        for _ in range(3):
            if os.fork() == 0:
                while True:
                    try:
                        os.kill(-1, signal.SIGCONT)
                    except OSError:
                        pass
        return "left three behind"
    """
    result = host.run(text, function="wakers")
    assert result.outcome == "ok" or "frozen" in repr(result.error)
    time.sleep(0.1)
    begun = _cpu_s(host)
    time.sleep(0.4)
    assert _cpu_s(host) - begun < 0.2


def _cpu_s(host: Host) -> float:
    """CPU time of the host and all below it."""
    total = 0.0
    ticks = os.sysconf("SC_CLK_TCK")
    for pid in _tree(host.pid):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / ticks
    return total


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in path.read_text().split()]
            except OSError:
                continue
    return found


def test_it_inherits_no_descriptor_but_its_channels(host: Host) -> None:
    text = """
    import os, stat
    def handler(event, context):
        found = {}
        for fd in range(64):
            try:
                found[fd] = stat.S_IFMT(os.fstat(fd).st_mode)
            except OSError:
                pass
        return found
    """
    found = host.value(text)
    char, pipe, sock = 0o020000, 0o010000, 0o140000
    expected = {"0": char, "1": pipe, "2": pipe, "3": sock, "4": sock, "5": pipe}
    assert found == expected


@pytest.mark.parametrize(
    "crash",
    [
        "os._exit(0)",
        "os.kill(os.getpid(), 9) or time.sleep(5)",
        "ctypes.string_at(1)",
        "sys.setrecursionlimit(10**9) or deep(0)",
        "os.close(3) or time.sleep(5)",
        "os.closerange(0, 64) or time.sleep(5)",
    ],
)
def test_a_crash_is_an_outcome_and_the_next_call_is_served(host: Host, crash: str) -> None:
    text = f"""
    import ctypes, os, sys, time
    class A:
        def __getattr__(self, name): return getattr(self, name)
    def deep(n): return deep(n + 1) + eval("deep(n)", {{"deep": deep, "n": n}})
    def handler(event, context):
        if event: {crash}
        return "well"
    """
    result = host.run(text, True, timeout_s=3.0)
    assert result.outcome in ("crashed", "timeout", "error", "out_of_memory"), result
    assert host.value(text, False) == "well"
    if "recursion" not in crash and "getpid" not in crash:
        assert result.outcome == "crashed"
