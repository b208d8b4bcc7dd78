"""MongoDB's Extended JSON, versions 1 and 2, to and from the values that we store.

Source: https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md
What has a meaning here is translated; the rest (regular expressions, timestamps, code, MinKey …) is
refused, never changed into something else.
"""

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from documents import values

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OBJECT_ID: Final = re.compile(r"[0-9a-fA-F]{24}")
_UUID_TYPE: Final = "04"


def from_extended(value: Any, path: str = "") -> Any:
    """The value with its typed wrappers translated; `values.normalise` checks what is left.

    Raises Invalid `invalid_value`, naming the path.
    """
    if isinstance(value, dict):
        if len(value) <= 2 and any(key.startswith("$") for key in value):
            return _translated(value, path)
        return {
            key: from_extended(inner, f"{path}.{key}" if path else key)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [from_extended(inner, f"{path}[{index}]") for index, inner in enumerate(value)]
    return value


def _translated(value: dict[str, Any], path: str) -> Any:
    try:
        match value:
            case {"$oid": str(text)} if len(value) == 1 and _OBJECT_ID.fullmatch(text):
                return text.lower()
            case {"$date": given} if len(value) == 1:
                return {"$date": _date(given)}
            case {"$numberLong": int(number)} if len(value) == 1:
                return number
            case {"$symbol": str(text)} if len(value) == 1:
                return text
            case {"$uuid": str(text)} if len(value) == 1:
                return _binary(base64.b64encode(UUID(text).bytes).decode(), _UUID_TYPE)
            case {"$binary": {"base64": str(data), "subType": str(kind)}} if len(value) == 1:
                return _binary(data, kind)
            case {"$binary": str(data), "$type": str(kind)}:
                return _binary(data, kind)
            case {"$binary": str(data)} if len(value) == 1:
                return _binary(data, "00")
    except (ValueError, OverflowError, binascii.Error) as error:
        raise values.invalid_value(path, f"{next(iter(value))}: {error}") from error
    if len(value) == 1 and value.keys() <= values.EXTENDED:
        return value
    raise values.invalid_value(path, f"{', '.join(value)[:60]} has no meaning here")


def _date(given: Any) -> str:
    match given:
        case str():
            return values.canonical_date(_with_colon(given))
        case {"$numberLong": str(text)}:
            return _from_millis(int(text))
        case int() if not isinstance(given, bool):
            return _from_millis(given)
    raise ValueError("it is RFC 3339 text or milliseconds")


def _with_colon(text: str) -> str:
    """mongoexport wrote zones as +0000."""
    return re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text)


def _from_millis(millis: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=millis)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z".rjust(24, "0")


def _binary(data: str, kind: str) -> dict[str, Any]:
    base64.b64decode(data, validate=True)
    return {"$binary": {"base64": data, "subType": f"{int(kind, 16):02x}"}}


# Numbers that a double may not hold: those with a fraction or an exponent, and long ones.
_INEXACT: Final = re.compile(r"[0-9][.eE]|[0-9]{19}")
_INT64: Final = range(-(2**63), 2**63)


def to_extended(text: str) -> str:
    """Stored JSON as relaxed Extended JSON 2: numbers that need it become `$numberDecimal`."""
    if _INEXACT.search(text) is None:
        return text
    return values.dumps(_exact(values.loads(text))).decode()


def _exact(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _exact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_exact(inner) for inner in value]
    if isinstance(value, Decimal):
        # What a double writes out as the same number, a reader gets back as the same number.
        is_double = Decimal(repr(float(value))) == value
        return value if is_double else {"$numberDecimal": str(value)}
    if isinstance(value, int) and not isinstance(value, bool) and value not in _INT64:
        return {"$numberDecimal": str(value)}
    return value
