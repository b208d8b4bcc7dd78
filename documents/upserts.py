"""The document that an upsert makes when it finds none. Pure but for the id."""

from collections.abc import Iterator
from typing import Any

from baas.kernel import ids
from baas.kernel.problems import FieldError, Invalid
from documents import changes, checks, values
from documents.access import Caller
from documents.query.ast import And, Compare, In, Node, Or
from documents.updates import MergePatch, Operators, Replacement, Update, limits, paths
from documents.updates.ast import Path, Set
from documents.updates.problems import invalid_update
from documents.updates.writer import Writer


def new_document(caller: Caller, filter: Node, update: Update) -> dict[str, Any]:
    """The filter's equalities with the update carried out on them, in the wire form.

    As in MongoDB a replacement takes only the `_id` from the filter. Raises Invalid
    `invalid_update` when equalities contradict each other, `invalid_id`.
    """
    equalities = list(_equalities(filter))
    id = _id(equalities, update)
    owner = None if caller.principal.bypasses_rules else caller.principal.uid
    fields: dict[str, Any] = {}
    if not isinstance(update, Replacement):
        fields = _fields(equalities)
        if caller.principal.bypasses_rules:
            for path, value in equalities:
                if path == ("_owner",):
                    owner = checks.checked_owner(value)
    seed = {**fields, "_id": id, "_owner": owner}
    fields, owner = changes.carry_out(caller, update, seed, inserts=True)
    limits.check_depth("filter", 0, fields)
    return {**fields, "_id": id, "_owner": owner}


def _equalities(filter: Node) -> Iterator[tuple[Path, Any]]:
    """What every document that the filter finds is equal to."""
    match filter:
        case Compare(path, "eq", value):
            yield path, value
        case In(path, (value,)):
            yield path, value
        case And(parts):
            for part in parts:
                yield from _equalities(part)
        case Or((part,)):
            yield from _equalities(part)


def _id(equalities: list[tuple[Path, Any]], update: Update) -> str:
    given = [value for path, value in equalities if path == ("_id",)]
    match update:
        case MergePatch(members) | Replacement(members):
            given += [members["_id"]] if "_id" in members else []
        case Operators(operations):
            given += [
                operation.change.value
                for operation in operations
                if operation.path == ("_id",) and isinstance(operation.change, Set)
            ]
    if not given:
        return ids.new_id()
    for id in given:
        checks.check_id(id)
        if id != given[0]:
            raise Invalid(
                "The filter and the update name two different `_id`s.",
                code="invalid_id",
                errors=[FieldError("_id", "invalid_id", "two different ids")],
            )
    first: str = given[0]
    return first


def _fields(equalities: list[tuple[Path, Any]]) -> dict[str, Any]:
    taken = paths.Taken()
    writer = Writer({}, limits.Budget())
    for path, value in equalities:
        if path[0] in values.SYSTEM_FIELDS:
            continue
        try:
            taken.add(path)
        except Invalid as conflict:
            raise invalid_update(
                ".".join(path), "the filter says twice what it is equal to, which an upsert sets"
            ) from conflict
        writer.change(path, _constant(value))
    return writer.document


def _constant(value: Any) -> Any:
    return lambda _: value
