"""Uploads are cut into documents, wherever the network cuts them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.transfer import splitter
from documents.transfer.splitter import MAX_PIECE, Array, Lines, Piece, Splitter

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=6)


def cut(cutter: Splitter, data: bytes, sizes: list[int]) -> list[Piece]:
    pieces, at = [], 0
    for size in [*sizes, len(data)]:
        pieces += cutter.feed(data[at : at + size])
        at += size
    return [*pieces, *cutter.finish()]


def as_lines(documents: list[object], indent: bool) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\r\n" for document in documents)


def as_array(documents: list[object], indent: bool) -> bytes:
    return json.dumps(documents, indent=2 if indent else None, ensure_ascii=not indent).encode()


@given(DOCUMENTS, st.lists(st.integers(1, 9), max_size=40), st.booleans(), st.data())
def test_pieces_are_the_documents_however_they_arrive(
    documents: list[object], sizes: list[int], indent: bool, data: st.DataObject
) -> None:
    for make, text in ((Lines, as_lines(documents, indent)), (Array, as_array(documents, indent))):
        pieces = cut(make(), text, sizes)
        assert [json.loads(piece.text or b"") for piece in pieces] == documents
        if pieces:
            # An interrupted upload goes on behind any piece.
            done = data.draw(st.integers(1, len(pieces)))
            start = pieces[done - 1].end
            rest = cut(splitter.resume(make.form, start), text[start:], sizes)
            assert rest == pieces[done:]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (b" \n[", "array"),
        (b"\xef\xbb\xbf[{}]", "array"),
        (b'{"a":1}', "lines"),
        (b"garbage", "lines"),
    ],
)
def test_the_first_character_tells_the_form(text: bytes, form: str) -> None:
    found = splitter.begin(text)
    assert found is not None
    assert found.form == form


@pytest.mark.parametrize("text", [b"", b" \n", b"\xef\xbb"])
def test_before_the_first_character_nothing_is_known(text: bytes) -> None:
    assert splitter.begin(text) is None


def test_a_line_that_is_too_long_is_passed_over() -> None:
    text = b'{"a":1}\n' + b"x" * (MAX_PIECE + 10) + b'\n{"b":1}\n' + b"y" * (MAX_PIECE * 2 + 1)
    pieces = cut(Lines(), text, [1000] * 100)
    assert [piece.text for piece in pieces] == [b'{"a":1}', None, b'{"b":1}', None]
    assert pieces[-1].end == len(text)


def test_a_member_that_is_too_long_ends_the_array() -> None:
    with pytest.raises(ValueError, match="more than"):
        cut(Array(), b'[{"a":"' + b"x" * (MAX_PIECE + 10), [1000] * 100)


@pytest.mark.parametrize("text", [b"[", b'[{"a":1}', b'[{"a":"]', b"[{}] more", b"[{}][{}"])
def test_an_array_that_does_not_end_well_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="does not end"):
        cut(Array(), text, [3])


def test_what_is_no_object_is_not_lost_silently() -> None:
    pieces = cut(Array(), b'[1, "two", {"a":1}, 5]', [4])
    assert [piece.text for piece in pieces] == [b'1, "two", {"a":1}', b"5"]
