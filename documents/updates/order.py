"""What `$min`, `$max` and `$sort` compare by: the order of values across types. Pure."""

from typing import Any, Literal

from documents.query.paths import MISSING
from documents.query.sort import _value_key


def limited(old: Any, value: Any, keep: Literal["lower", "higher"]) -> Any:
    """The stored value, or the other one when that is lower (or higher) or nothing is stored."""
    if old is MISSING:
        return value
    stored, other = key(old), key(value)
    return value if (other < stored if keep == "lower" else other > stored) else old


def key(value: Any) -> Any:
    return _value_key(value)
