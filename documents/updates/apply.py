"""Carry out an update on a document's fields. Pure: the given document is left as it was."""

from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any, Final

from documents import values
from documents.query.paths import MISSING, is_index
from documents.updates.ast import Inc, MergePatch, Operation, Path, Push, Set, Unset, Update
from documents.updates.problems import invalid_update

# How far behind the end of an array an index may lie: what is between becomes null.
MAX_PADDING: Final = 1500
# Enough digits that sums of what a numeric can hold stay exact.
_DIGITS: Final = 40_000

Change = Callable[[Any], Any]  # from the value there (or MISSING) to the new one (or MISSING)


def apply(update: Update, document: dict[str, Any]) -> dict[str, Any]:
    """The changed document. Raises Invalid `invalid_update` when a stored type does not fit."""
    if isinstance(update, MergePatch):
        merged: dict[str, Any] = merge(document, update.members)
        return merged
    for operation in update:
        document = _at(document, operation.path, 0, _change(operation))
    return document


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict) or values.is_date(patch):
        return patch
    merged = dict(target) if isinstance(target, dict) and not values.is_date(target) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def _change(operation: Operation) -> Change:
    match operation:
        case Set(_, value):
            return lambda _: value
        case Unset():
            return lambda _: MISSING
        case Inc(path, amount):
            return lambda old: _increased(path, old, amount)
        case Push(path, items):
            return lambda old: _pushed(path, old, items)


def _increased(path: Path, old: Any, amount: int | Decimal) -> int | Decimal:
    if old is MISSING:
        return amount
    if isinstance(old, bool) or not isinstance(old, int | Decimal):
        raise invalid_update(".".join(path), "$inc needs a number there")
    total: int | Decimal
    if isinstance(old, int) and isinstance(amount, int):
        total = old + amount
    else:
        with localcontext(prec=_DIGITS):
            total = Decimal(old) + Decimal(amount)
    values.normalise(total, ".".join(path))  # refuses what is too large to be kept
    return total


def _pushed(path: Path, old: Any, items: tuple[Any, ...]) -> list[Any]:
    if old is MISSING:
        return list(items)
    if not isinstance(old, list):
        raise invalid_update(".".join(path), "$push needs an array there")
    return [*old, *items]


def _at(container: Any, path: Path, depth: int, change: Change) -> Any:
    """The container with the change made at the rest of the path; only what changes is copied."""
    step = path[depth]
    if isinstance(container, dict) and not values.is_date(container):
        old = container.get(step, MISSING)
    elif isinstance(container, list) and is_index(step):
        old = container[int(step)] if int(step) < len(container) else MISSING
    else:
        new = _changed(MISSING, path, depth, change)
        if new is MISSING:  # $unset of what cannot be there
            return container
        raise invalid_update(
            ".".join(path), f"{'.'.join(path[:depth])} is not an object that could hold it"
        )
    new = _changed(old, path, depth, change)
    if new is old:
        return container
    if isinstance(container, dict):
        if new is MISSING:
            return {key: value for key, value in container.items() if key != step}
        return {**container, step: new}
    return _with_item(container, int(step), new, path)


def _changed(old: Any, path: Path, depth: int, change: Change) -> Any:
    if depth == len(path) - 1:
        return change(old)
    if old is not MISSING:
        return _at(old, path, depth + 1, change)
    made = _at({}, path, depth + 1, change)
    return made or MISSING


def _with_item(array: list[Any], index: int, new: Any, path: Path) -> list[Any]:
    copy = list(array)
    if index < len(copy):
        copy[index] = None if new is MISSING else new
    elif new is not MISSING:
        if index > len(copy) + MAX_PADDING:
            raise invalid_update(".".join(path), f"the index {index} is far behind the array's end")
        copy += [None] * (index - len(copy)) + [new]
    return copy
