"""The same through the real web server: streams, disconnects, kill -9."""

import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from django.conf import settings
from pytest_django import DjangoDbBlocker

from storage.sweeps import sweep
from tests.integration.storage.conftest import BucketClient
from tests.integration.storage.test_forms import BOUNDARY, END, part

MIB = 1024 * 1024


class Server:
    """A web process of its own on the test's database; `kill` and `start` it again at will."""

    def __init__(self, log: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        from django.db import connection

        parts = urlsplit(os.environ["BAAS_DATABASE_URL"])
        database = urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))
        argv = [
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
            *("--blocking-threads", "4", "baas.wsgi:application"),
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                env={**os.environ, "BAAS_DATABASE_URL": database},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{self.url}/healthz", trust_env=False).raise_for_status()
                return
            except httpx.TransportError:
                assert time.monotonic() < deadline, self._log.read_text()[-3000:]
                time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def worker(self) -> int:
        """The process that serves."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[-1])

    def memory_mib(self) -> float:
        status = Path(f"/proc/{self.worker}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def descriptors(self) -> list[str]:
        """The objects that it has open."""
        found = []
        for descriptor in Path(f"/proc/{self.worker}/fd").iterdir():
            try:
                target = os.readlink(descriptor)
            except FileNotFoundError:
                continue
            if target.startswith(objects_root()):
                found.append(target)
        return found


def objects_root() -> str:
    return settings.OBJECT_STORE.removeprefix("file://")


def unfinished() -> list[str]:
    try:
        return os.listdir(f"{objects_root()}/.incoming")
    except FileNotFoundError:
        return []


@pytest.fixture(scope="module")
def server(
    migrated: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("web") / "web.log")
    with django_db_blocker.unblock():
        server.start()
    yield server
    server.kill()


@pytest.fixture
def address(server: Server, bucket: BucketClient) -> Callable[[str], str]:
    return lambda path: f"{server.url}{bucket.path}/objects/{path}"


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def raw(server: Server, head: str, body: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), 10)
    connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    return connection


def test_a_large_object_goes_both_ways_in_constant_memory(
    server: Server, address: Callable[[str], str]
) -> None:
    block, count = os.urandom(MIB), 256
    digest = hashlib.sha256()
    before, peak = server.memory_mib(), 0.0

    def body() -> Iterator[bytes]:
        nonlocal peak
        for number in range(count):
            if number % 16 == 0:
                peak = max(peak, server.memory_mib())
            digest.update(block)
            yield block

    with httpx.Client(timeout=120, trust_env=False) as client:
        reply = client.put(
            address("big"), content=body(), headers={"Content-Length": str(count * MIB)}
        )
        assert reply.status_code == 201, reply.text
        assert reply.json()["size"] == count * MIB
        assert reply.json()["checksum_sha256"] == digest.hexdigest()
        received = hashlib.sha256()
        with client.stream("GET", address("big")) as stream:
            assert stream.headers["content-length"] == str(count * MIB)
            for number, chunk in enumerate(stream.iter_raw()):
                received.update(chunk)
                if number % 64 == 0:
                    peak = max(peak, server.memory_mib())
        assert received.hexdigest() == digest.hexdigest()
        part_ = client.get(address("big"), headers={"Range": f"bytes={MIB - 2}-{MIB + 1}"})
        assert part_.content == block[-2:] + block[:2]
        head = client.head(address("big"))
        assert (head.status_code, head.headers["content-length"]) == (200, str(count * MIB))
        assert client.delete(address("big")).status_code == 204
    assert peak - before < 48, f"{before} MiB grew to {peak} MiB"


def test_a_kill_in_the_middle_of_an_upload_leaves_no_object(
    server: Server, bucket: BucketClient
) -> None:
    head = f"PUT {bucket.path}/objects/a HTTP/1.1\nHost: x\nContent-Length: {10 * MIB}"
    connection = raw(server, head, b"x" * 5 * MIB)
    eventually(lambda: bool(unfinished()))
    server.kill()
    connection.close()
    server.start()
    assert bucket.get("a").code == "object_not_found"
    assert bucket.events() == []
    assert len(unfinished()) == 1
    sweep(older_than_s=0)
    assert unfinished() == []


@pytest.mark.parametrize("sent", [0, 1000, 3 * MIB])
def test_a_client_that_goes_away_leaves_nothing(
    server: Server, bucket: BucketClient, sent: int
) -> None:
    head = f"PUT {bucket.path}/objects/a HTTP/1.1\nHost: x\nContent-Length: {10 * MIB}"
    connection = raw(server, head, b"x" * sent)
    eventually(lambda: bool(unfinished()))
    connection.close()
    eventually(lambda: not unfinished())
    assert bucket.get("a").status == 404
    assert bucket.events() == []


def test_a_form_may_be_chunked_but_not_cut_off(server: Server, bucket: BucketClient) -> None:
    head = (
        f"POST {bucket.path}/objects/a HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    )
    form = part("file", b"x" * 500_000, "x") + END

    def chunk(data: bytes) -> bytes:
        return f"{len(data):x}\r\n".encode() + data + b"\r\n"

    with raw(server, head, chunk(form[:300_000])):
        pass
    time.sleep(0.3)
    eventually(lambda: not unfinished())
    assert bucket.get("a").status == 404
    assert bucket.events() == []
    with raw(server, head, chunk(form[:300_000]) + chunk(form[300_000:]) + b"0\r\n\r\n") as whole:
        assert whole.recv(100).startswith(b"HTTP/1.1 201")
    assert len(bucket.get("a").body) == 500_000


def test_a_chunked_put_is_refused_for_nobody_could_tell_that_it_is_whole(
    server: Server, bucket: BucketClient
) -> None:
    head = f"PUT {bucket.path}/objects/a HTTP/1.1\nHost: x\nTransfer-Encoding: chunked"
    with raw(server, head, b"5\r\nhello\r\n") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 411")
    assert bucket.events() == []


def test_what_is_too_large_is_refused_without_being_read(
    server: Server, bucket: BucketClient
) -> None:
    head = f"PUT {bucket.path}/objects/a HTTP/1.1\nHost: x\nContent-Length: {10**13}"
    with raw(server, head, b"x") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    assert unfinished() == []


def test_a_download_that_is_left_closes_its_file(server: Server, bucket: BucketClient) -> None:
    bucket.put("a", b"x" * 20 * MIB)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", f"{bucket.path}/objects/a")
    reply = connection.getresponse()
    reply.read(MIB)
    eventually(lambda: len(server.descriptors()) == 1)
    reply.close()
    connection.close()
    eventually(lambda: server.descriptors() == [])


def test_a_path_arrives_as_it_was_meant(server: Server, bucket: BucketClient) -> None:
    url = f"{server.url}{bucket.path}/objects"
    with httpx.Client(trust_env=False) as client:
        for sent, kept in (
            ("%E7%9B%B8%20%2B+.jpg", "\u76f8 ++.jpg"),
            ("a%2Fb%3Fc%23d", "a/b?c#d"),
            ("100%25", "100%"),
        ):
            assert client.put(f"{url}/{sent}", content=b"x").json()["path"] == kept
            assert client.get(f"{url}/{sent}").status_code == 200
    for sent in ("%FF", "a//b", "a/%2E%2E/b", "a/../b", "..", "%00"):
        head = f"PUT {bucket.path}/objects/{sent} HTTP/1.1\nHost: x\nContent-Length: 1"
        with raw(server, head, b"x") as connection:
            assert connection.recv(100)[9:12] in (b"400", b"404", b"422"), sent
    assert len(bucket.events()) == 3
