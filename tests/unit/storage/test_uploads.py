import hashlib
import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.kernel.problems import Invalid, Malformed, Problem, TooLarge, UnsupportedMediaType
from storage.backends.base import CHUNK
from storage.multipart import FileForm
from storage.uploads import (
    Meter,
    check_metadata,
    check_type,
    read_exactly,
    require_type,
)


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_the_meter_changes_nothing_and_knows_everything(chunks: list[bytes]) -> None:
    meter, whole = Meter(10**6), b"".join(chunks)
    assert b"".join(meter.through(chunks)) == whole
    assert meter.size == len(whole)
    assert meter.md5 == hashlib.md5(whole).hexdigest()
    assert meter.sha256 == hashlib.sha256(whole).hexdigest()


def test_the_meter_stops_at_the_first_byte_too_many() -> None:
    passing = Meter(10).through([b"x" * 10, b"y", b"z"])
    assert next(passing) == b"x" * 10
    with pytest.raises(TooLarge) as refused:
        next(passing)
    assert refused.value.code == "object_too_large"


@pytest.mark.parametrize("length", [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_a_body_is_read_to_its_length_and_not_further(length: int) -> None:
    source = io.BytesIO(b"x" * length + b"the next request")
    chunks = list(read_exactly(source.read, length))
    assert sum(map(len, chunks)) == length
    assert all(len(chunk) <= CHUNK for chunk in chunks)
    assert source.read() == b"the next request"


def test_a_body_that_ends_early_is_malformed() -> None:
    with pytest.raises(Malformed) as refused:
        list(read_exactly(io.BytesIO(b"x" * 5).read, 6))
    assert refused.value.code == "incomplete_body"


def test_types_match_by_glob() -> None:
    for allowed in ((), ("image/*",), ("image/png",), ("*/*",), ("*",), ("text/plain", "image/*")):
        require_type("Image/PNG; q=1", allowed)
    for allowed in (("image/p",), ("video/*",), ("imag/*",), ("text/plain",)):
        with pytest.raises(UnsupportedMediaType):
            require_type("image/png", allowed)


@pytest.mark.parametrize(
    "content_type",
    [
        "image/png",
        "text/plain; charset=utf-8",
        "text/plain;charset=UTF-8",
        'video/mp4; codecs="avc1.42E01E, mp4a.40.2"',
        "application/vnd.api+json; a=1; b=2",
    ],
)
def test_types_that_clients_send_are_kept(content_type: str) -> None:
    assert check_type(content_type) == content_type


@pytest.mark.parametrize(
    "content_type",
    [
        "image/png, text/html",
        "image/png; x, text/html",
        "image/png; x=1, text/html",
        'image/png; x="a", text/html',
        'image/png; x="a\\", text/html"',
        "image/png;",
        "image",
        "image/",
        "/png",
        "a b/c",
        "a/" + "b" * 300,
        "a/b\n",
    ],
)
def test_types_that_could_be_read_in_two_ways_are_refused(content_type: str) -> None:
    with pytest.raises(Invalid):
        check_type(content_type)


@given(st.text(max_size=80))
def test_no_content_type_can_break_out_of_its_header(text: str) -> None:
    try:
        accepted = check_type(text)
    except Invalid:
        return
    assert accepted.isascii()
    assert accepted.isprintable()
    assert "/" in accepted


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=40)))
def test_no_metadata_can_break_out_of_its_header(metadata: dict[str, str]) -> None:
    try:
        accepted = check_metadata(metadata)
    except Invalid:
        return
    assert all(value.isascii() and value.isprintable() for value in accepted.values())


def form_of(body: bytes, sizes: random.Random) -> FileForm:
    source = io.BytesIO(body)

    def chunks():  # type: ignore[no-untyped-def]
        while chunk := source.read(sizes.randint(1, 40)):
            yield chunk

    return FileForm("multipart/form-data; boundary=XX", chunks())


@given(st.binary(max_size=200), st.binary(max_size=50), st.randoms())
def test_a_form_gives_its_file_however_it_is_cut_into_chunks(
    content: bytes, other: bytes, sizes: random.Random
) -> None:
    if b"\r\n--XX" in b"\r\n" + content + other:
        return
    body = (
        b'--XX\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + other + b"\r\n"
        b'--XX\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
        b"Content-Type: image/png\r\n\r\n" + content + b"\r\n--XX--\r\n"
    )
    form = form_of(body, sizes)
    assert form.content_type == "image/png"
    assert b"".join(form.chunks()) == content
    cut = body[: sizes.randint(0, len(body) - 5)]
    with pytest.raises(Problem):
        list(form_of(cut, sizes).chunks())


@given(st.binary(max_size=300), st.randoms())
def test_garbage_is_refused_as_a_problem(body: bytes, sizes: random.Random) -> None:
    with pytest.raises(Problem):
        list(form_of(b"--XX\r\n" + body, sizes).chunks())
