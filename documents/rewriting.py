"""Changing a stored document: read it, decide, write it if nobody else wrote in between."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from django.db import transaction

from baas.kernel import repeatable
from baas.kernel.events.event import rfc3339
from baas.kernel.problems import PreconditionFailed
from documents import access, checks, hiding, reading, values, wire, writing
from documents.access import Caller
from documents.collections import Collection
from documents.wire import Row

# How often a write is tried beside others before it waits for its turn.
_ATTEMPTS: Final = 2

# From the stored document (wire form) to the new user fields and owner; may refuse.
Change: TypeAlias = Callable[[dict[str, Any]], tuple[dict[str, Any], str | None]]
# Raises what refuses to make the document.
Create: TypeAlias = Callable[[], object]


def rewrite(
    caller: Caller,
    collection: Collection,
    id: str,
    change: Change,
    if_version: int | None,
    *,
    create: Create | None = None,
) -> Row | None:
    """Read, change, write if nobody else wrote in between; None when there is no such document.

    With `create` a document that is not there would be made: for one that the caller may not read
    it raises what making it would. Two statements without a transaction in the common case. Under
    contention it locks the row.
    """
    for _ in range(_ATTEMPTS):
        found = reading.look(caller, collection, id)
        if found is None:
            return None
        written = _write(caller, collection, *found, change, if_version, create)
        if written is not None:
            return written
    with transaction.atomic():
        found = reading.look(caller, collection, id, lock=True)
        if found is None:
            return None
        return _write(caller, collection, *found, change, if_version, create)


def _write(
    caller: Caller,
    collection: Collection,
    row: Row,
    is_readable: bool,
    change: Change,
    if_version: int | None,
    create: Create | None,
) -> Row | None:
    """The row as it is now; None when another writer was faster."""
    old = wire.value(row)
    if not is_readable:
        # As for a document that is not there.
        if create is not None:
            if if_version is not None:
                raise mismatch(None)
            create()
        raise access.not_found(caller, collection, old["_id"], old)
    if if_version is not None and row[1] != if_version:
        raise mismatch(row[1])
    fields, owner = change(old)
    if not may_update(caller, collection, row, old, fields, owner):
        new = _preview(row, fields, owner)
        raise access.denied(caller, collection, "update", doc=old, data=new)
    write = write_of(caller, collection, row, old, fields, owner)
    return row if write is None else store(collection, write)


def may_update(
    caller: Caller,
    collection: Collection,
    row: Row,
    old: dict[str, Any],
    fields: dict[str, Any],
    owner: str | None,
) -> bool:
    """What the rule says of the stored document and of what it would become."""
    return caller.principal.bypasses_rules or access.may(
        caller, collection, "update", doc=old, data=_preview(row, fields, owner)
    )


def _preview(row: Row, fields: dict[str, Any], owner: str | None) -> dict[str, Any]:
    now = rfc3339(repeatable.now())
    return wire.with_system_fields((row[0], row[1] + 1, owner, row[3], now), fields)


def write_of(
    caller: Caller,
    collection: Collection,
    row: Row,
    old: dict[str, Any],
    fields: dict[str, Any],
    owner: str | None,
) -> dict[str, Any] | None:
    """The parameters that store the new fields and owner; None when nothing changes.

    Raises Invalid `schema_violation`, TooLarge `document_too_large`.
    """
    if owner == row[2] and values.equal(fields, wire.user_fields(old)):
        return None
    if collection.validator is not None:
        hiding.validate(collection.validator, fields, hiding.hidden_paths(caller, collection, old))
    text = values.dumps(fields)
    checks.check_size(text)
    return {"id": row[0], "version": row[1], "doc": text.decode(), "owner": owner}


def store(collection: Collection, write: dict[str, Any]) -> Row | None:
    """The row as it is then; None when another writer was faster."""
    return writing.update(collection, write)


def mismatch(version: int | None) -> PreconditionFailed:
    found = "there is none" if version is None else f"it is at version {version}"
    return PreconditionFailed(
        f"The document is not at the version that If-Match asks for: {found}. Read it again.",
        code="version_mismatch",
    )
