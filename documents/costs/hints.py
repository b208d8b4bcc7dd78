"""Which index would help a query. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from documents.query.ast import And, Compare, In, Node
from documents.query.columns import SYSTEM
from documents.query.sort import Sort

MAX_FIELDS: Final = 8
Hint: TypeAlias = Callable[[], Sequence[str]]  # made only for a query that is refused


def no_hint() -> Sequence[str]:
    return ()


def fields_for(filter: Node, sort: Sort | None = None) -> list[str]:
    """Fields of an index as a collection declares it: equalities, then the order, then ranges."""
    equal: list[str] = []
    ranges: list[str] = []
    for leaf in _all(filter):
        match leaf:
            case Compare(path, "eq", _) | In(path, _):
                equal.append(".".join(path))
            case Compare(path, _, _):
                ranges.append(".".join(path))
    ordered = [
        ("-" if direction < 0 else "") + field
        for field, direction in (sort.fields if sort else ())
        if field != "_id"
    ]
    return _distinct([*sorted(equal), *ordered, *sorted(ranges)])[:MAX_FIELDS]


def _all(node: Node) -> list[Node]:
    """The conditions that must all be true."""
    if isinstance(node, And):
        return [leaf for part in node.parts for leaf in _all(part)]
    return [node]


def _distinct(fields: Iterable[str]) -> list[str]:
    kept: dict[str, str] = {}
    for field in fields:
        kept.setdefault(field.removeprefix("-"), field)
    return [field for name, field in kept.items() if name not in SYSTEM]
