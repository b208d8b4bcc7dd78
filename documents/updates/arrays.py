"""Operators on arrays: `$push`, `$addToSet`, `$pop`, `$pull`, `$pullAll`. Pure."""

from typing import Any

from documents.query.paths import MISSING, is_index
from documents.updates import kinds, order
from documents.updates.ast import ElementTest, Path, Push
from documents.updates.limits import Budget
from documents.updates.problems import invalid_update


def pushed(path: Path, old: Any, push: Push) -> list[Any]:
    """Inserted, then sorted, then cut, as in MongoDB."""
    array = list(_array("$push", path, old))
    if push.position is None:
        array.extend(push.values)
    else:
        array[push.position : push.position] = push.values  # from the end when negative
    for by, direction in reversed(push.sort):
        array.sort(key=lambda item: order.key(_field(item, by)), reverse=direction < 0)
    if push.slice is not None:
        array = array[: push.slice] if push.slice >= 0 else array[push.slice :]
    return array


def _array(name: str, path: Path, old: Any) -> list[Any]:
    if old is MISSING:
        return []
    if not isinstance(old, list):
        raise invalid_update(".".join(path), f"{name} needs an array there")
    return old


def _field(item: Any, path: Path) -> Any:
    for step in path:
        if kinds.is_object(item) and step in item:
            item = item[step]
        elif isinstance(item, list) and is_index(step) and int(step) < len(item):
            item = item[int(step)]
        else:
            return MISSING
    return item


def added(path: Path, old: Any, items: tuple[Any, ...]) -> list[Any]:
    array = _array("$addToSet", path, old)
    there = {_identity(item) for item in array}
    new = []
    for item in items:
        identity = _identity(item)
        if identity not in there:
            there.add(identity)
            new.append(item)
    return [*array, *new]


def popped(path: Path, old: Any, end: int) -> Any:
    if old is MISSING:
        return MISSING
    array = _array("$pop", path, old)
    return array[:-1] if end > 0 else array[1:]


def pulled(path: Path, old: Any, test: ElementTest, budget: Budget) -> Any:
    if old is MISSING:
        return MISSING
    array = _array("$pull", path, old)
    budget.test(test.cost * len(array))
    return [item for item in array if not test.matches(item)]


def without(path: Path, old: Any, unwanted: tuple[Any, ...]) -> Any:
    if old is MISSING:
        return MISSING
    gone = {_identity(item) for item in unwanted}
    return [item for item in _array("$pullAll", path, old) if _identity(item) not in gone]


def _identity(value: Any) -> Any:
    """Hashable, and the same for values that are equal: 1 and 1.0 are, true and 1 are not."""
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, dict):
        return (dict, frozenset((key, _identity(inner)) for key, inner in value.items()))
    if isinstance(value, list):
        return (list, tuple(map(_identity, value)))
    return value
