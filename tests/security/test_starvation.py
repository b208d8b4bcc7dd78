"""One tenant keeps the host busy, or keeps what all share: the others must not notice."""

import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.security.api_server import ApiServer
from tests.security.harness import Host
from tests.security.test_processes import _cpu_s

RAW = """
import json, os, socket, threading, time
sock = socket.socket(fileno=4)
def frame(**header):
    packed = json.dumps(header).encode()
    return len(packed).to_bytes(4, "big") + packed
"""


def slowest_neighbour_s(host: Host, calls: int = 5) -> float:
    slowest = 0.0
    for number in range(calls):
        begun = time.monotonic()
        answer = host.value("def handler(e, c): return 1", project="bob", function=f"n{number % 2}")
        assert answer == 1
        slowest = max(slowest, time.monotonic() - begun)
    return slowest


def test_a_flood_of_requests_delays_neither_neighbours_nor_the_deadline(host: Host) -> None:
    text = (
        RAW
        + """
def handler(event, context):
    flood = frame() * 20_000
    if os.fork() == 0:
        while True:
            sock.recv(1 << 20)
    while True:
        sock.sendall(flood)
"""
    )
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        flood = threads.submit(host.run, text, timeout_s=3.0)
        time.sleep(0.5)
        assert slowest_neighbour_s(host) < 1.0
        result = flood.result()
    assert result.outcome == "crashed"
    assert "before the last one was answered" in str(result.error)
    assert time.monotonic() - begun < 4.0


def test_requests_one_by_one_without_pause_do_not_outlive_the_deadline(host: Host) -> None:
    text = (
        RAW
        + """
def handler(event, context):
    request = frame()
    while True:
        sock.sendall(request)
        sock.recv(1 << 16)
"""
    )
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        flood = threads.submit(host.run, text, timeout_s=2.0)
        time.sleep(0.3)
        assert slowest_neighbour_s(host) < 1.0
        result = flood.result()
    assert result.outcome == "timeout"
    assert time.monotonic() - begun < 3.0


def test_bodies_that_never_come_do_not_hold_up_other_projects(host: Host, api: ApiServer) -> None:
    hog = (
        RAW
        + """
def handler(event, context):
    sock.sendall(frame(body=64 << 20, invocation_id=context.invocation_id, method="POST",
                       path="/x", content_type="a/b"))
    time.sleep(60)
"""
    )
    upload = """
    def handler(event, context):
        context.baas.storage.upload("b", "x", b"a" * (3 << 20))
        return "stored"
    """
    with ThreadPoolExecutor(5) as threads:
        hogs = [threads.submit(host.run, hog, function=f"hog{n}", timeout_s=6.0) for n in range(5)]
        time.sleep(1.0)
        begun = time.monotonic()
        assert host.value(upload, project="bob", project_slug="bob-app") == "stored"
        assert time.monotonic() - begun < 2.5
        assert {hog.result().outcome for hog in hogs} == {"timeout"}


@pytest.mark.parametrize(
    "attack",
    [
        # Pages that were touched and left: no process maps them any more.
        """
        m = mmap.mmap(-1, 1 << 30)
        for start in range(0, 400 << 20, 4 << 20):
            for offset in range(start, start + (4 << 20), 4096):
                m[offset] = 1
            m.madvise(mmap.MADV_DONTNEED, start, 4 << 20)
        """,
        """
        fd = os.open("/dev/zero", os.O_RDONLY)
        m = mmap.mmap(fd, 1 << 30, mmap.MAP_SHARED, mmap.PROT_READ)
        for offset in range(0, 400 << 20, 4096):
            m[offset]
        """,
        # A page table for each byte that is read of nothing.
        """
        m = mmap.mmap(-1, 1 << 39, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ)
        for offset in range(0, 80_000 << 21, 1 << 21):
            m[offset]
        time.sleep(1)
        """,
    ],
)
def test_memory_that_no_process_shows_is_counted_or_refused(host: Host, attack: str) -> None:
    body = textwrap.indent(textwrap.dedent(attack), "    ")
    text = "import mmap, os, time\ndef handler(event, context):\n" + body
    result = host.run(text, memory_mb=64, timeout_s=9.0)
    assert result.outcome in ("out_of_memory", "error"), result


def test_a_process_whose_first_thread_has_ended_is_stopped_too(host: Host) -> None:
    text = """
    import signal, threading, time
    def spin():
        while True:
            pass
    def handler(event, context):
        headless = os.fork()
        if headless == 0:
            threading.Thread(target=spin).start()
            _libc.syscall(60 if os.uname().machine == "x86_64" else 93, 0)
        for _ in range(4):
            if os.fork() == 0:
                while True:
                    os.kill(headless, signal.SIGCONT)
        time.sleep(0.1)
        return "left five behind"
    """
    for number in range(4):
        result = host.run(text, function=f"headless{number}")
        assert result.outcome == "ok" or "frozen" in repr(result.error)
    time.sleep(0.2)
    begun = _cpu_s(host)
    time.sleep(0.5)
    assert _cpu_s(host) - begun < 0.2


def test_socket_buffers_do_not_grow_where_nobody_counts_them(host: Host) -> None:
    text = """
    import socket
    def handler(event, context):
        a, b = socket.socketpair()
        a.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        options = (socket.SO_SNDBUF, socket.SO_RCVBUF)
        return [refusal(lambda: a.setsockopt(socket.SOL_SOCKET, o, 1 << 24)) for o in options]
    """
    counted = host.runner.status()["cgroups"] != "none"
    assert host.value(text) == (["done"] * 2 if counted else ["EPERM"] * 2)


def test_no_packet_filter_gets_into_the_kernel(host: Host) -> None:
    text = """
    import ctypes, socket, struct
    def handler(event, context):
        accept_all = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0xFFFF), 8)
        program = struct.pack("HxxxxxxP", 1, ctypes.addressof(accept_all))
        kinds = (socket.AF_UNIX, socket.AF_INET)
        sockets = [socket.socket(kind, socket.SOCK_DGRAM) for kind in kinds]
        return [
            refusal(lambda: s.setsockopt(socket.SOL_SOCKET, option, program))
            for s in sockets for option in (26, 51)
        ]
    """
    assert host.value(text) == ["EPERM"] * 4
