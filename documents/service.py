"""Documents: what doors and upper rooms call. Values in and out, rules applied, events committed.

Documents are passed in their wire form: the user's fields beside `_id`, `_version`, `_owner`,
`_createdAt` and `_updatedAt`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
import psycopg

from baas.kernel import db, ids, repeatable
from baas.kernel.events import after_commit, event_params
from baas.kernel.events.event import rfc3339
from baas.kernel.problems import Conflict, FieldError, Invalid, PreconditionFailed, TooLarge
from documents import (
    access,
    changes,
    checks,
    collections,
    hiding,
    reading,
    refusals,
    values,
    wire,
    writing,
)
from documents.access import Caller
from documents.capacity import room_for
from documents.changes import Changed
from documents.collections import Action, Collection
from documents.rewriting import mismatch, rewrite
from documents.updates import Replacement, Update
from documents.wire import Row

MAX_BATCH: Final = 500


# Reading


def get(caller: Caller, collection: str, id: str) -> dict[str, Any]:
    """The document. Raises NotFound `document_not_found`, Forbidden `rule_denied`."""
    return wire.value(get_row(caller, collection, id))


def get_row(caller: Caller, name: str, id: str) -> Row:
    """As `get`, the row as stored: `wire.text(row)` is its JSON."""
    collection = existing(caller, name, "read", id)
    found = reading.look(caller, collection, id)
    if found is None:
        raise access.not_found(caller, collection, id)
    row, is_readable = found
    if not is_readable:
        raise access.not_found(caller, collection, id, wire.value(row))
    return hiding.mask_row(caller, collection, row)


def existing(caller: Caller, name: str, action: Action, id: str) -> Collection:
    """The collection that a document is to be in."""
    found = collections.find(caller.project.id, name)
    if found is None:
        if not caller.principal.bypasses_rules:
            raise access.closed(name, action)
        raise access.no_document(name, id)
    if checks.ID.fullmatch(id) is None:
        raise access.not_found(caller, found, id)
    return found


def _writable(caller: Caller, name: str, action: Action) -> Collection:
    """The collection to write to; privileged callers bring it into being."""
    found = collections.find(caller.project.id, name)
    if found is not None:
        return found
    if not caller.principal.bypasses_rules:
        raise access.closed(name, action)
    return collections.make(caller.project.id, name)


# Creating


def create(caller: Caller, collection: str, data: dict[str, Any]) -> dict[str, Any]:
    """Store a new document and announce it, or do neither.

    Raises Conflict `document_exists`, Forbidden `rule_denied`, Invalid for data that cannot be
    stored or does not match the schema.
    """
    return wire.value(create_row(caller, collection, data))


def create_row(caller: Caller, name: str, data: dict[str, Any], text: bytes | None = None) -> Row:
    """As `create`, the row as stored. `text` is the data as JSON, when that `values.is_plain`."""
    collection = _writable(caller, name, "create")
    new = _new(caller, collection, data, text)
    return writing.insert(collection, new, has_own_id="_id" in data)


def create_many(
    caller: Caller, name: str, items: Sequence[Any], *, is_plain: bool = False
) -> list[Row]:
    """Store all documents or none. Problems name the document: `[3]`, `[3].title`.

    `is_plain`: the JSON text of all items is `values.is_plain`.
    """
    if len(items) > MAX_BATCH:
        raise TooLarge(f"A batch has {MAX_BATCH} documents at most.", code="batch_too_large")
    collection = _writable(caller, name, "create")
    rows = []
    for index, data in enumerate(items):
        if not isinstance(data, dict):
            raise values.invalid_value(f"[{index}]", "a document is a JSON object")
        with refusals.naming(f"[{index}]"):
            text = values.dumps(data) if is_plain else None
            rows.append(_new(caller, collection, data, text))
    # One JSON text: psycopg would escape the members of three arrays one by one.
    items_text = ",".join(
        [
            f'{{"id":"{row["id"]}","owner":{orjson.dumps(row["owner"]).decode()},"doc":{row["doc"]}}}'
            for row in rows
        ]
    )
    parameters = {"items": f"[{items_text}]", **event_params()}
    with room_for(collection, len(rows)):
        return refusals.run(
            collection, lambda: db.fetch_all(collection.statements.insert_many, parameters)
        )


def _new(
    caller: Caller, collection: Collection, data: dict[str, Any], text: bytes | None
) -> dict[str, Any]:
    """The parameters of an insert, once all checks have passed."""
    id = data.get("_id")
    if id is None:
        id = ids.new_id()
    else:
        checks.check_id(id)
    owner = _owner_of_new(caller, data)
    if text is None or not values.SYSTEM_FIELDS.isdisjoint(data):
        fields = values.normalise(wire.user_fields(data))
        text = values.dumps(fields)
        checks.check_size(text)
    else:
        fields = data
    if collection.validator is not None:
        collection.validator.check(fields)
    if not caller.principal.bypasses_rules:
        now = rfc3339(repeatable.now())
        preview = wire.with_system_fields((id, 1, owner, now, now), fields)
        access.require(caller, collection, "create", data=preview)
        if not hiding.may_create(caller, collection, preview):
            raise hiding.denied(caller, collection, "create", preview)
    return {"id": id, "doc": text.decode(), "owner": owner}


def _owner_of_new(caller: Caller, data: dict[str, Any]) -> str | None:
    if not caller.principal.bypasses_rules:
        return caller.principal.uid
    return checks.checked_owner(data.get("_owner"))


# Changing


def update(
    caller: Caller, collection: str, id: str, change: Update, *, if_version: int | None = None
) -> dict[str, Any]:
    """Carry out an update on one document, atomically; what changes nothing makes no event.

    Raises NotFound `document_not_found`, Forbidden `rule_denied`, PreconditionFailed
    `version_mismatch`, Invalid `invalid_update`.
    """
    return wire.value(update_row(caller, collection, id, change, if_version=if_version))


def update_row(
    caller: Caller, name: str, id: str, change: Update, *, if_version: int | None = None
) -> Row:
    collection = existing(caller, name, "update", id)

    def changed(document: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        return _changed(
            caller,
            collection,
            change,
            document,
            lambda: changes.carry_out(caller, change, document),
        )

    row = rewrite(caller, collection, id, changed, if_version)
    if row is None:
        raise access.not_found(caller, collection, id)
    return hiding.mask_row(caller, collection, row)


def _changed(
    caller: Caller,
    collection: Collection,
    change: Update,
    document: dict[str, Any],
    carry_out: Callable[[], Changed],
) -> Changed:
    found = hiding.changed(caller, collection, change, document, carry_out)
    if found is None:
        raise hiding.denied(caller, collection, "update", document)
    return found


def replace(
    caller: Caller,
    collection: str,
    id: str,
    data: dict[str, Any],
    *,
    if_version: int | None = None,
    if_exists: bool | None = None,
) -> dict[str, Any]:
    """Put the document in the place of the one with this id, or make it.

    `if_exists` true only replaces, false only makes. Raises as `create` and `update` do.
    """
    row, _ = replace_row(caller, collection, id, data, if_version=if_version, if_exists=if_exists)
    return wire.value(row)


def replace_row(
    caller: Caller,
    name: str,
    id: str,
    data: dict[str, Any],
    *,
    if_version: int | None = None,
    if_exists: bool | None = None,
) -> tuple[Row, bool]:
    """As `replace`: the row, and whether it is new."""
    checks.check_id(id)
    if data.get("_id", id) != id:
        raise Invalid(
            "`_id` in the body is not the one in the address.",
            code="invalid_id",
            errors=[FieldError("_id", "invalid_id", "differs from the address")],
        )
    collection = _writable(caller, name, "update")
    fields = values.normalise(wire.user_fields(data))

    def changed(document: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        owner = document["_owner"]
        if caller.principal.bypasses_rules and "_owner" in data:
            owner = checks.checked_owner(data["_owner"])
        replacement = Replacement(fields)
        return _changed(caller, collection, replacement, document, lambda: (fields, owner))

    def create() -> dict[str, Any]:
        return _new(caller, collection, {**data, "_id": id}, None)

    while True:
        if if_exists is not False:
            row = rewrite(
                caller, collection, id, changed, if_version, create=None if if_exists else create
            )
            if row is not None:
                return hiding.mask_row(caller, collection, row), False
            if if_exists:
                raise access.not_found(caller, collection, id)
            if if_version is not None:
                raise mismatch(None)
        new = create()
        try:
            with db.savepoint():
                return writing.insert(collection, new, has_own_id=True), True
        except Conflict as conflict:
            if conflict.code != "document_exists":
                raise
            if if_exists is False:
                raise PreconditionFailed(
                    f"A document {id!r} exists already.", code="document_exists"
                ) from conflict
            # Somebody else has just made it: replace that one.
            if repeatable.is_repeating():
                # The snapshot of an interactive transaction would never show it: have a newer one.
                raise psycopg.errors.SerializationFailure("made by another") from conflict


# Deleting


def delete(caller: Caller, name: str, id: str, *, if_version: int | None = None) -> None:
    """Remove the document and announce it.

    Raises NotFound `document_not_found`, Forbidden `rule_denied`, PreconditionFailed
    `version_mismatch`.
    """
    collection = existing(caller, name, "delete", id)
    while True:
        if caller.principal.bypasses_rules:
            parameters = {"id": id, "version": if_version, **event_params()}
            statements = collection.statements
            remove = statements.delete if if_version is None else statements.delete_version
            if db.fetch_one(remove, parameters) is not None:
                after_commit()
                return
        found = reading.look(caller, collection, id)
        if found is None:
            raise access.not_found(caller, collection, id)
        row, is_readable = found
        document = wire.value(row)
        if not is_readable:
            raise access.not_found(caller, collection, id, document)
        access.require(caller, collection, "delete", doc=document)
        if if_version is not None and row[1] != if_version:
            raise mismatch(row[1])
        parameters = {"id": id, "version": row[1], **event_params()}
        if db.fetch_one(collection.statements.delete_version, parameters) is not None:
            after_commit()
            return
