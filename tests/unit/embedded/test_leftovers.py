"""What a killed supervisor left behind is ended; what only looks like it is not touched."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from baas.embedded import child, processes, runfile
from baas.embedded.postgres import Postgres

Start = Callable[..., subprocess.Popen[bytes]]
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started = []

    def begin(*argv: str) -> subprocess.Popen[bytes]:
        popen = subprocess.Popen(argv, start_new_session=True)
        started.append(popen)
        return popen

    yield begin
    for popen in started:
        child.signal_group(popen.pid, signal.SIGKILL)
        popen.wait()


def write(path: Path, *entries: dict[str, Any], boot_id: str | None = None) -> None:
    document = {"boot_id": boot_id or processes.boot_id(), "processes": entries}
    path.write_text(json.dumps(document))


def entry(pid: int, name: str = "web", age: int = 0) -> dict[str, Any]:
    born = processes.started_at(pid)
    assert born
    return {"name": name, "pid": pid, "started_ticks": born + age}


def test_a_process_of_the_run_file_is_ended(tmp_path: Path, start: Start) -> None:
    popen = start("sleep", "600")
    write(tmp_path / "run.json", entry(popen.pid))
    assert runfile.end_leftovers(tmp_path / "run.json") == ["web"]
    assert popen.wait(1) == -signal.SIGTERM
    assert not (tmp_path / "run.json").exists()


def test_one_that_ignores_the_signal_is_killed(tmp_path: Path, start: Start) -> None:
    popen = start(sys.executable, "-c", DEAF)
    time.sleep(0.2)
    write(tmp_path / "run.json", entry(popen.pid))
    runfile.end_leftovers(tmp_path / "run.json", grace_s=0.2)
    assert popen.wait(1) == -signal.SIGKILL


def test_descendants_are_ended_when_their_leader_is_gone(tmp_path: Path, start: Start) -> None:
    popen = start("sh", "-c", "sleep 600 & exec sleep 601")
    deadline = time.monotonic() + 5
    while len(list(processes.members(popen.pid))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    write(tmp_path / "run.json", entry(popen.pid))
    orphan = next(pid for pid in processes.members(popen.pid) if pid != popen.pid)
    popen.kill()
    popen.wait()
    assert processes.started_at(orphan)
    assert runfile.end_leftovers(tmp_path / "run.json") == ["web"]
    assert processes.started_at(orphan) is None


def test_a_reused_pid_is_never_touched(tmp_path: Path, start: Start) -> None:
    popen = start("sleep", "600")
    write(tmp_path / "run.json", entry(popen.pid, age=-500))
    assert runfile.end_leftovers(tmp_path / "run.json") == []
    assert popen.poll() is None


def test_pids_of_an_earlier_boot_are_never_touched(tmp_path: Path, start: Start) -> None:
    popen = start("sleep", "600")
    write(tmp_path / "run.json", entry(popen.pid), boot_id="another")
    assert runfile.end_leftovers(tmp_path / "run.json") == []
    assert popen.poll() is None


def test_a_postmaster_pid_file_with_a_reused_pid_is_removed_and_nobody_hurt(
    tmp_path: Path, start: Start
) -> None:
    stranger = start("sleep", "600")
    (tmp_path / "postmaster.pid").write_text(f"{stranger.pid}\n{tmp_path}\n")
    Postgres(tmp_path, tmp_path, "")._clear_leftovers()
    assert not (tmp_path / "postmaster.pid").exists()
    assert stranger.poll() is None


def test_times_of_birth_are_read_whatever_the_name_of_the_program(
    tmp_path: Path, start: Start
) -> None:
    program = tmp_path / "a) b (c"
    program.symlink_to("/bin/sleep")
    popen = start(str(program), "600")
    here = processes.started_at(os.getpid())
    assert here
    born = processes.started_at(popen.pid)
    assert born
    assert born >= here
