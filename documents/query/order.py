"""MongoDB's order of all values as one text: compare two values by comparing their texts.

null < numbers < text < objects < arrays < binary < booleans < dates; what is missing comes before
null. Numbers of any size compare exactly, text by code point, arrays element by element, objects
pair by pair (type, then name, then value; pairs in the order of their names, as key order is not
kept), binary by length, subtype and bytes. `documents_order_text` is the same in SQL, to be
compared under COLLATE "C".
"""

import base64
from decimal import Decimal
from typing import Any, Final

from documents.query.paths import MISSING

# The first character of a value's text; sorts put an empty array, and comparisons what is missing,
# before everything.
LEAST, NULL, NUMBER, STRING, OBJECT, ARRAY, BINARY, BOOLEAN, DATE = "012345689"

# Within arrays and objects: what ends a container or a text is less than all that can go on, and
# an end inside of a text is doubled to another pair.
_END: Final = "\x01"
_NEXT: Final = "\x02"
_TEXT_END: Final = "\x01\x01"
_ESCAPED_END: Final = "\x01\x02"
# Exponents are fixed-width numbers from 0; PostgreSQL's numbers have at most 131,072 digits.
_EXPONENT_OFFSET: Final = 500_000
_COMPLEMENT: Final = str.maketrans("0123456789", "9876543210")


def text(value: Any) -> str:
    """What `documents_order_text` makes of a value (`MISSING` is SQL's NULL)."""
    if value is MISSING:
        return LEAST
    if isinstance(value, str):
        return STRING + value  # nothing follows that an end would have to be told from
    return _part(value)


def tag(value: Any) -> str:
    """The first character of the text: values of the same kind share it."""
    match value:
        case None:
            return NULL
        case bool():
            return BOOLEAN
        case int() | Decimal() | float():
            return NUMBER
        case str():
            return STRING
        case dict():
            return DATE if "$date" in value else BINARY if "$binary" in value else OBJECT
        case list():
            return ARRAY
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _part(value: Any) -> str:
    """A value's text in such a form that others can follow it."""
    kind = tag(value)
    match value:
        case bool():
            return kind + ("true" if value else "false")
        case int() | Decimal() | float():
            return kind + number(value)
        case str():
            return kind + _text(value)
        case list():
            return kind + "".join([_NEXT + _part(item) for item in value]) + _END
        case dict() if kind == DATE:
            return kind + str(value["$date"])
        case dict() if kind == BINARY:
            return kind + _binary(value["$binary"])
        case dict():
            pairs = [
                _NEXT + tag(inner) + _text(name) + _part(inner)
                for name, inner in sorted(value.items())
            ]
            return kind + "".join(pairs) + _END
    return kind


def _text(value: str) -> str:
    return value.replace(_END, _ESCAPED_END) + _TEXT_END


def _binary(value: Any) -> str:
    data = base64.b64decode(value["base64"])
    return f"{len(data):010}{value['subType']}{data.hex()}"


def number(value: int | Decimal | float) -> str:
    """A finite number as text that compares as numbers do, whatever follows it."""
    exact = value if isinstance(value, Decimal) else Decimal(value)
    if not exact:
        return "b"
    digits = "".join(map(str, exact.as_tuple().digits)).rstrip("0")
    exponent = exact.adjusted() + _EXPONENT_OFFSET
    if exact > 0:
        return f"c{exponent:06}{digits}!"
    return f"a{999_999 - exponent:06}{digits.translate(_COMPLEMENT)}~"
