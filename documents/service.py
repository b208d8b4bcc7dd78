"""Documents: what doors and upper rooms call. Values in and out, rules applied, events committed.

Documents are passed in their wire form: the user's fields beside `_id`, `_version`, `_owner`,
`_createdAt` and `_updatedAt`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg
from django.db import transaction

from baas.kernel import db, ids
from baas.kernel.events import after_commit, event_params
from baas.kernel.problems import Conflict, FieldError, Invalid, PreconditionFailed, TooLarge
from documents import access, collections, updates, values, wire
from documents.access import Caller
from documents.collections import Action, Collection
from documents.updates.ast import MergePatch, Set, Update
from documents.updates.problems import invalid_update

ID: Final = re.compile(r"[A-Za-z0-9_.~-]{1,128}")
MAX_BATCH: Final = 500
MAX_DOCUMENT: Final = 1024 * 1024  # bytes of the user's fields as JSON
# How often a write is tried beside others before it waits for its turn.
_ATTEMPTS: Final = 2

Row = tuple[Any, ...]
T = TypeVar("T")


# Reading


def get(caller: Caller, collection: str, id: str) -> dict[str, Any]:
    """The document. Raises NotFound `document_not_found`, Forbidden `rule_denied`."""
    return wire.value(get_row(caller, collection, id))


def get_row(caller: Caller, name: str, id: str) -> Row:
    """As `get`, the row as stored: `wire.text(row)` is its JSON."""
    collection = existing(caller, name, "read", id)
    row = db.fetch_one(collection.statements.get, {"id": id})
    if row is None:
        raise access.not_found(caller, collection, id)
    if not caller.principal.bypasses_rules:
        document = wire.value(row)
        if not access.may(caller, collection, "read", doc=document):
            raise access.not_found(caller, collection, id, document)
    return row


def existing(caller: Caller, name: str, action: Action, id: str) -> Collection:
    """The collection that a document is to be in."""
    found = collections.find(caller.project.id, name)
    if found is None:
        if not caller.principal.bypasses_rules:
            raise access.closed(name, action)
        raise access.no_document(name, id)
    if ID.fullmatch(id) is None:
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
    parameters = _new(caller, collection, data, text)
    with _refusals(collection):
        row = _run(collection, lambda: db.fetch_one(collection.statements.insert, parameters))
    assert row is not None  # noqa: S101 - an insert that does not raise returns its row
    after_commit()
    return row


def create_many(caller: Caller, name: str, items: Sequence[Any]) -> list[Row]:
    """Store all documents or none. Problems name the document: `[3]`, `[3].title`."""
    if len(items) > MAX_BATCH:
        raise TooLarge(f"A batch has {MAX_BATCH} documents at most.", code="batch_too_large")
    collection = _writable(caller, name, "create")
    rows = []
    for index, data in enumerate(items):
        if not isinstance(data, dict):
            raise values.invalid_value(f"[{index}]", "a document is a JSON object")
        with _naming(f"[{index}]"):
            rows.append(_new(caller, collection, data, None))
    parameters = {
        "ids": [row["id"] for row in rows],
        "docs": [row["doc"] for row in rows],
        "owners": [row["owner"] for row in rows],
        **event_params(),
    }
    with _refusals(collection):
        stored = _run(
            collection, lambda: db.fetch_all(collection.statements.insert_many, parameters)
        )
    after_commit()
    return stored


def _new(
    caller: Caller, collection: Collection, data: dict[str, Any], text: bytes | None
) -> dict[str, Any]:
    """The parameters of an insert, once all checks have passed."""
    id = data.get("_id")
    if id is None:
        id = ids.new_id()
    else:
        check_id(id)
    owner = _owner_of_new(caller, data)
    if text is None or not values.SYSTEM_FIELDS.isdisjoint(data):
        fields = values.normalise(wire.user_fields(data))
        text = values.dumps(fields)
        _check_size(text)
    else:
        fields = data
    if collection.validator is not None:
        collection.validator.check(fields)
    if not caller.principal.bypasses_rules:
        preview = {"_id": id, "_owner": owner, "_version": 1, **fields}
        access.require(caller, collection, "create", data=preview)
    return {"id": id, "doc": text.decode(), "owner": owner, **event_params()}


def _owner_of_new(caller: Caller, data: dict[str, Any]) -> str | None:
    if not caller.principal.bypasses_rules:
        return caller.principal.uid
    return _checked_owner(data.get("_owner"))


def _checked_owner(owner: Any) -> str | None:
    if owner is not None and (not isinstance(owner, str) or not 0 < len(owner) <= 128
                              or "\0" in owner):  # fmt: skip
        raise values.invalid_value("_owner", "it is a user's id or null")
    return owner


def check_id(id: Any) -> None:
    """Raises Invalid `invalid_id`."""
    if not isinstance(id, str) or ID.fullmatch(id) is None or id in (".", ".."):
        raise Invalid(
            "`_id` is a string of 1 to 128 letters, digits and -_.~",
            code="invalid_id",
            errors=[FieldError("_id", "invalid_id", "1-128 URL-safe characters")],
        )


def _check_size(text: bytes) -> None:
    if len(text) > MAX_DOCUMENT:
        raise TooLarge(
            f"The document would have more than {MAX_DOCUMENT} bytes.", code="document_too_large"
        )


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
        return _updated(caller, change, document)

    row = _rewrite(caller, collection, id, changed, if_version)
    if row is None:
        raise access.not_found(caller, collection, id)
    return row


def _updated(
    caller: Caller, change: Update, document: dict[str, Any]
) -> tuple[dict[str, Any], str | None]:
    """The new user fields and owner."""
    owner = document["_owner"]
    privileged = caller.principal.bypasses_rules
    if isinstance(change, MergePatch):
        # A document that was read, edited and sent back brings its system fields along.
        if privileged and "_owner" in change.members:
            owner = _checked_owner(change.members["_owner"])
        change = MergePatch(wire.user_fields(change.members))
    else:
        kept = []
        for operation in change:
            if operation.path[0] not in values.SYSTEM_FIELDS:
                kept.append(operation)
            elif privileged and operation.path == ("_owner",) and isinstance(operation, Set):
                owner = _checked_owner(operation.value)
            else:
                raise invalid_update(".".join(operation.path), "system fields are read-only")
        change = tuple(kept)
    return updates.apply(change, wire.user_fields(document)), owner


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
    check_id(id)
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
            owner = _checked_owner(data["_owner"])
        return fields, owner

    while True:
        if if_exists is not False:
            row = _rewrite(caller, collection, id, changed, if_version, may_create=not if_exists)
            if row is not None:
                return row, False
            if if_exists:
                raise access.not_found(caller, collection, id)
            if if_version is not None:
                raise _mismatch(None)
        try:
            with _savepoint():
                return create_row(caller, name, {**data, "_id": id}), True
        except Conflict as conflict:
            if conflict.code != "document_exists":
                raise
            if if_exists is False:
                raise PreconditionFailed(
                    f"A document {id!r} exists already.", code="document_exists"
                ) from conflict
            # Somebody else has just made it: replace that one.


@contextmanager
def _savepoint() -> Iterator[None]:
    """Inside a transaction a failed statement must not end it; outside there is nothing to save."""
    if db.in_transaction():
        with transaction.atomic():
            yield
    else:
        yield


def _rewrite(
    caller: Caller,
    collection: Collection,
    id: str,
    change: Callable[[dict[str, Any]], tuple[dict[str, Any], str | None]],
    if_version: int | None,
    *,
    may_create: bool = False,
) -> Row | None:
    """Read, change, write if nobody else wrote in between; None when there is no such document.

    Two statements without a transaction in the common case. Under contention it locks the row.
    """
    for _ in range(_ATTEMPTS):
        row = db.fetch_one(collection.statements.get, {"id": id})
        if row is None:
            return None
        written = _write(caller, collection, row, change, if_version, may_create)
        if written is not None:
            return written
    with transaction.atomic():
        row = db.fetch_one(collection.statements.lock, {"id": id})
        if row is None:
            return None
        return _write(caller, collection, row, change, if_version, may_create)


def _write(
    caller: Caller,
    collection: Collection,
    row: Row,
    change: Callable[[dict[str, Any]], tuple[dict[str, Any], str | None]],
    if_version: int | None,
    may_create: bool,
) -> Row | None:
    """The row as it is now; None when another writer was faster."""
    old = wire.value(row)
    _require_readable(caller, collection, old, may_create)
    if if_version is not None and row[1] != if_version:
        raise _mismatch(row[1])
    fields, owner = change(old)
    access.require(caller, collection, "update", doc=old,
                   data={**wire.with_system_fields(row, fields), "_owner": owner})  # fmt: skip
    if owner == row[2] and values.equal(fields, wire.user_fields(old)):
        return row
    if collection.validator is not None:
        collection.validator.check(fields)
    text = values.dumps(fields)
    _check_size(text)
    parameters = {
        "id": row[0],
        "version": row[1],
        "doc": text.decode(),
        "owner": owner,
        **event_params(),
    }
    with _refusals(collection):
        written = _run(collection, lambda: db.fetch_one(collection.statements.update, parameters))
    if written is not None:
        after_commit()
    return written


def _require_readable(
    caller: Caller, collection: Collection, document: dict[str, Any], may_create: bool
) -> None:
    if access.may(caller, collection, "read", doc=document):
        return
    if may_create:
        # As for a missing document: first the rule that would refuse to make one.
        access.require(caller, collection, "create", data=document)
    raise access.not_found(caller, collection, document["_id"], document)


def _mismatch(version: int | None) -> PreconditionFailed:
    found = "there is none" if version is None else f"it is at version {version}"
    return PreconditionFailed(
        f"The document is not at the version that If-Match asks for: {found}. Read it again.",
        code="version_mismatch",
    )


# Deleting


def delete(caller: Caller, name: str, id: str, *, if_version: int | None = None) -> None:
    """Remove the document and announce it.

    Raises NotFound `document_not_found`, Forbidden `rule_denied`, PreconditionFailed
    `version_mismatch`.
    """
    collection = existing(caller, name, "delete", id)
    if caller.principal.bypasses_rules and if_version is None:
        if db.fetch_one(collection.statements.delete, {"id": id, **event_params()}) is None:
            raise access.not_found(caller, collection, id)
        after_commit()
        return
    while True:
        row = db.fetch_one(collection.statements.get, {"id": id})
        if row is None:
            raise access.not_found(caller, collection, id)
        document = wire.value(row)
        _require_readable(caller, collection, document, may_create=False)
        access.require(caller, collection, "delete", doc=document)
        if if_version is not None and row[1] != if_version:
            raise _mismatch(row[1])
        parameters = {"id": id, "version": row[1], **event_params()}
        if db.fetch_one(collection.statements.delete_version, parameters) is not None:
            after_commit()
            return


# What PostgreSQL says, as problems


def _run(collection: Collection, statement: Callable[[], T]) -> T:
    """Run a write; when it brings the first array into an indexed field, tell the index."""
    while True:
        try:
            with _savepoint():
                return statement()
        except psycopg.errors.CheckViolation as error:
            if not collections.accept_arrays(collection, error.diag.constraint_name or ""):
                raise


@contextmanager
def _refusals(collection: Collection) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        name = error.diag.constraint_name or ""
        if name.endswith("_pkey"):
            raise Conflict(
                "A document with this `_id` exists already.", code="document_exists"
            ) from error
        fields = collections.fields_of_index(collection, name)
        raise Conflict(
            f"Another document has the same value in {', '.join(fields) or 'a unique index'}.",
            code="unique_violation",
            errors=[FieldError(field, "unique_violation", "taken") for field in fields],
        ) from error
    except psycopg.errors.CheckViolation as error:
        raise Invalid(
            "A field with a unique index cannot hold an array.", code="invalid_value"
        ) from error
    except psycopg.errors.ProgramLimitExceeded as error:
        raise Invalid(
            "The value of an indexed field is too long: 2,000 bytes at most.",
            code="index_value_too_long",
        ) from error
    except (psycopg.errors.NumericValueOutOfRange, psycopg.errors.UntranslatableCharacter) as error:
        raise values.invalid_value("", "a number or a text cannot be kept") from error


@contextmanager
def _naming(prefix: str) -> Iterator[None]:
    """Name the document of a batch in what goes wrong with it."""
    try:
        yield
    except Invalid as problem:
        problem.errors = tuple(
            [
                FieldError(
                    f"{prefix}.{error.field}" if error.field else prefix, error.code, error.detail
                )
                for error in problem.errors
            ]
        )
        raise
