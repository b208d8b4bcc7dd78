"""The values that filters compare with."""

from typing import Any, Final

from baas.kernel.problems import Invalid
from documents import values
from documents.query.ast import Path
from documents.query.problems import invalid_query, unsupported

_DATES: Final = frozenset({"_createdAt", "_updatedAt"})


def is_operators(value: Any) -> bool:
    """Whether `{"$gt": 1}` rather than a value to be equal to, such as `{"$date": "…"}`."""
    if not isinstance(value, dict) or not value:
        return False
    first = next(iter(value))
    if not first.startswith("$") or first in values.EXTENDED:
        return False
    for key in value:
        if not key.startswith("$"):
            raise invalid_query(f"operators and the field {key[:60]!r} stand side by side")
    return True


def operand(path: Path, value: Any, *, at_root: bool) -> Any:
    """A value to compare with, in the form that documents store. Raises Malformed."""
    if at_root and len(path) == 1 and path[0] in _DATES and isinstance(value, str):
        value = {"$date": value}
    if isinstance(value, dict) and len(value) > 0:
        first = next(iter(value))
        if first.startswith("$") and first not in values.EXTENDED:
            raise unsupported(first)
    try:
        return values.normalise(value)
    except Invalid as error:
        raise invalid_query(error.errors[0].detail) from error
