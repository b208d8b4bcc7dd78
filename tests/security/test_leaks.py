"""Nothing is left of many lives: no descriptor, process, cgroup or uid in common."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from functions.runner import Runner
from tests.security.harness import Host
from tests.security.test_processes import _tree


def counts(host: Host) -> tuple[int, int]:
    """Open descriptors and processes of the host when it has come to rest."""
    host.runner.forget("leaky")
    deadline = time.monotonic() + 10
    while host.runner.status()["to_prepare"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return len(os.listdir(f"/proc/{host.pid}/fd")), len(_tree(host.pid))


@pytest.mark.parametrize(
    "text",
    [
        "import os\ndef handler(e, c): os._exit(1)",
        "def handler(e, c): return e",
        "def handler(e, c):\n while True: pass",
        "1/0",
        "import os\ndef handler(e, c): os.fork() or os.fork() or __import__('time').sleep(60)",
    ],
    ids=["exit", "ok", "timeout", "load", "children"],
)
def test_many_instances_leave_nothing_behind(host: Host, text: str) -> None:
    host.run("def handler(e, c): return 1", project="leaky")
    before_fds, before_processes = counts(host)
    for number in range(12):
        host.run(f"{text}\n# {number}", project="leaky", timeout_s=0.1)
    after_fds, after_processes = counts(host)
    assert after_fds <= before_fds + 2
    assert after_processes <= before_processes + 1


def test_two_sandboxes_never_share_a_uid(host: Host) -> None:
    if host.mode != "root":
        pytest.skip("an ordinary user has one uid; user namespaces keep sandboxes apart")
    text = "import os, time\ndef handler(e, c): time.sleep(0.3); return os.getuid()"

    def call(number: int) -> int:
        uid: int = host.value(text, function=f"u{number}", project=f"p{number % 3}")
        return uid

    with ThreadPoolExecutor(8) as threads:
        uids = list(threads.map(call, range(8)))
    assert len(set(uids)) == 8
    assert min(uids) >= 200_000


def test_no_cgroup_is_left_of_an_instance(host: Host) -> None:
    host.run("import os\ndef handler(e, c): os._exit(1)", project="leaky")
    counts(host)
    groups = list(Path("/sys/fs/cgroup").glob(f"**/baas-host-{host.pid}/s*"))
    status = host.runner.status()
    names = {path.name for path in groups}
    assert len(names) <= status["instances"] + status["prepared"] + 1


def test_a_forked_process_of_the_product_does_not_share_its_parents_connection(
    host: Host,
) -> None:
    runner = Runner(str(host.socket))
    runner.status()
    child = os.fork()
    if child == 0:
        well = all(runner.status()["ready"] for _ in range(20))
        os._exit(0 if well else 1)
    well = all(runner.status()["ready"] for _ in range(20))
    _, status = os.waitpid(child, 0)
    runner.close()
    assert well
    assert status == 0
