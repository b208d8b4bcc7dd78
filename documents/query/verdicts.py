"""Tests of one value that a path reached (MISSING where it reached nothing), for the predicate."""

import operator
from collections.abc import Callable, Sequence
from typing import Any, Final

from documents import values
from documents.query import order
from documents.query.ast import TypeName
from documents.query.leaves import kind
from documents.query.paths import MISSING

Test = Callable[[Any], bool]

_FEW: Final = 8  # beyond, a set is quicker than one comparison after the other
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def equals(value: Any) -> Test:
    if value is None:
        return lambda found: found is None or found is MISSING
    return lambda found: values.equal(found, value)


def equals_one_of(candidates: Sequence[Any]) -> Test:
    if len(candidates) <= _FEW:
        tests = [equals(value) for value in candidates]
        return lambda found: any(test(found) for test in tests)
    texts = frozenset(map(order.text, candidates))
    if None in candidates:
        texts |= {order.text(MISSING)}
    return lambda found: order.text(found) in texts


def orders(op: str, value: Any) -> Test:
    """Whether a value of the same kind compares with `value`, which is not null."""
    compare = _ORDER[op]
    wanted = kind(value)
    if wanted in ("number", "string", "boolean"):
        return lambda found: _kind(found) == wanted and compare(found, value)
    if wanted == "date":
        moment = value["$date"]
        return lambda found: values.is_date(found) and compare(found["$date"], moment)
    bound = order.text(value)
    return lambda found: _kind(found) == wanted and compare(order.text(found), bound)


def is_of_type(found: Any, types: frozenset[TypeName]) -> bool:
    actual = _kind(found)
    return actual in types or (actual == "number" and "whole" in types and found == int(found))


def leaves_remainder(found: Any, divisor: int, remainder: int) -> bool:
    """Numbers are cut to whole ones; the remainder has the dividend's sign."""
    if _kind(found) != "number":
        return False
    dividend = int(found)
    left = abs(dividend) % abs(divisor)
    return (left if dividend >= 0 else -left) == remainder


def _kind(found: Any) -> str:
    return "missing" if found is MISSING else kind(found)
