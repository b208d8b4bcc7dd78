"""`$`: the element of an array that the filter matched. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from documents import values
from documents.query import compile_predicate
from documents.query.ast import And, Compare, Exists, In, Node
from documents.updates.ast import Path
from documents.updates.elements import FindMatched

_ELEMENT = "element"
Matches = Callable[[Any], bool]


def finder(filter: Node) -> FindMatched:
    """The first element that meets all conditions which the filter has on the array.

    When no one element meets all of them, the first that meets the last of them (MongoDB leaves
    open which it is); None when the filter has no condition on the array. Conditions within `$or`,
    `$nor` and `$not` do not count.
    """

    def find(path: Path, array: list[Any]) -> int | None:
        tests = list(_tests(filter, path))
        for chosen in (tests, tests[-1:]):
            for place, item in enumerate(array):
                if chosen and all(matches(item) for matches in chosen):
                    return place
        return None

    return find


def _tests(node: Node, path: Path) -> Iterator[Matches]:
    if isinstance(node, And):
        for part in node.parts:
            yield from _tests(part, path)
    elif isinstance(node, Compare | In | Exists) and node.path[: len(path)] == path:
        yield _test(node, node.path[len(path) :])


def _test(node: Compare | In | Exists, below: Path) -> Matches:
    matches = compile_predicate(replace(node, path=(_ELEMENT, *below)))

    def test(item: Any) -> bool:
        if not isinstance(item, list):
            return matches({_ELEMENT: item})
        # A filter opens one level of arrays: one within an array is only compared as a whole.
        if below:
            return False
        wanted = (node.value,) if isinstance(node, Compare) else getattr(node, "values", ())
        return any(values.equal(item, value) for value in wanted)

    return test
