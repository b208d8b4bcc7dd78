"""What an update makes of a document, system fields minded."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from baas.kernel import repeatable
from documents import checks, updates, values, wire
from documents.access import Caller
from documents.updates import MergePatch, Occasion, Operators, Replacement, Update
from documents.updates.ast import Operation, Rename, Set
from documents.updates.elements import NOWHERE, FindMatched
from documents.updates.problems import invalid_update

# The user's fields and the owner.
Changed: TypeAlias = tuple[dict[str, Any], str | None]


def carry_out(
    caller: Caller,
    update: Update,
    document: dict[str, Any],
    *,
    matched: FindMatched = NOWHERE,
    inserts: bool = False,
) -> Changed:
    """The new user fields and owner of a document in its wire form.

    A privileged caller may set `_owner`; the other system fields are read-only (in a merge patch
    or a replacement they are ignored, so that a document that was read can be sent back). Raises
    Invalid `invalid_update`, TooLarge `document_too_large`.
    """
    owner = document["_owner"]
    privileged = caller.principal.bypasses_rules
    match update:
        case MergePatch(members) | Replacement(members):
            if privileged and "_owner" in members:
                owner = checks.checked_owner(members["_owner"])
            if not values.SYSTEM_FIELDS.isdisjoint(members):
                update = type(update)(wire.user_fields(members))
        case Operators(operations):
            kept = []
            for operation in operations:
                if operation.only_on_insert and not inserts:
                    continue
                if not _is_system(operation):
                    kept.append(operation)
                elif privileged and operation.path == ("_owner",):
                    owner = checks.checked_owner(_value(operation))
                elif operation.path != ("_id",) or _value(operation) != document["_id"]:
                    raise _read_only(operation)
            if len(kept) < len(operations):
                update = replace(update, operations=tuple(kept))
    occasion = Occasion(inserts=inserts, matched=matched, now=repeatable.now())
    return updates.apply(update, wire.user_fields(document), occasion), owner


def _is_system(operation: Operation) -> bool:
    return any(path[0] in values.SYSTEM_FIELDS for path in _touched(operation))


def _touched(operation: Operation) -> Iterator[tuple[str, ...]]:
    yield operation.path
    if isinstance(operation.change, Rename):
        yield operation.change.source


def _value(operation: Operation) -> Any:
    """What a system field is set to. Raises Invalid for anything but an assignment."""
    if not isinstance(operation.change, Set):
        raise _read_only(operation)
    return operation.change.value


def _read_only(operation: Operation) -> Exception:
    return invalid_update(".".join(operation.path), "system fields are read-only")
