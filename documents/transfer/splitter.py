"""Cuts an upload into its documents while it comes in. Pure.

Two forms: lines of JSON, and one JSON array (`mongoexport --jsonArray`). A piece knows where in the
stream it ends, so an interrupted upload can go on behind the last piece that was stored.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

Form: TypeAlias = Literal["lines", "array"]

MAX_PIECE: Final = 4 * 1024 * 1024  # bytes; longer ones cannot be documents and are passed over
_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\r\n"


class Piece(NamedTuple):
    text: bytes | None  # None for one that is longer than MAX_PIECE
    end: int  # offset in the stream behind it


class Splitter(Protocol):
    form: Form

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces that are complete now."""

    def finish(self) -> Iterator[Piece]:
        """The last piece, when nothing more comes. Raises ValueError for an array without end."""


class Lines:
    """A document in each line; empty lines are nothing."""

    form: Form = "lines"

    def __init__(self, start: int = 0) -> None:
        self._rest = b""
        self._at = start  # where the rest begins
        self._is_long = False  # the rest belongs to a line that is passed over

    def feed(self, data: bytes) -> Iterator[Piece]:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self._at += len(line) + 1
            if self._is_long or len(line) > MAX_PIECE:
                self._is_long = False
                yield Piece(None, self._at)
            elif text := line.removeprefix(_BOM).strip(_SPACE):
                yield Piece(text, self._at)
        if len(self._rest) > MAX_PIECE:
            self._is_long = True
            self._at += len(self._rest)
            self._rest = b""

    def finish(self) -> Iterator[Piece]:
        end = self._at + len(self._rest)
        if self._is_long:
            yield Piece(None, end)
        elif text := self._rest.removeprefix(_BOM).strip(_SPACE):
            yield Piece(text, end)


# What changes the depth. A string is one token, so that what it contains is none; without `closed`
# its end has not come yet.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?P<closed>")?|[{}\[\]]', re.DOTALL)


class Array:
    """The members of one array. `start` is 0, or the end of one of its pieces."""

    form: Form = "array"

    def __init__(self, start: int = 0) -> None:
        self._buffer = b""
        self._at = start  # where the buffer begins
        self._scanned = 0  # of the buffer
        self._depth = 0 if start == 0 else 1

    def feed(self, data: bytes) -> Iterator[Piece]:
        self._buffer += data
        begin, scanned = 0, len(self._buffer)
        for token in _TOKEN.finditer(self._buffer, self._scanned):
            symbol = token[0]
            if symbol[:1] == b'"':
                if token["closed"] is None:
                    scanned = token.start()
                    break
            elif symbol in b"{[":
                self._depth += 1
                if self._depth == 1:
                    begin = token.end()
            else:
                self._depth -= 1
                if self._depth == 1 or (self._depth == 0 and symbol == b"]"):
                    end = token.end() if self._depth else token.start()
                    yield from self._piece(begin, end)
                    begin = token.end()
        self._scanned = scanned - begin
        self._at += begin
        self._buffer = self._buffer[begin:]
        if len(self._buffer) > MAX_PIECE:
            raise ValueError(f"a member of the array has more than {MAX_PIECE} bytes")

    def _piece(self, begin: int, end: int) -> Iterator[Piece]:
        if text := self._buffer[begin:end].strip(_SPACE + b","):
            yield Piece(text, self._at + end)

    def finish(self) -> Iterator[Piece]:
        if self._depth != 0 or self._buffer.strip(_SPACE):
            raise ValueError("the array does not end, or something comes behind it")
        yield from ()


def begin(data: bytes) -> Splitter | None:
    """For a stream that begins so; None while that cannot be told."""
    text = data.removeprefix(_BOM)
    if len(data) < len(_BOM) and _BOM.startswith(data):
        return None
    first = text.lstrip(_SPACE)[:1]
    if not first:
        return None
    return Array() if first == b"[" else Lines()


def resume(form: Form, start: int) -> Splitter:
    """For what comes behind the piece that ends at `start`."""
    return Array(start) if form == "array" else Lines(start)
