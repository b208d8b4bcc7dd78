"""The names and numbers of `$type`.

There is one kind of number: `int` and `long` are the whole ones, `double` and `decimal` all.
"""

from decimal import Decimal
from typing import Any, Final

from documents.query.ast import TypeName
from documents.query.problems import invalid_query

_NAMES: Final[dict[str, TypeName]] = {
    "double": "number",
    "string": "string",
    "object": "object",
    "array": "array",
    "binData": "binary",
    "bool": "boolean",
    "date": "date",
    "null": "null",
    "int": "whole",
    "long": "whole",
    "decimal": "number",
    "number": "number",
}
# MongoDB's types that no value here is of: asking for them is right, and finds nothing.
_OTHERS: Final = frozenset(
    {
        "undefined",
        "objectId",
        "regex",
        "dbPointer",
        "javascript",
        "symbol",
        "javascriptWithScope",
        "timestamp",
        "minKey",
        "maxKey",
    }
)
_NUMBERS: Final = {
    1: "double", 2: "string", 3: "object", 4: "array", 5: "binData", 6: "undefined",
    7: "objectId", 8: "bool", 9: "date", 10: "null", 11: "regex", 12: "dbPointer",
    13: "javascript", 14: "symbol", 15: "javascriptWithScope", 16: "int", 17: "timestamp",
    18: "long", 19: "decimal", -1: "minKey", 127: "maxKey",
}  # fmt: skip


def parse(argument: Any) -> frozenset[TypeName]:
    """The types that `$type` asks for. Raises Malformed `invalid_query`."""
    asked = argument if isinstance(argument, list) else [argument]
    if not asked:
        raise invalid_query("$type takes at least one type")
    return frozenset([_NAMES[name] for name in map(_name, asked) if name in _NAMES])


def _name(asked: Any) -> str:
    if isinstance(asked, int | Decimal) and not isinstance(asked, bool):
        name = next((name for code, name in _NUMBERS.items() if code == asked), None)
    else:
        name = asked
    if not isinstance(name, str) or (name not in _NAMES and name not in _OTHERS):
        raise invalid_query(f"$type does not know {str(asked)[:60]!r}")
    return name
