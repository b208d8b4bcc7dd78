"""Back end one: a filter as a Python function of a document in its wire form."""

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from documents import values
from documents.geo import predicate as geo
from documents.geo.ast import Geo
from documents.query import paths
from documents.query.ast import And, Compare, Exists, Implied, In, Node, Not, Or, Path
from documents.query.paths import MISSING
from documents.query.problems import unsupported
from documents.query.text import Text

Predicate = Callable[[dict[str, Any]], bool]
Test = Callable[[Any], bool]

_DATES: Final = (("_createdAt",), ("_updatedAt",))
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def matches(node: Node, document: dict[str, Any]) -> bool:
    """Whether a document in its wire form (system fields included) is among the filter's results.

    To test many documents, keep `compile_predicate(node)`.
    """
    return compile_predicate(node)(document)


def compile_predicate(node: Node) -> Predicate:
    """The filter as a function; means the same as `to_sql`."""
    match node:
        case And(parts):
            every = [compile_predicate(part) for part in parts]
            return lambda document: all(part(document) for part in every)
        case Or(parts):
            some = [compile_predicate(part) for part in parts]
            return lambda document: any(part(document) for part in some)
        case Not(part):
            inner = compile_predicate(part)
            return lambda document: not inner(document)
        case Compare(path, "eq", value):
            return _any_value(path, _equals(value))
        case Compare(path, op, value):
            return _any_value(path, _orders(op, value))
        case In(path, candidates):
            tests = [_equals(value) for value in candidates]
            return _any_value(path, lambda found: any(test(found) for test in tests))
        case Exists(path):
            return lambda document: any(
                found is not MISSING for found in paths.reach(document, path)
            )
        case Implied():
            return lambda _: True
        case Geo(path, test):
            passes = geo.compile_test(test)
            return lambda document: any(
                passes(found) for found in paths.reach(document, path)
            )
        case Text():
            raise unsupported("$text", "one document")


def _any_value(path: Path, test: Test) -> Predicate:
    if len(path) == 1:
        (key,) = path
        if path in _DATES:
            # On the wire text, in filters dates.
            return lambda document: test({"$date": document[key]})

        def at_top(document: dict[str, Any]) -> bool:
            return _holds(test, document.get(key, MISSING))

        return at_top

    def behind(document: dict[str, Any]) -> bool:
        return any(_holds(test, found) for found in paths.reach(document, path))

    return behind


def _holds(test: Test, found: Any) -> bool:
    """An array is tested as a whole and by each of its elements."""
    return test(found) or (isinstance(found, list) and any(test(item) for item in found))


def _equals(value: Any) -> Test:
    if value is None:
        return lambda found: found is None or found is MISSING
    return lambda found: values.equal(found, value)


def _orders(op: str, value: Any) -> Test:
    compare = _ORDER[op]
    if values.is_date(value):
        moment = value["$date"]
        return lambda found: values.is_date(found) and compare(found["$date"], moment)
    kinds: tuple[type, ...]
    if isinstance(value, bool):
        kinds = (bool,)
    elif isinstance(value, str):
        kinds = (str,)
    else:
        kinds = (int, Decimal, float)
        return lambda found: (
            isinstance(found, kinds) and not isinstance(found, bool) and compare(found, value)
        )
    return lambda found: isinstance(found, kinds) and compare(found, value)
