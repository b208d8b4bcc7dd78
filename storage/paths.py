"""Names of buckets and objects: what is accepted, and how prefixes become ranges. Pure.

Paths are kept in Unicode normalisation form NFC: the same name typed on a Mac (which decomposes
accents) and anywhere else is one object, and is found again by either spelling.
"""

import re
import unicodedata
from typing import Final

from baas.kernel.problems import FieldError, Invalid, NotFound

MAX_PATH: Final = 1024  # bytes of UTF-8
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def check_bucket(name: str) -> str:
    """Raises Invalid `invalid_bucket_name`: for the route that makes buckets."""
    if not _BUCKET.fullmatch(name):
        raise Invalid(
            "A bucket's name has 1 to 63 letters, digits, dots, dashes and underscores,"
            " the first a letter or digit.",
            code="invalid_bucket_name",
        )
    return name


def bucket_not_found(name: str) -> NotFound:
    return NotFound(f"There is no bucket {name[:64]!r}.", code="bucket_not_found")


def check_path(path: str, field: str = "path") -> str:
    """The path as it is stored. Raises Invalid `invalid_path`."""
    path = check_prefix(path, field)
    if not path:
        raise _invalid(field, "is empty")
    for segment in path.split("/"):
        if segment in ("", ".", ".."):
            raise _invalid(field, f"has the segment {segment!r}")
    return path


def check_prefix(prefix: str, field: str = "prefix") -> str:
    """A beginning of paths, as they are stored. Raises Invalid `invalid_path`."""
    if not prefix.isascii():
        prefix = unicodedata.normalize("NFC", prefix)
    try:
        length = len(prefix.encode())
    except UnicodeEncodeError as error:
        raise _invalid(field, "is no Unicode text (a lone surrogate)") from error
    if length > MAX_PATH:
        raise _invalid(field, f"is longer than {MAX_PATH} bytes")
    if not prefix.isprintable() and any(unicodedata.category(c) == "Cc" for c in prefix):
        raise _invalid(field, "has control characters")
    return prefix


def _invalid(field: str, why: str) -> Invalid:
    return Invalid(
        f"The path {why}: paths are 1 to {MAX_PATH} bytes of UTF-8 in segments joined by '/',"
        " none of them empty, '.' or '..', without control characters.",
        code="invalid_path",
        errors=[FieldError(field, "invalid_path", why)],
    )


def end_of_prefix(prefix: str) -> str | None:
    """The smallest text greater than every text that starts with `prefix`; None when there is none.

    In code point order, which is the byte order of UTF-8 and of the collation "C".
    """
    for index in range(len(prefix) - 1, -1, -1):
        point = ord(prefix[index])
        if point < 0x10FFFF:
            # Surrogates are no characters of their own.
            following = 0xE000 if point == 0xD7FF else point + 1
            return prefix[:index] + chr(following)
    return None
