"""Conditional and range requests (RFC 9110, sections 13 and 14). Pure."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final

from baas.kernel.problems import PreconditionFailed, RangeNotSatisfiable

_RANGE: Final = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE | re.ASCII)


def http_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def names_etag(header: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags (or `*`) names the strong `etag` (given without quotes)."""
    if header.strip() == "*":
        return True
    for item in header.split(","):
        tag = item.strip()
        if tag.startswith("W/"):
            if not weak:
                continue
            tag = tag[2:]
        if tag.strip('"') == etag:  # some clients forget the quotes
            return True
    return False


def _date(text: str | None) -> datetime | None:
    """None for what is no date: such a header is to be ignored."""
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def is_not_modified(header: Callable[[str], str | None], etag: str, modified: datetime) -> bool:
    """Whether the answer is 304. Raises PreconditionFailed for If-Match and If-Unmodified-Since."""
    modified = modified.replace(microsecond=0)
    match = header("If-Match")
    if match is not None:
        if not names_etag(match, etag, weak=False):
            raise PreconditionFailed("The object has another ETag than If-Match names.")
    else:
        until = _date(header("If-Unmodified-Since"))
        if until is not None and modified > until:
            raise PreconditionFailed("The object has changed since If-Unmodified-Since.")
    none_match = header("If-None-Match")
    if none_match is not None:
        return names_etag(none_match, etag, weak=True)
    since = _date(header("If-Modified-Since"))
    return since is not None and modified <= since


def requested_range(
    header: Callable[[str], str | None], etag: str, modified: datetime, size: int
) -> tuple[int, int] | None:
    """(start, end after the last byte) of the part to send; None for the whole object.

    What a server may ignore is ignored: other units, malformed ranges, several ranges at once,
    and every range whose If-Range does not hold. Raises RangeNotSatisfiable.
    """
    text = header("Range")
    if text is None:
        return None
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        return None
    condition = header("If-Range")
    if condition is not None and not _is_current(condition.strip(), etag, modified):
        return None
    first, last = found[1], found[2]
    if not first:
        if not last:
            return None
        start, end = max(0, size - _number(last)), size
        if _number(last) == 0:
            start = size
    else:
        start, end = _number(first), min(size, _number(last) + 1) if last else size
        if last and _number(last) < start:
            return None
    if start >= size:
        raise RangeNotSatisfiable(
            f"The object has {size} bytes: the range lies outside.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, end


def _number(digits: str) -> int:
    # Longer numbers are beyond every object; int() of thousands of digits is slow or refused.
    return int(digits) if len(digits) < 20 else 10**20


def _is_current(condition: str, etag: str, modified: datetime) -> bool:
    if condition.startswith(('"', "W/")):
        return condition == f'"{etag}"'
    since = _date(condition)
    return since is not None and since == modified.replace(microsecond=0)
