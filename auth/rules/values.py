"""The values of the language and what can be done with them, exactly.

null, bool, number, text, bytes, list, map (text keys), timestamp, duration: Python's None, bool,
int or Decimal (a float is read as the decimal it prints as), str, bytes, list, dict, aware
datetime, timedelta. All that CEL calls an error is raised as Fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, DivisionByZero, InvalidOperation
from itertools import islice
from math import isfinite
from typing import Any, Final, TypeAlias

from auth.rules import times
from auth.rules.errors import Fault

# What a rule computes with is dynamically typed; the checks below are the type system.
Value: TypeAlias = Any

# Bounds of what takes part in arithmetic; SQL has the same, so that it never overflows.
MAX_MAGNITUDE: Final = 10**100
MAX_SCALE: Final = 100  # digits after the point
MAX_TEXT: Final = 1_000_000  # characters of a joined text
QUOTIENT_DIGITS: Final = 20

_EXACT: Final = Context(
    prec=2000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[InvalidOperation, DivisionByZero]
)
_NUMBERS: Final = frozenset({int, Decimal, float})


def number(value: Value) -> int | Decimal:
    """`value` as an exact number. Raises Fault for anything else."""
    kind = type(value)
    if kind is int:
        return int(value)
    if kind is float and isfinite(value):
        return Decimal(repr(value))
    if kind is Decimal and value.is_finite():
        return Decimal(value)
    raise Fault(f"{describe(value)} is not a number")


def bounded(value: Value) -> int | Decimal:
    """A number that may take part in arithmetic."""
    exact = number(value)
    if not -MAX_MAGNITUDE < exact < MAX_MAGNITUDE:
        raise Fault("the number is too large to calculate with")
    if isinstance(exact, Decimal):
        exponent = exact.as_tuple().exponent
        if isinstance(exponent, int) and exponent < -MAX_SCALE:
            shift = -exponent - MAX_SCALE
            if any(exact.as_tuple().digits[-shift:]):
                raise Fault("the number has too many digits to calculate with")
    return exact


def text(value: Value) -> str:
    if isinstance(value, str):
        return value
    raise Fault(f"{describe(value)} is not text")


def moment(value: Value) -> datetime:
    """`value` (a timestamp, its RFC 3339 text or {"$date": text}) as a timestamp."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise Fault("a timestamp without a time zone")
        return value
    if isinstance(value, Mapping):
        value = value.get("$date")
    found = times.read_timestamp(value) if isinstance(value, str) else None
    if found is None:
        raise Fault(f"{describe(value)} is not a timestamp")
    return found


def truth(value: Value) -> bool:
    if value is True or value is False:
        return bool(value)
    raise Fault(f"{describe(value)} is not true or false")


def same(left: Value, right: Value) -> bool:
    """CEL's `==`: false between different types, but numbers are one type."""
    kind, other = type(left), type(right)
    if kind in _NUMBERS and other in _NUMBERS:
        if kind is float or other is float:
            return bool(number(left) == number(right))
        return bool(left == right)
    if isinstance(left, datetime) or isinstance(right, datetime):
        try:
            return moment(left) == moment(right)
        except Fault:
            return False
    if isinstance(left, str):
        return isinstance(right, str) and left == right
    if isinstance(left, list | tuple):
        return (
            isinstance(right, list | tuple)
            and len(left) == len(right)
            and all(map(same, left, right))
        )
    if isinstance(left, Mapping):
        return (
            isinstance(right, Mapping)
            and len(left) == len(right)
            and all(key in right and same(value, right[key]) for key, value in left.items())
        )
    return kind is other and bool(left == right)


def order(left: Value, right: Value) -> int:
    """Negative, zero or positive as `left` is before, like or after `right`.

    Raises Fault unless both are numbers, text, timestamps, durations, bytes or bools.
    """
    kind, other = type(left), type(right)
    if kind in _NUMBERS and other in _NUMBERS:
        left, right = number(left), number(right)
    elif isinstance(left, datetime) or isinstance(right, datetime):
        left, right = moment(left), moment(right)
    elif not any(
        isinstance(left, type_) and isinstance(right, type_)
        for type_ in (str, timedelta, bytes, bool)
    ):
        raise Fault(f"{describe(left)} and {describe(right)} have no order")
    return int(left > right) - int(left < right)


def contains(container: Value, value: Value) -> bool:
    """CEL's `in`: an item of a list or a key of a map."""
    if isinstance(container, list | tuple):
        if isinstance(value, str):
            return value in container  # text equals nothing but text: C speed
        return any(same(item, value) for item in container)
    if isinstance(container, Mapping):
        return isinstance(value, str) and value in container
    raise Fault(f"`in` needs a list or a map, not {describe(container)}")


def at(container: Value, key: Value) -> Value:
    """CEL's `container[key]`."""
    if isinstance(container, list | tuple):
        position = number(key)
        if 0 <= position < len(container) and is_whole(position):
            return container[int(position)]
        raise Fault(f"the list has no item {describe(position)}")
    if isinstance(container, Mapping):
        if isinstance(key, str) and key in container:
            return container[key]
        raise Fault(f"the map has no field {describe(key)}")
    raise Fault(f"{describe(container)} has no items")


def add(left: Value, right: Value) -> Value:
    if isinstance(left, str) and isinstance(right, str):
        if len(left) + len(right) > MAX_TEXT:
            raise Fault("the text grows too long")
        return left + right
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return [*left, *right]
    if isinstance(left, timedelta) and isinstance(right, datetime):
        left, right = right, left
    if isinstance(left, datetime | timedelta):
        return _shift(left, right, 1)
    if isinstance(left, bytes) and isinstance(right, bytes):
        return left + right
    return _exactly(bounded(left), bounded(right), "+")


def subtract(left: Value, right: Value) -> Value:
    if isinstance(left, datetime) and isinstance(right, datetime):
        return left - right
    if isinstance(left, datetime | timedelta):
        return _shift(left, right, -1)
    return _exactly(bounded(left), bounded(right), "-")


def multiply(left: Value, right: Value) -> int | Decimal:
    return _exactly(bounded(left), bounded(right), "*")


def divide(left: Value, right: Value) -> int | Decimal:
    """Of two whole numbers the whole quotient, cut towards zero; else as `divide_exactly`."""
    dividend, divisor = bounded(left), bounded(right)
    if divisor == 0:
        raise Fault("division by zero")
    if is_whole(dividend) and is_whole(divisor):
        return _quotient(int(dividend), int(divisor))
    return divide_exactly(dividend, divisor)


def divide_exactly(left: Value, right: Value) -> Decimal:
    """The quotient, cut (not rounded) to 20 digits after the point."""
    dividend, divisor = bounded(left), bounded(right)
    if divisor == 0:
        raise Fault("division by zero")
    top, below = Decimal(dividend).as_integer_ratio()
    up, bottom = Decimal(divisor).as_integer_ratio()
    scaled = _quotient(top * bottom * 10**QUOTIENT_DIGITS, below * up)
    return Decimal(scaled).scaleb(-QUOTIENT_DIGITS, _EXACT)


def remainder(left: Value, right: Value) -> int | Decimal:
    """What `divide` leaves of whole numbers; it has the sign of `left`."""
    dividend, divisor = bounded(left), bounded(right)
    if not is_whole(dividend) or not is_whole(divisor):
        raise Fault("% needs whole numbers")
    if divisor == 0:
        raise Fault("division by zero")
    whole, by = int(dividend), int(divisor)
    return whole - _quotient(whole, by) * by


def negate(value: Value) -> Value:
    if isinstance(value, timedelta):
        return -value
    exact = bounded(value)
    return exact.copy_negate() if isinstance(exact, Decimal) else -exact


def is_whole(value: int | Decimal) -> bool:
    return isinstance(value, int) or value == value.to_integral_value()


def describe(value: Value) -> str:
    """`value` as a short piece of a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f'timestamp("{times.write_timestamp(value)}")' if value.tzinfo else "a naive time"
    if isinstance(value, str):
        shown = f'"{value[:80]}"'
    elif isinstance(value, list | tuple):
        shown = "[" + ", ".join(map(describe, value[:20])) + "]"
    elif isinstance(value, Mapping):
        some = islice(value.items(), 20)
        shown = "{" + ", ".join(f'"{key}": {describe(item)}' for key, item in some) + "}"
    elif isinstance(value, int) and value.bit_length() > 400:
        shown = "a very large number"  # Python refuses to write out thousands of digits
    else:
        shown = str(value)
    return shown if len(shown) <= 80 else shown[:77] + "…"


def _quotient(dividend: int, divisor: int) -> int:
    magnitude = abs(dividend) // abs(divisor)
    return magnitude if (dividend < 0) == (divisor < 0) else -magnitude


def _exactly(left: int | Decimal, right: int | Decimal, op: str) -> int | Decimal:
    if isinstance(left, int) and isinstance(right, int):
        return left + right if op == "+" else left - right if op == "-" else left * right
    a, b = Decimal(left), Decimal(right)
    if op == "*":
        return _EXACT.multiply(a, b)
    return _EXACT.add(a, b) if op == "+" else _EXACT.subtract(a, b)


def _shift(left: datetime | timedelta, right: Value, sign: int) -> datetime | timedelta:
    if not isinstance(right, timedelta):
        raise Fault(f"{describe(right)} is not a duration")
    try:
        if isinstance(left, datetime):
            return left.astimezone(UTC) + sign * right
        return left + sign * right
    except OverflowError:
        raise Fault("the time is out of range") from None
