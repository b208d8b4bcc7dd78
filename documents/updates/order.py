"""What `$min`, `$max` and `$sort` compare by: the order of values across types. Pure."""

from typing import Any, Literal

from documents.query import order
from documents.query.paths import MISSING


def limited(old: Any, value: Any, keep: Literal["lower", "higher"]) -> Any:
    """The stored value, or the other one when that is lower (or higher) or nothing is stored."""
    if old is MISSING:
        return value
    stored, other = order.text(old), order.text(value)
    return value if (other < stored if keep == "lower" else other > stored) else old


def key(value: Any) -> str:
    """In a sort what is missing is null."""
    return order.text(None if value is MISSING else value)
