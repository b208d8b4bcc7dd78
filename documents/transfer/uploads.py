"""The bytes of an upload as they come in: whole or not at all, unpacked, from where it stopped."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from baas.kernel.problems import Malformed

CHUNK: Final = 256 * 1024


def read_exactly(read: Callable[[int], bytes], length: int) -> Iterator[bytes]:
    """The body of `length` bytes. Raises Malformed `incomplete_body` when it ends before."""
    left = length
    while left:
        chunk = read(min(CHUNK, left))
        if not chunk:
            raise Malformed(
                f"The upload broke off {left} bytes before its Content-Length: go on from"
                " `position`.",
                code="incomplete_body",
            )
        left -= len(chunk)
        yield chunk


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What gzip has packed, also of several files one after the other. Raises Malformed."""
    unzip = zlib.decompressobj(31)
    is_new = True
    for chunk in chunks:
        data = chunk
        while data:
            try:
                out = unzip.decompress(data, CHUNK)  # a small body may hold a very large one
            except zlib.error as error:
                raise Malformed("The body is not gzip, as Content-Encoding says.") from error
            is_new = False
            if out:
                yield out
            data = unzip.unconsumed_tail
            if unzip.eof:
                data = unzip.unused_data
                unzip, is_new = zlib.decompressobj(31), True
    if not is_new:
        if rest := unzip.flush():
            yield rest
        if not unzip.eof:
            raise Malformed("The gzip stream has no end.", code="incomplete_body")


def behind(chunks: Iterable[bytes], skipped: int) -> Iterator[bytes]:
    """What follows the first bytes. Raises Malformed when there are not so many."""
    left = skipped
    for chunk in chunks:
        if left >= len(chunk):
            left -= len(chunk)
        else:
            yield chunk[left:]
            left = 0
    if left:
        raise Malformed("The upload is shorter than what has been imported of it already.")
