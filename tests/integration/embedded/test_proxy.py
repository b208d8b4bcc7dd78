"""The real proxy in front of fake web and realtime servers."""

import contextlib
import json
import os
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest

from baas.embedded import binaries, child, privileges, proxy
from baas.embedded.listener import Listener


class Upstream(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers each request with what it saw; `misbehave` cuts connections instead."""

    daemon_threads = True

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self.seen: list[dict[str, Any]] = []
        self.misbehave = False
        self.reply = b""  # in place of what it saw
        self.answered = threading.Event()
        super().__init__(str(path), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whose connection was cut says so by the test."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                length += len(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            length = len(self.rfile.read(length))
        seen = {
            "server": self.server.name,
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "length": length,
        }
        self.server.seen.append(seen)
        if self.server.misbehave:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        reply = self.server.reply or json.dumps(seen).encode()
        self.send_response(502 if self.path == "/own-502" else 200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply)
        self.server.answered.set()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer

    def log_message(self, *arguments: object) -> None:
        pass


class Front:
    """The proxy with its upstreams."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.listener = Listener("127.0.0.1", 0)
        self.url = self.listener.url
        self._upstreams: list[Upstream] = []
        self._process: subprocess.Popen[bytes] | None = None

    def upstream(self, name: str) -> Upstream:
        server = Upstream(self.directory / f"{name}.sock", name)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        self._upstreams.append(server)
        return server

    def start(self, webs: tuple[str, ...] = ("web",)) -> None:
        conf = self.directory / "nginx.conf"
        (self.directory / "inside.sock").unlink(missing_ok=True)
        conf.write_text(
            proxy.render(
                run_dir=self.directory,
                listen=[self.listener.nginx_address, f"unix:{self.directory / 'inside.sock'}"],
                web=[f"unix:{self.directory / name}.sock" for name in webs],
                realtime=[f"unix:{self.directory / 'realtime.sock'}"],
                access_log=str(self.directory / "access.log"),
                worker_processes=1,
                open_files=1024,
            )
        )
        with (self.directory / "error.log").open("ab") as log:
            self._process = child.spawn(
                [
                    *(str(binaries.nginx()), "-p", str(self.directory)),
                    *("-e", "stderr", "-c", str(conf)),
                ],
                env={"NGINX": f"{self.listener.fd};"},
                cwd=self.directory,
                output=log,
                demote=privileges.demotion().apply,
                pass_fds=(self.listener.fd,),
            )

    def stop(self) -> None:
        if self._process:
            child.stop(self._process, signal.SIGTERM)
        for upstream in self._upstreams:
            upstream.shutdown()
            upstream.server_close()
        self.listener.close()


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    front = Front(tmp_path)
    yield front
    front.stop()


@pytest.fixture
def call(front: Front) -> Iterator[Callable[..., httpx.Response]]:
    with httpx.Client(base_url=front.url, timeout=20) as client:
        yield client.request


def test_it_passes_requests_on_and_says_who_called(front: Front, call: Any) -> None:
    front.upstream("web")
    front.start()
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=6.6.6.6",
        "X-Real-IP": "6.6.6.6",
    }
    for method in ("GET", "POST", "PUT", "DELETE"):
        seen = call(method, "/v1/a//b%2Fc?x=1%202", headers=forged).json()
        assert (seen["method"], seen["path"]) == (method, "/v1/a//b%2Fc?x=1%202")
    headers = seen["headers"]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["host"] == front.url.removeprefix("http://")
    assert not {"x-forwarded-host", "forwarded", "x-real-ip"} & headers.keys()


def test_calls_from_inside_come_without_an_address(front: Front) -> None:
    front.upstream("web")
    front.start()
    inside = str(front.directory / "inside.sock")
    httpx.get(front.url)  # it listens on both by now
    with httpx.Client(transport=httpx.HTTPTransport(uds=inside), base_url="http://b") as client:
        headers = client.get("/", headers={"X-Forwarded-For": "6.6.6.6"}).json()["headers"]
    assert "x-forwarded-for" not in headers


def test_each_request_has_an_id_and_a_harmless_one_is_kept(front: Front, call: Any) -> None:
    front.upstream("web")
    front.start()
    made = call("GET", "/").json()["headers"]["x-request-id"]
    assert len(made) == 32
    given = call("GET", "/", headers={"X-Request-Id": "abc-1"}).json()["headers"]
    assert given["x-request-id"] == "abc-1"
    forged = call("GET", "/", headers={"X-Request-Id": 'a","status":200,"x":"'}).json()["headers"]
    assert len(forged["x-request-id"]) == 32


def test_only_the_realtime_path_reaches_the_realtime_process(front: Front, call: Any) -> None:
    front.upstream("web")
    front.upstream("realtime")
    front.start()
    upgrade = {"Connection": "upgrade", "Upgrade": "websocket"}
    seen = call("GET", "/v1/projects/p1/realtime?token=t", headers=upgrade).json()
    assert seen["server"] == "realtime"
    assert seen["headers"]["upgrade"] == "websocket"
    assert seen["headers"]["connection"] == "upgrade"
    assert seen["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert len(seen["headers"]["x-request-id"]) == 32
    for path in ("/v1/projects/p1/realtime/x", "/v1/projects/p1/db/realtime", "/realtime"):
        seen = call("GET", path, headers=upgrade).json()
        assert seen["server"] == "web"
        assert "upgrade" not in seen["headers"]


def test_a_server_that_is_down_is_a_503_problem_that_asks_to_come_again(
    front: Front, call: Any
) -> None:
    front.start()
    for method in ("GET", "POST", "DELETE"):
        response = call(method, "/v1/x", headers={"X-Request-Id": "req-7"})
        assert response.status_code == 503
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.headers["Retry-After"] == "1"
        assert response.headers["X-Request-Id"] == "req-7"
        problem = response.json()
        assert problem["code"] == "service_unavailable"
        assert problem["status"] == 503
        assert problem["request_id"] == "req-7"
        assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}


def test_the_servers_own_502_is_not_replaced(front: Front, call: Any) -> None:
    front.upstream("web")
    front.start()
    response = call("GET", "/own-502")
    assert response.status_code == 502
    assert response.json()["server"] == "web"


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_a_write_is_never_sent_twice(front: Front, call: Any, method: str) -> None:
    servers = [front.upstream("web-1"), front.upstream("web-2")]
    front.start(webs=("web-1", "web-2"))
    for _ in range(4):  # so that there are idle connections, which nginx treats by other rules
        call("GET", "/")
    for server in servers:
        server.misbehave = True
        server.seen.clear()
    response = call(method, "/v1/x", content=None if method == "DELETE" else b"{}")
    assert response.status_code == 503
    assert response.json()["code"] == "service_unavailable"
    assert len([seen for server in servers for seen in server.seen]) == 1


def test_another_server_takes_over_for_one_that_cannot_be_reached(front: Front, call: Any) -> None:
    server = front.upstream("web-2")
    front.start(webs=("web-1", "web-2"))
    for _ in range(6):
        assert call("POST", "/v1/x", content=b"{}").status_code == 200
    assert len(server.seen) == 6


def test_big_bodies_stream_through_without_touching_the_disk(front: Front, call: Any) -> None:
    front.upstream("web")
    front.start()
    size = 30 * 2**20

    def pieces() -> Iterator[bytes]:
        for _ in range(30):
            yield b"x" * 2**20

    assert call("PUT", "/v1/x", content=pieces()).json()["length"] == size
    assert call("PUT", "/v1/x", content=b"x" * size).json()["length"] == size
    spooled = sum(
        file.stat().st_size
        for name in ("client_body", "proxy")
        for file in (front.directory / name).rglob("*")
    )
    assert spooled == 0


def raw(front: Front, request: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Send bytes as they are; the status, headers and problem of the answer."""
    with socket.create_connection(("127.0.0.1", front.listener.port), 10) as connection:
        connection.sendall(request)
        reply = b""
        while piece := connection.recv(65536):
            reply += piece
    head, _, body = reply.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, json.loads(body)


def test_its_inner_locations_cannot_be_asked_for(front: Front, call: Any) -> None:
    front.upstream("web")
    front.start()
    response = call("GET", "/-problem-/internal_error")
    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        ("NONSENSE", 400, "malformed_request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b", 400, "malformed_request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: " + "x" * 20_000, 431, "headers_too_large"),
        ("GET /" + "x" * 20_000 + " HTTP/1.1\r\nHost: a", 414, "uri_too_long"),
        ("TRACE / HTTP/1.1\r\nHost: a", 405, "method_not_allowed"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nConnection: close",
            501,
            "not_implemented",
        ),
    ],
)
def test_what_the_proxy_refuses_itself_is_a_problem_too(
    front: Front, request_line: str, status: int, code: str
) -> None:
    front.upstream("web")
    front.start()
    got, headers, problem = raw(front, f"{request_line}\r\n\r\n".encode())
    assert (got, problem["status"], problem["code"]) == (status, status, code)
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == problem["request_id"]


def test_callers_wait_instead_of_being_refused_while_it_restarts(front: Front) -> None:
    front.upstream("web")
    front.start()
    assert httpx.get(front.url).status_code == 200
    assert front._process
    os.killpg(front._process.pid, signal.SIGKILL)
    front._process.wait()
    answers: list[int] = []
    caller = threading.Thread(
        target=lambda: answers.append(httpx.get(front.url, timeout=20).status_code)
    )
    caller.start()
    time.sleep(0.3)
    front.start()
    caller.join()
    assert answers == [200]


def test_the_access_log_is_json_with_times(front: Front, call: Any) -> None:
    front.upstream("web")
    front.start()
    call("GET", '/v1/"quoted"?token=secret', headers={"X-Request-Id": "req-9"})
    deadline = time.monotonic() + 5
    while not (text := (front.directory / "access.log").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    line = json.loads(text)
    assert line["request_id"] == "req-9"
    assert line["status"] == 200
    assert line["uri"] == '/v1/"quoted"'
    assert line["duration_s"] >= 0
    assert "secret" not in text


def test_a_chunked_upload_goes_on_with_its_length_or_not_at_all(front: Front, call: Any) -> None:
    web = front.upstream("web")
    front.start()
    path = "/v1/projects/p1/storage/b/objects/a%2Fb"
    seen = call("PUT", path, content=iter([b"x" * 100_000, b"y" * 5])).json()
    assert (seen["path"], seen["length"]) == (path, 100_005)
    assert seen["headers"]["content-length"] == "100005"
    assert "transfer-encoding" not in seen["headers"]
    host, port = front.url.removeprefix("http://").split(":")
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((host, int(port)), 5) as cut_off:
        cut_off.sendall(head.encode() + b"5\r\nhello\r\n")
        time.sleep(0.2)
    time.sleep(0.3)
    assert len(web.seen) == 1


LARGE = 60_000_000


@pytest.mark.parametrize(
    ("start", "length", "is_streamed"),
    [
        ("POST /v1/projects/p/db/notes/aggregate", 2, False),
        ("PUT /v1/projects/p/db/notes/docs/a", 2, False),
        ("POST /v1/projects/p/auth/sign-in", 2, False),
        ("POST /nowhere", 2, False),
        ("PUT /v1/projects/p/storage/b/objects/a", 2, False),
        ("PUT /v1/projects/p/storage/b/objects/a", LARGE - 1, False),
        ("PUT /v1/projects/p/storage/b/objects/a", LARGE, True),
        ("PUT /v1/projects/p/storage/b/objects/a", 5 * 10**9, True),
        ("POST /v1/projects/p/storage/b/objects/a", LARGE, True),
        ("PATCH /v1/projects/p/uploads/1", 2, False),
        ("PATCH /v1/projects/p/uploads/1", LARGE, True),
        ("POST /v1/projects/p/db/import", 2, True),
    ],
)
def test_who_sends_slowly_reaches_the_server_with_large_uploads_only(
    front: Front, start: str, length: int, is_streamed: bool
) -> None:
    begun = threading.Event()
    web = front.upstream("web")
    process = web.process_request

    def noticed(*given: Any) -> None:
        begun.set()
        process(*given)

    web.process_request = noticed  # type: ignore[method-assign]
    front.start()
    with slow_sender(front, start, length) as slow:
        assert begun.wait(10 if is_streamed else 0.5) == is_streamed
        if length == 2:
            slow.sendall(b"2")
            assert slow.recv(65536).startswith(b"HTTP/1.1 200 ")
            assert [each["length"] for each in web.seen] == [2]


def slow_sender(front: Front, start: str, length: int) -> socket.socket:
    """A connection that has sent all of its request but the body's first byte and what follows."""
    url = httpx.URL(front.url)
    slow = socket.create_connection((url.host, url.port or 80))
    slow.sendall(f"{start} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n1".encode())
    return slow


def test_an_address_has_so_many_large_uploads_under_way(front: Front, call: Any) -> None:
    """They keep threads of the web process: an eighth of its 32."""
    front.upstream("web")
    front.start()
    start = "PUT /v1/projects/p/storage/b/objects/a"
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(slow_sender(front, start, LARGE))
        time.sleep(0.3)
        fifth = stack.enter_context(slow_sender(front, start, LARGE))
        reply = fifth.recv(65536)
        assert reply.startswith(b"HTTP/1.1 429 ")
        assert b"Retry-After: 1" in reply
        assert b'"code":"too_many_transfers"' in reply
        assert call("PUT", "/v1/projects/p/storage/b/objects/a", content=b"x").status_code == 200
    time.sleep(0.3)
    with slow_sender(front, start, LARGE) as again:
        again.settimeout(0.5)
        with pytest.raises(TimeoutError):
            again.recv(65536)


def test_who_reads_slowly_keeps_no_thread_of_the_server(front: Front) -> None:
    size = 30_000_000
    web = front.upstream("web")
    web.reply = b"x" * size
    front.start()
    url = httpx.URL(front.url)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((url.host, url.port or 80))
        slow.sendall(b"GET /v1/projects/p/storage/b/objects/a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert web.answered.wait(10)
        received = 0
        while piece := slow.recv(1 << 20):  # and has it all, when it reads on
            received += len(piece)
            if received > size:  # the head comes on top
                break
        assert received > size
