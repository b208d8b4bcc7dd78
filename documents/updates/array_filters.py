"""`array_filters`, and the conditions of `$pull`: tests of an array's elements. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from documents import values
from documents.query import compile_predicate
from documents.query import parse as parse_filter
from documents.query.problems import invalid_query
from documents.updates import kinds, limits, paths
from documents.updates.ast import ElementTest
from documents.updates.problems import invalid_update

MAX_FILTERS: Final = 100
_BRANCHES: Final = ("$and", "$or", "$nor")
_ELEMENT: Final = "element"


def parse(filters: Any) -> dict[str, ElementTest]:
    """By identifier. Raises Malformed `invalid_query`, Invalid `invalid_update`."""
    if filters is None:
        return {}
    if not isinstance(filters, list) or len(filters) > MAX_FILTERS:
        raise invalid_query(
            f"array_filters is an array of at most {MAX_FILTERS} filters", "array_filters"
        )
    tests: dict[str, ElementTest] = {}
    for filter in filters:
        name = _identifier(filter)
        if name in tests:
            raise invalid_update("array_filters", f"there are two filters for {name!r}")
        tests[name] = _test(name, filter)
    return tests


def _identifier(filter: Any) -> str:
    names = {field.split(".")[0] for field in _fields(filter)}
    if len(names) != 1:
        raise invalid_query(
            "an array filter names one element, as x in {'x.n': 1}", "array_filters"
        )
    (name,) = names
    if paths.IDENTIFIER.fullmatch(name) is None:
        raise invalid_query(
            f"{name[:60]!r} is no name of an element: small letter first, letters and digits",
            "array_filters",
        )
    return name


def _fields(filter: Any) -> Iterator[str]:
    if not isinstance(filter, dict):
        raise invalid_query("an array filter is a JSON object", "array_filters")
    for key, value in filter.items():
        if key in _BRANCHES:
            for branch in value if isinstance(value, list) else ():
                yield from _fields(branch)
        elif key != "$comment":
            yield key


def _test(name: str, filter: dict[str, Any]) -> ElementTest:
    matches = compile_predicate(parse_filter(filter))
    return ElementTest(lambda element: matches({name: element}), _cost(filter))


def _cost(filter: Any) -> int:
    return 1 + limits.size(filter) // 4


def pulled(condition: Any) -> ElementTest:
    """What `$pull` takes out: an equal value, what operators find, or objects with these fields."""
    if not isinstance(condition, dict) or kinds.is_extended(condition):
        wanted = values.normalise(condition)
        return ElementTest(lambda element: values.equal(element, wanted), _cost(condition))
    if condition and _is_operators(condition):
        return _test(_ELEMENT, {_ELEMENT: condition})
    fields = _test(_ELEMENT, _below(condition))
    return ElementTest(
        lambda element: kinds.is_object(element) and fields.matches(element), fields.cost
    )


def _is_operators(condition: dict[str, Any]) -> bool:
    first = next(iter(condition))
    return first.startswith("$") and first not in (*_BRANCHES, "$comment")


def _below(filter: Any) -> dict[str, Any]:
    """The filter of an object as one of a document that has the object in a field."""
    if not isinstance(filter, dict):
        raise invalid_query("a filter is a JSON object", "$pull")
    made = {}
    for key, value in filter.items():
        if key in _BRANCHES and isinstance(value, list):
            made[key] = [_below(branch) for branch in value]
        else:
            made[key if key.startswith("$") else f"{_ELEMENT}.{key}"] = value
    return made
