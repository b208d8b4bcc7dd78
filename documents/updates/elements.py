"""The places that `$`, `$[]` and `$[x]` stand for in a document. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from documents.query.paths import MISSING, is_index
from documents.updates import kinds, paths
from documents.updates.ast import ElementTest, Path
from documents.updates.limits import Budget
from documents.updates.problems import invalid_update

# From the path of an array and the array to the place of the element that the filter matched.
FindMatched: TypeAlias = Callable[[Path, list[Any]], int | None]


def nowhere(path: Path, array: list[Any]) -> None:
    """Nothing was matched, as when the document is only being made."""


NOWHERE: Final[FindMatched] = nowhere


def places(
    path: Path,
    document: dict[str, Any],
    filters: Mapping[str, ElementTest],
    find_matched: FindMatched,
    budget: Budget,
) -> Iterator[Path]:
    """Every path of places that it stands for. Raises Invalid `invalid_update`."""

    def walk(value: Any, done: Path) -> Iterator[Path]:
        for at in range(len(done), len(path)):
            step = path[at]
            if step.startswith("$"):
                for place in chosen(step, value, path[at + 1 :], done):
                    yield from walk(value[place], (*done, str(place)))
                return
            value = _below(value, step)
            done = (*done, step)
        yield done

    def chosen(step: str, array: Any, rest: Path, done: Path) -> Iterator[int]:
        _require_array(array, done)
        if step == paths.MATCHED:
            place = find_matched(done, array)
            if place is None:
                raise invalid_update(
                    ".".join((*done, step, *rest)),
                    "the filter has no condition that an element of this array meets",
                )
            yield place
            return
        test = filters.get(paths.identifier(step) or "")
        for place, item in enumerate(array):
            budget.test(test.cost if test else 1)
            if test is None or test.matches(item):
                yield place

    return walk(document, ())


def _below(value: Any, step: str) -> Any:
    if kinds.is_object(value):
        return value.get(step, MISSING)
    if isinstance(value, list) and is_index(step) and int(step) < len(value):
        return value[int(step)]
    return MISSING


def _require_array(value: Any, path: Path) -> None:
    if value is MISSING:
        raise invalid_update(".".join(path), "there must be an array to name elements of")
    if not isinstance(value, list):
        raise invalid_update(".".join(path), "it is no array, which has elements")
