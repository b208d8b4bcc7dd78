"""Bytes on their way in: counted, limited and hashed while they pass. Pure."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from baas.kernel.problems import Invalid, Malformed, TooLarge, UnsupportedMediaType
from storage.backends.base import CHUNK

DEFAULT_TYPE: Final = "application/octet-stream"
MAX_TYPE: Final = 255
_WORD: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
# Strictly as in RFC 9110: with a comma outside quotes, browsers would take what follows it for the
# type, and we what stands before it.
_TYPE: Final = re.compile(rf'{_WORD}/{_WORD}( *; *{_WORD}=({_WORD}|"[ !#-\[\]-~]*"))*')
MAX_METADATA: Final = 2048  # bytes of names and values together, as in S3


@dataclass(kw_only=True)
class Upload:
    """A request to keep bytes. `chunks` can be read once."""

    chunks: Iterable[bytes]
    content_type: str = DEFAULT_TYPE
    size: int | None = None  # bytes as announced; None when not known before the end
    metadata: dict[str, str] = field(default_factory=dict)
    only_new: bool = False  # If-None-Match: *
    only_over: str | None = None  # If-Match: the ETags that may be replaced, as in the header
    sha256: str | None = None  # hex; the upload fails when the bytes have another


class Meter:
    """Passes chunks on; afterwards knows their number of bytes and hashes."""

    def __init__(self, max_size: int) -> None:
        self.size = 0
        self._max_size = max_size
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()

    def through(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Raises TooLarge `object_too_large` with the first byte over the limit."""
        for chunk in chunks:
            self.size += len(chunk)
            require_size(self.size, self._max_size)
            self._md5.update(chunk)
            self._sha256.update(chunk)
            yield chunk

    @property
    def md5(self) -> str:
        return self._md5.hexdigest()

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


def read_exactly(read: Callable[[int], bytes], length: int) -> Iterator[bytes]:
    """The body of `length` bytes in chunks. Raises Malformed when it ends before."""
    left = length
    while left:
        chunk = read(min(CHUNK, left))
        if not chunk:
            raise Malformed(
                f"The body ended {left} bytes before its Content-Length: nothing was stored.",
                code="incomplete_body",
            )
        left -= len(chunk)
        yield chunk


def read_all(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The body in chunks, to its end."""
    while chunk := read(CHUNK):
        yield chunk


def require_size(size: int, max_size: int) -> None:
    if size > max_size:
        raise TooLarge(
            f"The object is larger than the {max_size} bytes that the bucket allows.",
            code="object_too_large",
        )


def check_type(content_type: str | None) -> str:
    """The media type as it is stored and served. Raises Invalid `invalid_content_type`."""
    if not content_type:
        return DEFAULT_TYPE
    if len(content_type) > MAX_TYPE or not _TYPE.fullmatch(content_type):
        raise Invalid(
            "The Content-Type is not a media type such as image/jpeg.",
            code="invalid_content_type",
        )
    return content_type


def require_type(content_type: str, allowed: tuple[str, ...]) -> None:
    """Raises UnsupportedMediaType `type_not_allowed`. `allowed` are globs, none: every type."""
    if not allowed:
        return
    media_type = content_type.partition(";")[0].strip().lower()
    if not any(_matches(media_type, glob) for glob in allowed):
        raise UnsupportedMediaType(
            f"The bucket does not take {media_type}; it takes {', '.join(allowed)}.",
            code="type_not_allowed",
        )


def _matches(media_type: str, glob: str) -> bool:
    if glob in ("*", "*/*"):
        return True
    if glob.endswith("/*"):
        return media_type.startswith(glob[:-1])
    return media_type == glob


def check_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Raises Invalid `invalid_metadata`: what cannot be given back in a header, or is too much."""
    total = 0
    for name, value in metadata.items():
        total += len(name) + len(value)
        if not value.isascii() or not value.isprintable():
            raise Invalid(
                f"x-meta-{name} must be printable ASCII: percent-encode other text.",
                code="invalid_metadata",
            )
    if total > MAX_METADATA:
        raise Invalid(
            f"The x-meta-* headers have more than {MAX_METADATA} bytes together.",
            code="invalid_metadata",
        )
    return metadata
