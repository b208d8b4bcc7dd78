"""The frame codec: what goes in comes out, and nothing else does."""

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.sandbox.frames import Frame, FrameError, FrameReader, encode

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
headers = st.dictionaries(st.text().filter(lambda key: key != "body"), json_values, max_size=4)


def reader(header_cap: int = 65_536, body_cap: int = 65_536) -> FrameReader:
    return FrameReader(header_cap, body_cap)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(headers, st.binary(max_size=300)), max_size=5), st.data())
def test_frames_survive_any_cut_of_the_stream(
    frames: list[tuple[dict[str, object], bytes]], data: st.DataObject
) -> None:
    stream = b"".join(encode(header, body) for header, body in frames)
    target, found = reader(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += target.feed(stream[:size])
        stream = stream[size:]
    assert found == [Frame(header, body) for header, body in frames]
    assert target.is_idle


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_garbage_never_raises_anything_but_a_frame_error(data: bytes) -> None:
    try:
        reader(header_cap=256, body_cap=256).feed(data)
    except FrameError:
        return


def test_a_length_over_the_cap_is_refused_before_its_bytes_come() -> None:
    with pytest.raises(FrameError, match="101 bytes"):
        reader(header_cap=100).feed(struct.pack(">I", 101))
    header = json.dumps({"body": 1000}).encode()
    with pytest.raises(FrameError, match="1000"):
        reader(body_cap=999).feed(struct.pack(">I", len(header)) + header)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"7",
        b"null",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"body":-1}',
        b'{"body":true}',
        b'{"body":1.0}',
        b'{"body":"1"}',
        b"{'a':1}",
        b"\xff\xfe",
        b"[" * 9000,
        b'{"a":' * 5000,
    ],
)
def test_headers_that_are_no_object_are_refused(header: bytes) -> None:
    with pytest.raises(FrameError):
        reader().feed(struct.pack(">I", len(header)) + header)


def test_a_partial_frame_is_not_idle() -> None:
    target = reader()
    whole = encode({"a": 1}, b"body")
    assert target.feed(whole[:-1]) == []
    assert not target.is_idle
    assert target.feed(whole[-1:]) == [Frame({"a": 1}, b"body")]
    assert target.is_idle
