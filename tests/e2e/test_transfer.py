"""Import and export over the wire, while networks break and servers die."""

import json
import socket
import time
from collections.abc import Iterator

import pytest

from .conftest import Stack, wait_until
from .contract import App, code

COUNT = 60_000


@pytest.fixture
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        yield app


@pytest.fixture(scope="module")
def upload() -> bytes:
    """Documents without ids: nothing but the position keeps them from being doubled."""
    return b"".join(
        json.dumps({"n": n, "name": f"name {n}", "tags": ["a", "b"]}).encode() + b"\n"
        for n in range(COUNT)
    )


def head(app: App, length: int, query: str) -> bytes:
    return (
        f"POST {app.path}/db/import?collection=load&{query} HTTP/1.1\r\n"
        f"Host: localhost\r\nAuthorization: Bearer {app.key}\r\n"
        f"Content-Type: application/x-ndjson\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def send_part(app: App, upload: bytes, part: int, query: str) -> socket.socket:
    """A connection on which only a part of the upload has been sent."""
    connection = socket.create_connection(("127.0.0.1", app.stack.port), timeout=60)
    connection.sendall(head(app, len(upload), query) + upload[:part])
    return connection


def status(app: App, import_id: str) -> dict[str, int]:
    reply = app("GET", f"/db/import?import_id={import_id}", app.key)
    found: dict[str, int] = reply.json() if reply.status_code == 200 else {"position": 0}
    return found


def body_of(received: bytes) -> bytes:
    """What has come of a chunked reply."""
    _, _, rest = received.partition(b"\r\n\r\n")
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size or b"0", 16)
        body += rest[:length]
        rest = rest[length + 2 :]
    return body


def numbers(app: App) -> list[int]:
    reply = app("POST", "/db/export", app.key, {"collections": ["load"]})
    assert reply.status_code == 200, reply.text
    *lines, last = reply.text.splitlines()
    assert json.loads(last) == {"end": {"documents": len(lines)}}
    return sorted(json.loads(line)["document"]["n"] for line in lines)


def again(app: App, upload: bytes, query: str) -> dict[str, int]:
    """Send it until the import is done: the server may still be busy with the broken one."""

    def done() -> dict[str, int] | None:
        reply = app(
            "POST",
            f"/db/import?collection=load&{query}",
            app.key,
            upload,
            {"Content-Type": "application/x-ndjson"},
        )
        if reply.status_code in (409, 503):
            assert code(reply) in {"import_in_progress", "service_unavailable"}, reply.text
            return None
        assert reply.status_code == 200, reply.text
        found: dict[str, int] = reply.json()
        return found

    found: dict[str, int] = wait_until(done, 60, "the import")
    return found


def test_a_connection_that_is_cut_loses_and_doubles_nothing(app: App, upload: bytes) -> None:
    for part in (len(upload) // 3, len(upload) // 2):
        connection = send_part(app, upload, part, "import_id=cut")
        wait_until(lambda: status(app, "cut")["position"] > 0, 30, "a first batch")
        connection.close()
    done = again(app, upload, "import_id=cut")
    assert (done["imported"], done["failed"], done["done"]) == (COUNT, 0, True)
    assert numbers(app) == list(range(COUNT))


@pytest.mark.parametrize("name", ["web", "postgres"])
def test_a_server_that_is_killed_loses_and_doubles_nothing(
    app: App, upload: bytes, name: str
) -> None:
    connection = send_part(app, upload, len(upload) * 2 // 3, "import_id=killed")
    wait_until(lambda: status(app, "killed")["position"] > 0, 30, "a first batch")
    app.stack.kill_and_wait(name)
    connection.close()
    position = status(app, "killed")["position"]
    assert 0 < position < len(upload)
    done = again(app, upload[position:], f"import_id=killed&offset={position}")
    assert (done["imported"], done["failed"], done["position"]) == (COUNT, 0, len(upload))
    assert numbers(app) == list(range(COUNT))


@pytest.mark.parametrize("name", ["web", "postgres"])
def test_an_export_that_breaks_off_is_not_taken_for_a_whole_one(
    app: App, upload: bytes, name: str
) -> None:
    """The server dies while it sends: what came has no end, and can go on."""
    again(app, upload, "import_id=whole")
    request = (
        f"POST {app.path}/db/export HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {app.key}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", app.stack.port), timeout=60) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(request)
        received = b""
        while len(received) < 100_000:
            received += connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 200")
        old = app.stack.kill(name)
        while chunk := connection.recv(1 << 20):
            received += chunk
    assert b'{"end":' not in received
    wait_until(lambda: app.stack.pid(name) not in (None, old), 60, "a restart")
    app.stack.wait_ready()
    wait_until(lambda: app("GET", "/db/load/docs?limit=1", app.key).status_code == 200)
    # It goes on behind the last line that came whole.
    lines = body_of(received).split(b"\n")[:-1]  # the last one is not whole
    came = [json.loads(line)["document"] for line in lines if b'"document":' in line]

    def all_came() -> bool:
        # What was connected to a server that died may break this one off, too.
        rest = app("POST", f"/db/export?after=load/{came[-1]['_id']}", app.key)
        lines = rest.text.split("\n")[:-1] if rest.status_code == 200 else []
        came.extend(json.loads(line)["document"] for line in lines if '"document":' in line)
        return bool(lines) and lines[-1].startswith('{"end":')

    wait_until(all_came, 60, "the rest")
    assert sorted(document["n"] for document in came) == list(range(COUNT))


def test_a_reader_that_goes_away_holds_nothing(app: App, upload: bytes) -> None:
    again(app, upload, "import_id=gone")
    request = (
        f"POST {app.path}/db/export HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {app.key}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ).encode()
    for _ in range(8):  # more than run at a time
        with socket.create_connection(("127.0.0.1", app.stack.port), timeout=60) as connection:
            connection.sendall(request)
            first = b""
            deadline = time.monotonic() + 30
            while b"\r\n\r\n" not in first:
                first += connection.recv(65536)
                assert time.monotonic() < deadline
        if not first.startswith(b"HTTP/1.1 200"):
            assert b"too_many_transfers" in first
            time.sleep(1)

    def free() -> bool:
        return app("POST", "/db/export", app.key).status_code == 200

    wait_until(free, 60, "a free place")
