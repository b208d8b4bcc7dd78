"""MongoDB's Extended JSON beyond what every document may have (`values.normalise`).

Source: https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md
What has no meaning here (regular expressions, timestamps, code, MinKey …) is refused by
`normalise`, never changed into something else.
"""

import base64
import re
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from documents import values

# What one of the forms below has: a wrapper, or a zone without a colon at the end of a text.
_SPECIAL: Final = re.compile(rb'\$(?:uuid|symbol)"|[+-][0-9]{4}"')


def needs_translation(text: bytes) -> bool:
    """Whether JSON text may have something that `from_extended` translates."""
    return _SPECIAL.search(text) is not None or b"\\u" in text  # an escape may write a dollar


def from_extended(value: Any, path: str = "") -> Any:
    """UUIDs as binary, symbols as text, and dates as old versions of mongoexport wrote them.

    Raises Invalid `invalid_value`, naming the path.
    """
    match value:
        case {"$uuid": str(text)} if len(value) == 1:
            try:
                data = UUID(text).bytes
            except ValueError as error:
                raise values.invalid_value(path, f"{text[:60]!r} is no UUID") from error
            return {"$binary": {"base64": base64.b64encode(data).decode(), "subType": "04"}}
        case {"$symbol": str(text)} if len(value) == 1:
            return text
        case {"$date": str(text)} if len(value) == 1:
            return {"$date": re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text)}
        case dict():
            return {
                key: from_extended(inner, f"{path}.{key}" if path else key)
                for key, inner in value.items()
            }
        case list():
            return [from_extended(item, f"{path}[{index}]") for index, item in enumerate(value)]
    return value


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
