"""JSON values that keep their numbers: integers of any size and decimals stay what was written.

orjson reads and writes what it can keep exactly; the rest goes through `int` and `Decimal`.
"""

import binascii
import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

import orjson

from baas.kernel.http.request import check_depth, check_nesting
from baas.kernel.problems import FieldError, Invalid, Malformed
from documents import dates

SYSTEM_FIELDS: Final = frozenset({"_id", "_createdAt", "_updatedAt", "_version", "_owner"})
# MongoDB's extended JSON, as far as there is such a value here.
EXTENDED: Final = frozenset(
    {
        "$date",
        "$binary",
        "$oid",
        "$numberLong",
        "$numberInt",
        "$numberDecimal",
        "$numberDouble",
    }
)

# Fractions, exponents and integers beyond 64 bits are what orjson would round. A hit inside a
# string only costs time.
_INEXACT: Final = re.compile(rb"[0-9][.eE]|[0-9]{19}")
# A key that is empty, starts with `$` or has a dot; may also hit a value, never misses a key.
_SUSPECT_KEY: Final = re.compile(rb'"(?:\$[^"]*|[^"]*\.[^"]*|)"\s*:')
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_INT64: Final = range(-(2**63), 2**64)
# PostgreSQL writes numbers out: `1e400` comes back with 401 digits. So that a small request cannot
# become a huge document, a number may grow by so many digits, and have so many at all (Python
# itself reads integers of up to 4300).
_MAX_GROWTH: Final = 400
_MAX_DIGITS: Final = 4000
_MAX_INTEGER: Final = 10**_MAX_DIGITS
# A number that may be over these; a hit inside a string only costs time.
_SUSPECT_NUMBER: Final = re.compile(rb"[0-9.][eE][+-]?[0-9]{2}|[0-9]{1000}")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_OBJECT_ID: Final = re.compile(r"[0-9a-fA-F]{24}")
_SUBTYPE: Final = re.compile(r"[0-9a-fA-F]{1,2}")


def loads(text: bytes | str) -> Any:
    """Stored or checked JSON text as a value whose numbers are int, Decimal or (exact) int only."""
    data = text.encode() if isinstance(text, str) else text
    if _INEXACT.search(data) is None:
        return orjson.loads(data)
    return json.loads(data, parse_float=Decimal, parse_constant=_no_constant)


def dumps(value: Any) -> bytes:
    """The value as JSON text, numbers exact."""
    try:
        return orjson.dumps(value, default=_fragment)
    except orjson.JSONEncodeError:
        return orjson.dumps(_with_fragments(value), default=_fragment)


def _fragment(value: Any) -> Any:
    if isinstance(value, Decimal):
        # In full, as PostgreSQL will: then the text's length is the stored document's. What is
        # not for storing (the value of a `$comment`) may be anything.
        return orjson.Fragment(format(value, "f") if _is_writable(value) else str(value))
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _with_fragments(value: Any) -> Any:
    """orjson refuses integers beyond 64 bits: wrap them."""
    if isinstance(value, dict):
        return {key: _with_fragments(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_fragments(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and value not in _INT64:
        return orjson.Fragment(str(value))
    return value


def parse_body(body: bytes) -> Any:
    """A request's JSON with exact numbers. Raises Malformed."""
    try:
        value = _parsed(body)
    except (ValueError, RecursionError) as error:  # also an integer of more than 4300 digits
        check_depth(body)
        raise Malformed(f"The body is not valid JSON: {error}.", code="malformed_json") from error
    check_nesting(body, value)
    return value


def _parsed(body: bytes) -> Any:
    if _INEXACT.search(body) is None:
        return orjson.loads(body)
    # json also reads other encodings from bytes, and half of a surrogate pair from an escape.
    value = json.loads(body.decode(), parse_float=Decimal, parse_constant=_no_constant)
    if _SURROGATE.search(body) is not None:
        _require_text(value)
    return value


def _require_text(value: Any) -> None:
    for text in strings(value):
        text.encode()  # raises UnicodeEncodeError, a ValueError, for half of a surrogate pair


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def is_plain(body: bytes) -> bool:
    """Whether JSON text surely has no forbidden field names, extended values or huge numbers.

    Then it can go into the database as it came; otherwise `normalise` decides.
    """
    return (
        b"\\" not in body
        and b'"$' not in body
        and _SUSPECT_KEY.search(body) is None
        and _SUSPECT_NUMBER.search(body) is None
    )


def normalise(value: Any, path: str = "") -> Any:
    """Check a document's value and bring extended values into the form that is stored.

    `{"$date"}` becomes UTC with milliseconds, `{"$numberLong"}` and its like become numbers,
    `{"$oid"}` its text, `{"$binary"}` `{"base64", "subType"}` in their one form. Raises Invalid
    `invalid_field_name` or `invalid_value`.
    """
    if isinstance(value, dict):
        if len(value) == 1:
            (key,) = value
            if key.startswith("$"):
                return _extended(key, value[key], path)
        elif value.keys() == {"$binary", "$type"}:  # as older versions of mongoexport write it
            given = {"base64": value["$binary"], "subType": value["$type"]}
            return _extended("$binary", given, path)
        made = {}
        for key, inner in value.items():
            where = f"{path}.{key}" if path else key
            check_field_name(key, where)
            made[key] = normalise(inner, where)
        return made
    if isinstance(value, list):
        return [normalise(inner, f"{path}[{index}]") for index, inner in enumerate(value)]
    if isinstance(value, str):
        if "\0" in value:
            raise invalid_value(path, "text cannot contain NUL characters")
    elif isinstance(value, float):
        return _from_float(value, path)
    elif isinstance(value, Decimal):
        if not _is_writable(value):
            raise invalid_value(path, "the number is too large or too small, or not a number")
    elif isinstance(value, int):
        if not -_MAX_INTEGER < value < _MAX_INTEGER:
            raise invalid_value(path, f"the number has more than {_MAX_DIGITS} digits")
    elif value is not None:
        raise invalid_value(path, f"{type(value).__name__} is no JSON value")
    return value


def _is_writable(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        return False  # NaN, Infinity
    leading = value.adjusted()  # where its first digit stands
    return max(exponent, -leading) <= _MAX_GROWTH and max(leading, -exponent) < _MAX_DIGITS


def _from_float(value: float, path: str) -> Decimal:
    """Floats come from Python callers only; their shortest text is what was meant."""
    if value != value or value in (float("inf"), float("-inf")):
        raise invalid_value(path, "NaN and Infinity are no JSON numbers")
    return Decimal(repr(value))


def check_field_name(name: str, where: str) -> None:
    """Raises Invalid `invalid_field_name`."""
    if not name or name.startswith("$") or "." in name or "\0" in name:
        raise Invalid(
            f"The field name {name!r} cannot be stored: names may not be empty, start with $ or"
            " contain a dot or NUL.",
            code="invalid_field_name",
            errors=[FieldError(where, "invalid_field_name", "empty, $…, or with . or NUL")],
        )


def _extended(key: str, value: Any, path: str) -> Any:
    try:
        match key, value:
            case "$date", str():
                return {"$date": dates.canonical(value)}
            case "$date", dict() if value.keys() == {"$numberLong"}:
                return {"$date": dates.of_milliseconds(_integer(value["$numberLong"]))}
            case "$date", int() if not isinstance(value, bool):
                return {"$date": dates.of_milliseconds(value)}
            case "$binary", str():
                return {"$binary": _binary(value, "00")}
            case "$binary", dict() if value.keys() == {"base64", "subType"}:
                return {"$binary": _binary(**value)}
            case "$oid", str() if _OBJECT_ID.fullmatch(value):
                return value.lower()
            case "$numberLong" | "$numberInt", str():
                return normalise(_integer(value), path)
            case "$numberDecimal" | "$numberDouble", str() if "_" not in value:
                return normalise(Decimal(value), path)
            case _ if key in EXTENDED:
                detail = f"{key} takes another argument"
                raise ValueError(detail)  # noqa: TRY301 - one handler for all that is no value
    except (ValueError, TypeError, InvalidOperation) as error:
        raise invalid_value(path, f"{key} does not take {str(value)[:60]!r}") from error
    check_field_name(key, f"{path}.{key}" if path else key)
    return {key: value}  # not reached: a name with $ is always refused


def _integer(text: Any) -> int:
    """Raises ValueError or TypeError."""
    if _INTEGER.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def _binary(base64: Any, subType: Any) -> dict[str, str]:
    """Raises ValueError or TypeError."""
    if _SUBTYPE.fullmatch(subType) is None:
        raise ValueError("a subtype is one or two hexadecimal digits")
    data = binascii.a2b_base64(base64, strict_mode=True)
    return {
        "base64": binascii.b2a_base64(data, newline=False).decode(),
        "subType": subType.lower().zfill(2),
    }


def invalid_value(path: str, detail: str) -> Invalid:
    return Invalid(
        f"The value of {path or 'the document'!r} cannot be stored: {detail}.",
        code="invalid_value",
        errors=[FieldError(path, "invalid_value", detail)],
    )


def is_date(value: Any) -> bool:
    return isinstance(value, dict) and "$date" in value


def equal(left: Any, right: Any) -> bool:
    """Whether two JSON values are the same: 1 equals 1.0, true does not equal 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(equal(value, right[key]) for key, value in left.items())
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right)


def strings(value: Any) -> Iterator[str]:
    """Every string in a value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
