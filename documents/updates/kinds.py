"""What kind of value a JSON object is: a document, or a date or the like that is written as one."""

from typing import Any

from documents import values


def is_object(value: Any) -> bool:
    """Whether it has fields: stored names never begin with `$`, dates and binary values do."""
    return isinstance(value, dict) and next(iter(value), "")[:1] != "$"


def is_extended(value: Any) -> bool:
    """Whether a caller wrote a date, a number or the like as an object."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in values.EXTENDED
