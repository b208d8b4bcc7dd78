"""Dotted paths and what they reach in a document, arrays on the way traversed as in MongoDB."""

import re
from collections.abc import Iterator
from typing import Any, Final

from documents.query.ast import Path
from documents.query.problems import invalid_query

MAX_STEPS: Final = 100
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")


class Missing:
    """The end of a path that leads to nothing."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


def parse(field: str) -> Path:
    """The steps of `a.b.0`. Raises Malformed `invalid_query` for an empty step or a NUL."""
    steps = tuple(field.split("."))
    if "" in steps or "\0" in field or len(steps) > MAX_STEPS or "$" in [s[0] for s in steps]:
        raise invalid_query(
            f"{field[:100]!r} is no field path: a step is empty or starts with $, or there are"
            f" more than {MAX_STEPS}"
        )
    return steps


def is_index(step: str) -> bool:
    return _INDEX.fullmatch(step) is not None


def has_index(path: Path) -> bool:
    return any(map(is_index, path))


def cost(path: Path) -> int:
    """What a path costs beyond a condition's own: its steps stand in the statement again and
    again, in a test for null as often as it has steps."""
    return sum(map(len, path)) * len(path) // 200


def is_object(value: Any) -> bool:
    """Whether it has fields: a date and binary have none."""
    return isinstance(value, dict) and "$date" not in value and "$binary" not in value


def as_object(value: Any) -> dict[str, Any] | None:
    """An element of an array as the document that `$elemMatch` looks at, None for other values.

    An array is one whose fields are its places. `documents_as_document` is the same in SQL.
    """
    if isinstance(value, list):
        return {str(place): item for place, item in enumerate(value)}
    return value if is_object(value) else None


def reach(value: Any, path: Path, start: int = 0, *, gaps: bool = False) -> Iterator[Any]:
    """Every value that the path reaches, MISSING for each place where it ends in nothing.

    An array at the end is one value. A number as a step is a place in an array, and may also name
    a field of the objects there; with `gaps` those that have no such field are MISSING, as they are
    to filters, without them they do not count, as in sorts. What is no object has no fields to lack
    in an array: with `gaps` it does not count, by its place neither. `documents_reach` is the same
    in SQL.
    """
    if start == len(path):
        yield value
    elif isinstance(value, dict):
        if path[start] in value:
            yield from reach(value[path[start]], path, start + 1, gaps=gaps)
        else:
            yield MISSING
    elif isinstance(value, list):
        step = path[start]
        numeric = is_index(step)
        if (
            numeric
            and int(step) < len(value)
            and not (gaps and start + 1 < len(path) and as_object(value[int(step)]) is None)
        ):
            yield from reach(value[int(step)], path, start + 1, gaps=gaps)
        for item in value:
            if is_object(item) and (gaps or step in item or not numeric):
                yield from reach(item, path, start, gaps=gaps)
    else:
        yield MISSING
