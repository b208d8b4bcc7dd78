"""A host whose policy lacks one step must notice by itself and refuse to run code."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.runner import HostUnreachableError, Runner
from tests.security import nodes
from tests.security.harness import ROOT, Host, host_command, package

STEPS = {
    "join_cgroups": "cgroups",
    "leave_namespaces": "namespace",
    "mount_tmp": "/tmp",
    "hide_what_the_zygote_sees": "sees",
    "mount_code": "",
    "limit_resources": "open files",
    "become_nobody": "Cap|root",
    "forbid_new_privileges": "",
    "lock_files": "listen_on_tcp",
    "filter_system_calls": "Seccomp",
}


@pytest.fixture
def place() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="fnless-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def without(step: str, place: Path) -> None:
    """A copy of the product's host whose policy leaves out this step; the whole of it for \"\"."""
    ignore = shutil.ignore_patterns("__pycache__")
    (place / "functions").mkdir()
    for name in ("__init__.py", "runtypes.py", "runner.py"):
        shutil.copy(ROOT / "functions" / name, place / "functions" / name)
    for name in ("host", "sandbox"):
        shutil.copytree(ROOT / "functions" / name, place / "functions" / name, ignore=ignore)
    if not step:
        return
    child = place / "functions" / "sandbox" / "child.py"
    text = child.read_text()
    if step == "hide_what_the_zygote_sees":  # later steps need the other half of it
        left_out, count = re.subn(r"syscalls\.detach\(path\)", "pass", text)
    else:
        left_out, count = re.subn(rf"^    {step},\n", "", text, flags=re.MULTILINE)
    assert count == 1
    child.write_text(left_out)


def verdict(place: Path, command: list[str]) -> dict[str, object]:
    """Start the host of that copy and return its status once it has made up its mind."""
    socket = place / "host.sock"
    paths = ["--socket", str(socket), "--data-dir", str(place / "data")]
    process = subprocess.Popen(
        [*command, "-m", "functions.host", *paths, "--api-url", "http://127.0.0.1:9"],
        cwd=place,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        stderr=subprocess.DEVNULL,
    )
    runner = Runner(str(socket))
    try:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            try:
                status = runner.status()
            except HostUnreachableError:
                status = {}
            if status.get("ready") or status.get("problem"):
                host = Host(process, place, "root", runner)
                code = package({"main.py": "def handler(e, c): return 1"})
                status["outcome"] = host.run_spec(host.spec(code)).outcome
                node = nodes.run(host, "exports.main = () => 1")
                status["node_outcome"] = node.outcome
                return status
            time.sleep(0.02)
        raise AssertionError("the host did not make up its mind")
    finally:
        runner.close()
        os.kill(process.pid, signal.SIGTERM)
        process.wait(20)


@pytest.mark.parametrize("step", STEPS)
def test_the_self_test_notices_that_a_layer_is_missing(place: Path, step: str) -> None:
    command = host_command("root")
    if command is None:
        pytest.skip("only root can be in root mode")
    without(step, place)
    found = verdict(place, command)
    if step == "join_cgroups" and found["cgroups"] == "none":
        pytest.skip("there are no cgroups to join here")
    if step == "lock_files" and int(str(found["landlock_abi"])) < 4:
        pytest.skip("this kernel's Landlock does not know TCP")
    assert not found["ready"], found
    assert found["outcome"] == "unavailable"
    assert re.search(STEPS[step], str(found["problem"])), found["problem"]


NODE_STEPS = {
    "limit_resources": "open files",
    "become_nobody": "status 71",  # the keeper cannot limit what is not its own user's
    "forbid_new_privileges": "",
    "lock_files": "listen_on_tcp",
    "filter_system_calls": "Seccomp",
    "all of the keeper's": "status 71",
    "join_cgroups": "cgroups",
}


def without_for_node(step: str, place: Path) -> None:
    """The same with a policy that is whole for Python and lacks a step for Node."""
    without("", place)
    keeper = place / "functions" / "sandbox" / "keeper.py"
    text = keeper.read_text()
    if step == "all of the keeper's":
        old, new = "take(child.CONFINEMENT, birth", "take((child.mount_code,), birth"
    elif step == "join_cgroups":
        old = "child.PREPARATION[:-1]"
        new = "[s for s in child.PREPARATION[:-1] if s is not child.join_cgroups]"
    else:
        old, new = "step is not child.mount_code", f"step not in (child.mount_code, child.{step})"
    assert text.count(old) == 1
    keeper.write_text(text.replace(old, new))


@pytest.mark.parametrize("step", NODE_STEPS)
def test_the_self_test_notices_a_layer_that_only_node_lacks(place: Path, step: str) -> None:
    command = host_command("root")
    if command is None:
        pytest.skip("only root can be in root mode")
    without_for_node(step, place)
    found = verdict(place, command)
    if found["node_problem"] == "Node is not installed.":
        pytest.skip("Node is not installed here")
    if step == "join_cgroups" and found["cgroups"] == "none":
        pytest.skip("there are no cgroups to join here")
    if step == "lock_files" and int(str(found["landlock_abi"])) < 4:
        pytest.skip("this kernel's Landlock does not know TCP")
    assert (found["ready"], found["outcome"]) == (True, "ok"), found
    assert found["node_outcome"] == "unavailable"
    assert found["node_problem"]
    assert re.search(NODE_STEPS[step], str(found["node_problem"])), found["node_problem"]


def test_a_whole_policy_runs_both(place: Path) -> None:
    command = host_command("root")
    if command is None:
        pytest.skip("only root can be in root mode")
    without("", place)
    found = verdict(place, command)
    assert (found["ready"], found["outcome"]) == (True, "ok"), found
    if found["node_problem"] != "Node is not installed.":
        assert found["node_outcome"] == "ok", found


def test_a_node_that_cannot_be_shown_is_not_in_the_way_of_python(place: Path) -> None:
    command = host_command("root")
    if command is None:
        pytest.skip("only root can be in root mode")
    without("", place)
    programs = place / "functions" / "host" / "programs.py"
    text = programs.read_text()
    assert text.count("(str(_WORKER), ") == 1
    programs.write_text(text.replace("(str(_WORKER), ", '("/nowhere", '))
    found = verdict(place, command)
    if found["node_problem"] == "Node is not installed.":
        pytest.skip("Node is not installed here")
    assert (found["ready"], found["outcome"], found["mode"]) == (True, "ok", "root"), found
    assert found["node_outcome"] == "unavailable"
    assert "/nowhere" in str(found["node_problem"])
