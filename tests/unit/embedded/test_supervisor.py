"""The supervisor, with fake programs."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from baas.embedded import processes
from baas.embedded.errors import StackError
from baas.embedded.process import Backoff
from tests.unit.embedded.conftest import Desk, until

AtDesk = Callable[[Callable[[Desk], Awaitable[None]]], None]

SLEEP = "import time; time.sleep(600)"
# Starts a child that ignores polite signals, writes its pid, then sleeps.
WITH_CHILD = """
import os, signal, time
pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
open("child.pid", "w").write(str(pid))
time.sleep(600)
"""


def test_it_restarts_at_once_what_was_killed(at_desk: AtDesk) -> None:
    async def story(desk: Desk) -> None:
        desk.supervisor.start(desk.program("web", SLEEP))
        first = await until(lambda: desk.recorded_pid("web"))
        killed_at = time.monotonic()
        os.kill(first, signal.SIGKILL)
        second = await until(lambda: desk.recorded_pid("web") not in (None, first))
        assert second
        assert time.monotonic() - killed_at < 0.4
        assert desk.recorded_pid("web") == desk.supervisor.pid("web")
        assert "web was ended by SIGKILL; it starts again at once" in desk.log()

    at_desk(story)


def test_it_pauses_longer_with_each_crash_in_a_row(at_desk: AtDesk) -> None:
    async def story(desk: Desk) -> None:
        desk.supervisor.start(
            desk.program("web", "open('lives','a').write('x'); raise SystemExit(3)")
        )
        lives = desk.directory / "lives"
        await until(lambda: lives.exists() and len(lives.read_text()) == 3)
        assert "web ended with status 3; it starts again at once" in desk.log()
        assert "web ended with status 3; it starts again in 0.5 s" in desk.log()

    at_desk(story)


def test_pauses_double_up_to_ten_seconds_and_a_healthy_life_resets_them() -> None:
    backoff = Backoff()
    assert [backoff.pause_after(1) for _ in range(8)] == [0, 0.5, 1, 2, 4, 8, 10, 10]
    assert backoff.pause_after(31) == 0
    assert backoff.pause_after(1) == 0.5
    for _ in range(5000):  # no overflow after weeks of crashes
        assert backoff.pause_after(1) <= 10


def test_it_gives_up_only_when_a_program_keeps_crashing_before_the_stack_was_ready(
    at_desk: AtDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baas.embedded.process._LONGEST_PAUSE_S", 0.01)

    async def story(desk: Desk) -> None:
        desk.supervisor.start(desk.program("web", "raise SystemExit(1)"))
        with pytest.raises(StackError, match="web ended 5 times in a row"):
            await asyncio.wait_for(desk.supervisor.failed(), 20)

    async def ready_before(desk: Desk) -> None:
        desk.supervisor.was_ready = True
        desk.supervisor.start(
            desk.program("web", "open('lives','a').write('x'); raise SystemExit(1)")
        )
        await until(lambda: desk.log().count("web ended") > 7)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(desk.supervisor.failed(), 0.05)

    at_desk(story)
    at_desk(ready_before)


def test_a_program_that_cannot_be_started_is_tried_again(at_desk: AtDesk) -> None:
    async def story(desk: Desk) -> None:
        calls: list[int] = []

        def fail_once() -> None:
            calls.append(1)
            if len(calls) == 1:
                raise StackError("the disk is full")

        desk.supervisor.start(desk.program("web", SLEEP, prepare=fail_once))
        await until(lambda: desk.recorded_pid("web"))
        assert "web could not be started: the disk is full" in desk.log()

    at_desk(story)


def test_what_a_crashed_program_had_started_is_dead_before_the_restart(at_desk: AtDesk) -> None:
    async def story(desk: Desk) -> None:
        desk.supervisor.start(desk.program("web", WITH_CHILD))
        pid_file = desk.directory / "child.pid"
        await until(lambda: pid_file.exists() and pid_file.read_text())
        child, leader = int(pid_file.read_text()), desk.recorded_pid("web")
        assert leader
        assert processes.started_at(child)
        os.kill(leader, signal.SIGKILL)
        await until(lambda: desk.recorded_pid("web") not in (None, leader))
        assert processes.started_at(child) is None

    at_desk(story)


def test_stopping_ends_descendants_that_ignore_the_signal(at_desk: AtDesk) -> None:
    async def story(desk: Desk) -> None:
        desk.supervisor.start(desk.program("web", WITH_CHILD))
        pid_file = desk.directory / "child.pid"
        await until(lambda: pid_file.exists() and pid_file.read_text())
        await desk.supervisor.stop(["web"])
        assert processes.started_at(int(pid_file.read_text())) is None
        assert desk.run_file()["processes"] == []

    at_desk(story)


def test_stopping_sends_the_programs_own_signal_and_waits_for_it(at_desk: AtDesk) -> None:
    script = """
import signal, sys, time
def end(*_):
    print("ending"); time.sleep(0.2); print("ended"); sys.exit(0)
signal.signal(signal.SIGINT, end)
print("up")
time.sleep(600)
"""

    async def story(desk: Desk) -> None:
        desk.supervisor.start(desk.program("postgres", script, stop_signal=signal.SIGINT))
        await until(lambda: "| up" in desk.log())
        await desk.supervisor.stop(["postgres"])
        assert "postgres      | ended\n" in desk.log()

    at_desk(story)


def test_a_program_that_does_not_end_is_killed_after_its_grace_time(at_desk: AtDesk) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); "

    async def story(desk: Desk) -> None:
        desk.supervisor.start(desk.program("web", deaf + "time.sleep(600)", grace_s=0.3))
        await until(lambda: "| up" in desk.log())
        began = time.monotonic()
        await desk.supervisor.stop(["web"])
        assert 0.3 <= time.monotonic() - began < 1
        assert "web did not end in 0.3 s: killed" in desk.log()

    at_desk(story)


def test_a_second_request_ends_without_grace(at_desk: AtDesk) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); "

    async def story(desk: Desk) -> None:
        desk.supervisor.start(desk.program("web", deaf + "time.sleep(600)", grace_s=60))
        await until(lambda: "| up" in desk.log())
        stopping = asyncio.create_task(desk.supervisor.stop(["web"]))
        await asyncio.sleep(0.1)
        assert not stopping.done()
        desk.supervisor.hurry()
        await asyncio.wait_for(stopping, 2)

    at_desk(story)


def test_stopping_cuts_a_pause_short(at_desk: AtDesk) -> None:
    async def story(desk: Desk) -> None:
        desk.supervisor.start(desk.program("web", "raise SystemExit(1)"))
        await until(lambda: "starts again in 1 s" in desk.log())
        began = time.monotonic()
        await desk.supervisor.stop(["web"])
        assert time.monotonic() - began < 0.5

    at_desk(story)


def test_log_lines_carry_the_name_of_their_writer(at_desk: AtDesk) -> None:
    script = "import sys; print('one'); print('two', file=sys.stderr); sys.stdout.write('end')"

    async def story(desk: Desk) -> None:
        desk.supervisor.start(desk.program("worker-1", script))
        await until(lambda: "starts again" in desk.log())
        for line in ("one", "two", "end"):
            assert f"worker-1      | {line}\n" in desk.log()

    at_desk(story)


def test_the_run_file_names_sockets_and_ports_and_is_private(at_desk: AtDesk) -> None:
    async def story(desk: Desk) -> None:
        desk.supervisor.start(desk.program("web", SLEEP, socket=Path("/s/web.sock")))
        desk.supervisor.start(desk.program("proxy", SLEEP, port=8000))
        await until(lambda: len(desk.run_file().get("processes", [])) == 2)
        by_name = {entry["name"]: entry for entry in desk.run_file()["processes"]}
        assert by_name["web"]["socket"] == "/s/web.sock"
        assert by_name["proxy"]["port"] == 8000
        assert (desk.directory / "run.json").stat().st_mode & 0o777 == 0o600

    at_desk(story)


def test_children_inherit_no_variable_and_no_descriptor(at_desk: AtDesk) -> None:
    script = "import os; print(sorted(os.environ), sorted(os.listdir('/proc/self/fd')))"

    async def story(desk: Desk) -> None:
        os.environ["LEAKED"] = "1"
        try:
            desk.supervisor.start(desk.program("host", script))
            await until(lambda: "host          |" in desk.log())
        finally:
            del os.environ["LEAKED"]
        line = next(line for line in desk.log().splitlines() if line.startswith("host"))
        assert "LEAKED" not in line
        assert "PATH" in line
        assert line.endswith("['0', '1', '2', '3']")  # 3 lists the directory itself

    at_desk(story)


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    parent = f"""
import os, signal, subprocess, sys, time
from pathlib import Path
from baas.embedded import child
popen = child.spawn([sys.executable, "-c", {SLEEP!r}], env={{}}, cwd=Path("/"),
                    output=subprocess.DEVNULL)
print(popen.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", parent],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[3],
    ) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        assert processes.started_at(pid)
        process.kill()
    deadline = time.monotonic() + 5
    while processes.started_at(pid) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
