"""`$`: the element of an array that the filter matched. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, TypeAlias

from documents.query import compile_predicate
from documents.query.ast import (
    And,
    Compare,
    ElemMatch,
    Exists,
    In,
    Mod,
    Node,
    Path,
    Regex,
    Size,
    Type,
)
from documents.updates.elements import FindMatched

_ARRAY: Final = ("array",)
Matches: TypeAlias = Callable[[Any], bool]


def finder(filter: Node) -> FindMatched:
    """The first element that meets all conditions which the filter has on the array.

    When no one element meets all of them, the first that meets the last of them (MongoDB leaves
    open which it is); None when the filter has no condition on the array. Conditions within `$or`,
    `$nor` and `$not` do not count, nor do those on the array as a whole.
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
    match node:
        case And(parts):
            for part in parts:
                yield from _tests(part, path)
        case ElemMatch(at) if at == path:
            yield _one(replace(node, path=_ARRAY))
        case Compare(at) | In(at) | Type(at) | Regex(at) | Mod(at) if at == path:
            yield _one(ElemMatch(_ARRAY, replace(node, path=()), of_objects=False))
        case (
            Compare(at) | In(at) | Type(at) | Regex(at) | Mod(at)
            | ElemMatch(at) | Exists(at) | Size(at)
        ) if len(at) > len(path) and at[: len(path)] == path:  # fmt: skip
            below = replace(node, path=at[len(path) :])
            yield _one_object(ElemMatch(_ARRAY, below, of_objects=True))


def _one(test: ElemMatch) -> Matches:
    matches = compile_predicate(test)
    return lambda item: matches({"array": [item]})


def _one_object(test: ElemMatch) -> Matches:
    matches = _one(test)
    # A path goes through one level of arrays: not into an array within the array.
    return lambda item: isinstance(item, dict) and matches(item)
