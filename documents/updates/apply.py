"""Carry out an update on a document's fields. Pure: the given document is left as it was."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from baas.kernel.events.event import rfc3339
from documents.query.paths import MISSING, is_index
from documents.updates import arrays, kinds, limits, numbers, order, paths
from documents.updates.ast import (
    AddToSet,
    Change,
    Increase,
    Limit,
    MergePatch,
    Multiply,
    Now,
    Operators,
    Path,
    Pop,
    Pull,
    PullAll,
    Push,
    Rename,
    Replacement,
    Set,
    Unset,
    Update,
)
from documents.updates.elements import NOWHERE, FindMatched, places
from documents.updates.limits import Budget
from documents.updates.problems import invalid_update
from documents.updates.writer import Make, Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What an update depends on besides the fields of the document."""

    inserts: bool = False  # an upsert makes the document: `$setOnInsert` applies
    # The place of the element of the array at a path that the filter matched, for `$`.
    matched: FindMatched = NOWHERE
    now: datetime | None = None  # for `$currentDate`; the clock's time when None


ORDINARY = Occasion()


def apply(
    update: Update, document: dict[str, Any], occasion: Occasion = ORDINARY
) -> dict[str, Any]:
    """The changed fields.

    Raises Invalid `invalid_update` when a stored type does not fit, TooLarge `document_too_large`.
    """
    match update:
        case MergePatch(members):
            merged: dict[str, Any] = merge(document, members)
            return merged
        case Replacement(fields):
            return fields
    budget = Budget()
    writer = Writer(document, budget)
    # All places are found before the first change: filters see the document as it was.
    for path, make in list(_changes(update, document, occasion, budget)):
        writer.change(path, make)
    return writer.document


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not kinds.is_object(patch):
        return patch
    merged = dict(target) if kinds.is_object(target) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def _changes(
    update: Operators, document: dict[str, Any], occasion: Occasion, budget: Budget
) -> Iterator[tuple[Path, Make]]:
    now = rfc3339(occasion.now or datetime.now(UTC))
    taken = paths.Taken()
    is_dynamic = any(paths.has_elements(operation.path) for operation in update.operations)
    for operation in update.operations:
        if operation.only_on_insert and not occasion.inserts:
            continue
        if isinstance(operation.change, Rename):
            found = [*_moves(operation.path, operation.change.source, document)]
        elif paths.has_elements(operation.path):
            make = _make(operation.change, operation.path, now, budget)
            reached = places(
                operation.path, document, update.array_filters, occasion.matched, budget
            )
            found = [(path, make) for path in reached]
            budget.write(operation.weight * len(found))
        else:
            found = [(operation.path, _make(operation.change, operation.path, now, budget))]
        if is_dynamic:
            for path, _ in found:
                taken.add(path)
        yield from found


def _make(change: Change, path: Path, now: str, budget: Budget) -> Make:
    """From the value there (or MISSING) to the new one (or MISSING)."""
    match change:
        case Set(value):
            return lambda _: value
        case Unset():
            return lambda _: MISSING
        case Now():
            return lambda _: {"$date": now}
        case Increase(amount):
            return lambda old: numbers.increased(path, old, amount)
        case Multiply(factor):
            return lambda old: numbers.multiplied(path, old, factor)
        case Limit(value, keep):
            return lambda old: order.limited(old, value, keep)
        case Push():
            return lambda old: arrays.pushed(path, old, change)
        case AddToSet(added):
            return lambda old: arrays.added(path, old, added)
        case Pop(end):
            return lambda old: arrays.popped(path, old, end)
        case Pull(test):
            return lambda old: arrays.pulled(path, old, test, budget)
        case PullAll(unwanted):
            return lambda old: arrays.without(path, old, unwanted)
        case Rename():
            raise TypeError("a rename changes two places")


def _moves(target: Path, source: Path, document: dict[str, Any]) -> Iterator[tuple[Path, Make]]:
    """`$rename`: nothing when there is no such field."""
    value = _value_of(source, document)
    if value is MISSING:
        return
    _value_of(target, document)
    limits.check_depth(".".join(target), len(target), value)
    yield source, lambda _: MISSING
    yield target, lambda _: value


def _value_of(path: Path, document: dict[str, Any]) -> Any:
    found: Any = document
    for step in path:
        if isinstance(found, list) and is_index(step):
            raise invalid_update(".".join(path), "$rename does not reach into arrays")
        if not kinds.is_object(found) or step not in found:
            return MISSING
        found = found[step]
    return found
