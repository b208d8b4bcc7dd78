"""Exhaustion: whatever a function eats, it ends alone."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.runtypes import RunResult
from tests.security.harness import Host


def ended(host: Host, text: str, timeout_s: float = 2.0, **fields: object) -> str:
    begun = time.monotonic()
    result = host.run(text, timeout_s=timeout_s, **fields)
    assert time.monotonic() - begun < timeout_s + 3.0
    return result.outcome


def test_a_fork_bomb_meets_its_limit(host: Host) -> None:
    text = """
    import os, time
    def handler(event, context):
        made = 0
        for _ in range(500):
            try:
                if os.fork() == 0:
                    time.sleep(30)
                    os._exit(0)
                made += 1
            except OSError:
                break
        return made
    """
    assert host.value(text) < 64


def test_an_exponential_fork_bomb_dies_at_the_deadline(host: Host) -> None:
    text = """
    import os
    def handler(event, context):
        while True:
            try:
                os.fork()
            except OSError:
                pass
    """
    assert ended(host, text, 1.0) in ("timeout", "crashed", "out_of_memory")


def test_a_thread_bomb_meets_its_limit(host: Host) -> None:
    text = """
    import threading, time
    def handler(event, context):
        made = 0
        try:
            for _ in range(500):
                threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
                made += 1
        except RuntimeError:
            pass
        return made
    """
    assert host.value(text) < 64


@pytest.mark.parametrize(
    "attack",
    [
        "blocks = []\n    while True: blocks.append(bytearray(1 << 20))",
        "import mmap\n    m = [mmap.mmap(-1, 1 << 20) for _ in range(2000)]\n"
        "    for x in m: x[::4096] = b'x' * 256",
        "x = 'a' * (1 << 30)",
        "import os\n    pids = [os.fork() for _ in range(5)]\n"
        "    blocks = []\n    while True: blocks.append(bytearray(1 << 20))",
    ],
    ids=["heap", "mmap", "string", "children"],
)
def test_a_memory_bomb_is_out_of_memory(host: Host, attack: str) -> None:
    text = f"def handler(event, context):\n    {attack}"
    begun = time.monotonic()
    result = host.run(text, memory_mb=64, timeout_s=8.0)
    assert time.monotonic() - begun < 8.0
    if "mmap" in attack and _is_refused(result):
        return
    assert result.outcome in ("out_of_memory", "crashed"), result
    if "fork" not in attack:
        assert result.outcome == "out_of_memory"


def test_shared_mappings_count_as_memory(host: Host) -> None:
    text = """
    import mmap
    def handler(event, context):
        m = mmap.mmap(-1, 400 << 20)
        for offset in range(0, len(m), 4096):
            m[offset] = 1
        return "done"
    """
    result = host.run(text, memory_mb=64, timeout_s=5.0)
    assert result.outcome == "out_of_memory" or _is_refused(result), result


def _is_refused(result: RunResult) -> bool:
    """Where no cgroup counts memory, shared anonymous mappings are not to be had at all."""
    return "Operation not permitted" in str(result.error)


def test_tmp_is_limited_in_bytes(host: Host) -> None:
    text = """
    def handler(event, context):
        written = 0
        try:
            for n in range(40):
                with open(f"/tmp/f{n}", "wb") as file:
                    written += file.write(b"x" * (8 << 20))
                    file.flush()
        except OSError as error:
            return [error.errno, written]
    """
    errno_found, written = host.value(text, memory_mb=512)
    assert errno_found == 28
    assert written <= 72 << 20


def test_tmp_is_limited_in_files(host: Host) -> None:
    text = """
    def handler(event, context):
        for n in range(100_000):
            try:
                open(f"/tmp/{n}", "w").close()
            except OSError as error:
                return [error.errno, n]
    """
    errno_found, made = host.value(text, memory_mb=256)
    assert errno_found == 28
    assert made <= 4096


def test_a_sparse_file_meets_the_size_limit(host: Host) -> None:
    text = """
    import signal
    def handler(event, context):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with open("/tmp/sparse", "wb") as file:
            file.truncate(1 << 40)
    """
    result = host.run(text)
    assert result.outcome == "error"
    assert result.error is not None
    assert result.error.type == "OSError"


def test_tmp_memory_is_charged_to_the_function(host: Host) -> None:
    if host.runner.status()["cgroups"] == "none":
        pytest.skip("without cgroups /tmp is limited by its own size only")
    text = """
    def handler(event, context):
        with open("/tmp/f", "wb") as file:
            for _ in range(60):
                file.write(b"x" * (1 << 20))
        return "done"
    """
    assert host.run(text, memory_mb=32).outcome == "out_of_memory"


def test_descriptors_are_limited(host: Host) -> None:
    text = """
    def handler(event, context):
        files = []
        try:
            while True:
                files.append(open("/dev/null"))
        except OSError as error:
            return [error.errno, len(files)]
    """
    errno_found, opened = host.value(text)
    assert errno_found == 24
    assert opened < 64


@pytest.mark.parametrize(
    "spin",
    [
        "while True: pass",
        "sum(range(10 ** 12))",
        "'a' * 10 in 'b' * 10 and 0 or (7 ** (7 ** 9))",
        "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
        "import time; time.sleep(1000)",
        "import threading; threading.Lock().acquire(); threading.Event().wait()",
        "import os; os.read(os.pipe()[0], 1)",
    ],
)
def test_a_deadline_holds_against_signals_blocked_and_loops_in_c(host: Host, spin: str) -> None:
    text = f"""
    import signal
    def handler(event, context):
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        try:
            {spin}
        except BaseException:
            handler(event, context)
    """
    begun = time.monotonic()
    assert host.run(text, timeout_s=0.4).outcome == "timeout"
    assert time.monotonic() - begun < 1.5


def test_a_deadline_ends_threads_and_double_forked_children_too(host: Host) -> None:
    text = """
    import os, threading
    def spin():
        while True: pass
    def handler(event, context):
        for _ in range(4):
            threading.Thread(target=spin, daemon=True).start()
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    spin()
                os._exit(0)
        spin()
    """
    assert ended(host, text, 0.5) == "timeout"


def test_a_flood_of_output_is_cut_and_does_not_starve_the_host(host: Host) -> None:
    text = """
    def handler(event, context):
        while True:
            print("x" * 1000)
    """
    with ThreadPoolExecutor(1) as threads:
        flood = threads.submit(host.run, text, timeout_s=1.5)
        time.sleep(0.3)
        begun = time.monotonic()
        assert host.value("def handler(e, c): return 1", project="bob", function="beside") == 1
        assert time.monotonic() - begun < 0.5
        result = flood.result()
    assert result.outcome == "timeout"
    assert len(result.logs) <= 1001
    assert sum(len(item.message) for item in result.logs) <= 257 << 10
    assert "truncated" in result.logs[-1].message


def test_a_flood_without_newline_through_every_descriptor_is_cut(host: Host) -> None:
    text = """
    import os, threading
    def flood(fd):
        while True:
            os.write(fd, b"y" * 65536)
    def handler(event, context):
        for fd in (1, 2, 5):
            threading.Thread(target=flood, args=(fd,), daemon=True).start()
        threading.Event().wait()
    """
    result = host.run(text, timeout_s=1.0)
    assert result.outcome == "timeout"
    assert sum(len(item.message) for item in result.logs) <= 257 << 10


def test_many_timers_and_epolls_are_bounded(host: Host) -> None:
    text = """
    import select
    def handler(event, context):
        kept = []
        try:
            while True:
                kept.append(select.epoll())
        except OSError as error:
            return [error.errno, syscall(222, 0, 0, 0), syscall(253), syscall(294, 0)]
    """
    errno_found, timer, inotify, inotify1 = host.value(text)
    assert errno_found == 24
    assert {timer, inotify, inotify1} <= {"EPERM", "ENOSYS"}


def test_deeply_nested_and_huge_results_are_results_not_accidents(host: Host) -> None:
    text = """
    def handler(event, context):
        value = []
        for _ in range(200_000):
            value = [value]
        return value
    """
    assert host.run(text).outcome == "invalid_response"
    raw = "import os\ndef handler(e, c): return 'x' * 100"
    assert host.run(raw).outcome == "ok"


def test_a_thousand_calls_at_once_leave_the_neighbour_served(host: Host) -> None:
    text = "import time\ndef handler(e, c): time.sleep(0.02)\n"

    def call(_: int) -> str:
        return host.run(text, function="crowd", max_concurrency=20, project="crowd").outcome

    with ThreadPoolExecutor(64) as threads:
        calls = threads.map(call, range(1000))
        slowest = 0.0
        for _ in range(5):
            begun = time.monotonic()
            assert host.value("def handler(e, c): return 2", project="bob", function="calm") == 2
            slowest = max(slowest, time.monotonic() - begun)
        outcomes = set(calls)
    assert outcomes <= {"ok", "throttled"}
    assert "ok" in outcomes
    assert slowest < 2.0


def test_one_project_cannot_take_all_memory_of_the_node(host: Host) -> None:
    text = "import time\ndef handler(e, c): time.sleep(1.5)"
    with ThreadPoolExecutor(8) as threads:
        calls = [
            threads.submit(
                host.run, text, function=f"fat{n}", memory_mb=400, project="greedy", timeout_s=3.0
            )
            for n in range(6)
        ]
        time.sleep(0.4)
        begun = time.monotonic()
        answer = host.value("def handler(e, c): return 3", project="bob", memory_mb=400)
        assert answer == 3
        assert time.monotonic() - begun < 1.0
        assert {call.result().outcome for call in calls} <= {"ok", "throttled"}
