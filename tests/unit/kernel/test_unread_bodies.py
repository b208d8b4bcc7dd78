"""A refused body is read first: whoever still writes it would not read the refusal."""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

from baas.kernel.http.dataplane import MAX_REST, DataPlane

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


def refuse(environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
    start_response("404 Not Found", [])
    return (b"no",)


def send(body: bytes, **environ: str) -> io.BytesIO:
    stream = io.BytesIO(body)
    plane = DataPlane([], fallback=refuse)
    chunks = plane({"PATH_INFO": "/nothing", "wsgi.input": stream, **environ}, lambda *_: print)
    assert b"".join(chunks) == b"no"
    return stream


@pytest.mark.parametrize("size", [1, 70_000, MAX_REST])
def test_what_the_handler_left_is_read(size: int) -> None:
    assert send(b"x" * size, CONTENT_LENGTH=str(size)).tell() == size


def test_a_body_of_unknown_length_is_read_up_to_a_limit() -> None:
    endless = send(b"x" * (MAX_REST + 200_000), HTTP_TRANSFER_ENCODING="chunked")
    assert MAX_REST <= endless.tell() < MAX_REST + 100_000


def test_nobody_waits_for_what_is_announced_as_huge() -> None:
    stream = io.BytesIO(b"x" * 100)
    environ = {"PATH_INFO": "/", "CONTENT_LENGTH": str(MAX_REST + 1), "wsgi.input": stream}
    chunks = iter(DataPlane([], fallback=refuse)(environ, lambda *_: print))
    assert (next(chunks), stream.tell()) == (b"no", 0)  # the answer comes first
    assert (list(chunks), stream.tell()) == ([], 100)


def test_a_request_without_a_body_is_not_read() -> None:
    assert send(b"x").tell() == 0
