"""Reading timestamps and durations. The SQL back end repeats TIMESTAMP in Postgres."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final

# RFC 3339, narrowed to what Python and PostgreSQL both read alike (no leap second, no 24:00).
TIMESTAMP: Final = (
    "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    "T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,9})?"
    "(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
)
EARLIEST: Final = datetime(1, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
MAX_SPAN_SECONDS: Final = 320_000_000_000  # a little more than from EARLIEST to LATEST

_TIMESTAMP: Final = re.compile(TIMESTAMP)
_NANOSECONDS: Final = re.compile(r"(\.[0-9]{6})[0-9]+")
_SPAN: Final = re.compile(r"([+-]?)((?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:h|ms|m|s|us|ns))+")
_SPAN_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(h|ms|m|s|us|ns)")
_MICROSECONDS: Final = {
    "h": Fraction(3_600_000_000),
    "m": Fraction(60_000_000),
    "s": Fraction(1_000_000),
    "ms": Fraction(1_000),
    "us": Fraction(1),
    "ns": Fraction(1, 1000),
}


def read_timestamp(text: str) -> datetime | None:
    """The moment in UTC that RFC 3339 `text` names, cut to microseconds; None if it names none."""
    if _TIMESTAMP.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(_NANOSECONDS.sub(r"\1", text)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_span(text: str) -> timedelta | None:
    """The time that `text` (such as "1h30m" or "-1.5s") lasts, cut to microseconds, or None."""
    if len(text) > 100 or _SPAN.fullmatch(text) is None:
        return None
    total = sum(
        (Fraction("0" + number) * _MICROSECONDS[unit] for number, unit in _SPAN_PART.findall(text)),
        Fraction(0),
    )
    if total > MAX_SPAN_SECONDS * 1_000_000:
        return None
    return timedelta(microseconds=-int(total) if text[0] == "-" else int(total))


def write_timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with as many fractional digits as needed."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
