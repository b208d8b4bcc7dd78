"""Dates as they are stored: texts of UTC with milliseconds, which sort as they follow. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_DATE: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def canonical(text: str) -> str:
    """RFC 3339 text as UTC with milliseconds (finer parts are cut). Raises ValueError."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no RFC 3339 time")
    day, clock, fraction, zone = match.groups()
    millis = ((fraction or "") + "000")[:3]
    if zone in "Zz":
        datetime.fromisoformat(f"{day}T{clock}")  # raises for the 30th of February
        return f"{day}T{clock}.{millis}Z"
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{zone}").astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is out of range") from error
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{millis}Z".rjust(24, "0")


def of_milliseconds(milliseconds: int) -> str:
    """The text of a time since 1970. Raises ValueError for years before 1 and after 9999."""
    try:
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError as error:
        raise ValueError(f"{milliseconds} is out of range") from error
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z".rjust(24, "0")
