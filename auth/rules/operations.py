"""The functions of the language on values. Each raises Fault where CEL has an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from auth.rules import times, values
from auth.rules.errors import Fault
from auth.rules.values import Value, text

WHOLE_NUMBER: Final = "[+-]?[0-9]{1,100}"
DECIMAL_NUMBER: Final = (
    "[+-]?(?:[0-9]{1,50}(?:[.][0-9]{0,50})?|[.][0-9]{1,50})(?:[eE][+-]?[0-9]{1,2})?"
)

_WHOLE: Final = re.compile(WHOLE_NUMBER)
_DECIMAL: Final = re.compile(DECIMAL_NUMBER)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOWER: Final = {code: code + 32 for code in range(65, 91)}
_UPPER: Final = {code: code - 32 for code in range(97, 123)}


def size(value: Value) -> int:
    """Characters of a text, items of a list or map, bytes."""
    if isinstance(value, str | list | tuple | Mapping | bytes):
        return len(value)
    raise Fault(f"{values.describe(value)} has no size")


def split(value: Value, separator: Value) -> list[str]:
    whole, by = text(value), text(separator)
    if not by:
        raise Fault("split() needs a separator")
    return list(whole.split(by))


def to_int(value: Value) -> int:
    """A number cut towards zero, digits as a number, a timestamp as seconds since 1970."""
    if isinstance(value, str):
        if _WHOLE.fullmatch(value) is None:
            raise Fault(f"{values.describe(value)} is not a whole number")
        return int(value)
    if isinstance(value, datetime):
        return (values.moment(value) - _EPOCH) // timedelta(seconds=1)
    return int(values.bounded(value))


def to_uint(value: Value) -> int:
    number = to_int(value)
    if number < 0:
        raise Fault("a negative number is no uint")
    return number


def to_double(value: Value) -> int | Decimal:
    if isinstance(value, str):
        if _DECIMAL.fullmatch(value) is None:
            raise Fault(f"{values.describe(value)} is not a number")
        return Decimal(value)
    return values.number(value)


def to_text(value: Value) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return times.write_timestamp(values.moment(value))
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise Fault("the bytes are not UTF-8") from None
    number = values.bounded(value)
    if isinstance(number, int):
        return str(number)
    plain = format(number, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if number == 0 else plain


def to_bool(value: Value) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise Fault(f"{values.describe(value)} is not true or false")


def to_bytes(value: Value) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return text(value).encode()
    except UnicodeEncodeError:
        raise Fault("the text is not valid Unicode") from None


def to_timestamp(value: Value) -> datetime:
    """RFC 3339 text, {"$date": text} or whole seconds since 1970."""
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
        return values.moment(value)
    seconds = values.bounded(value)
    if not values.is_whole(seconds):
        raise Fault("a timestamp is made of whole seconds")
    try:
        return _EPOCH + timedelta(seconds=int(seconds))
    except OverflowError:
        raise Fault("the time is out of range") from None


def to_span(value: Value) -> timedelta:
    if isinstance(value, timedelta):
        return value
    found = times.read_span(text(value))
    if found is None:
        raise Fault(f'{values.describe(value)} is not a duration such as "1h30m"')
    return found


def _part(read: Callable[[datetime], int]) -> Callable[[Value], int]:
    def part(value: Value) -> int:
        if not isinstance(value, datetime):
            raise Fault(f"{values.describe(value)} is not a timestamp; write timestamp(…)")
        return read(values.moment(value).astimezone(UTC))

    return part


UNARY: Final[Mapping[str, Callable[[Value], Value]]] = MappingProxyType(
    {
        "size": size,
        "lowerAscii": lambda value: text(value).translate(_LOWER),
        "upperAscii": lambda value: text(value).translate(_UPPER),
        "int": to_int,
        "uint": to_uint,
        "double": to_double,
        "string": to_text,
        "bool": to_bool,
        "bytes": to_bytes,
        "dyn": lambda value: value,
        "timestamp": to_timestamp,
        "duration": to_span,
        # CEL counts months, and days but for getDate(), from 0; Sunday is 0
        "getFullYear": _part(lambda at: at.year),
        "getMonth": _part(lambda at: at.month - 1),
        "getDate": _part(lambda at: at.day),
        "getDayOfMonth": _part(lambda at: at.day - 1),
        "getDayOfWeek": _part(lambda at: at.isoweekday() % 7),
        "getDayOfYear": _part(lambda at: at.timetuple().tm_yday - 1),
        "getHours": _part(lambda at: at.hour),
        "getMinutes": _part(lambda at: at.minute),
        "getSeconds": _part(lambda at: at.second),
        "getMilliseconds": _part(lambda at: at.microsecond // 1000),
    }
)
BINARY: Final[Mapping[str, Callable[[Value, Value], Value]]] = MappingProxyType(
    {
        "startsWith": lambda value, part: text(value).startswith(text(part)),
        "endsWith": lambda value, part: text(value).endswith(text(part)),
        "contains": lambda value, part: text(part) in text(value),
        "split": split,
    }
)
