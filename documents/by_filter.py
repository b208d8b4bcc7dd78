"""Find-and-modify: the first document that matches is changed, replaced or deleted, atomically.

A document that another writer changes between our look and our write is looked at again, so no
update is lost and no document is given to two callers who each take "a free one". What the caller
may not read or write is passed over.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from baas.kernel import db, repeatable
from baas.kernel.events import after_commit, event_params
from baas.kernel.problems import Conflict, FieldError, Invalid
from documents import (
    access,
    changes,
    collections,
    hiding,
    rewriting,
    service,
    upserts,
    values,
    wire,
)
from documents.access import Caller
from documents.attempts import Overtaken, atomically
from documents.collections import Action, Collection
from documents.geo.near import near_of
from documents.query import Node
from documents.query.problems import unsupported
from documents.query.sort import Sort
from documents.selection import Selection, select
from documents.updates import Replacement, Update, positional
from documents.wire import Row

# Somebody else may make the document that an upsert is about to make, or remove it again.
_UPSERTS: Final = 3
_TAKEN: Final = frozenset({"document_exists", "unique_violation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a write by filter did. An upsert that makes a document has matched none."""

    matched: int = 0
    modified: int = 0
    upserted_id: str | None = None
    before: Row | None = None  # of writes of one document
    after: Row | None = None


# None when the caller may not; raises Overtaken.
Act: TypeAlias = Callable[[Row], Outcome | None]


def update_one(
    caller: Caller,
    name: str,
    filter: Node,
    update: Update,
    *,
    order: Sort | None = None,
    upsert: bool = False,
) -> Outcome:
    """Change the first document in the order (by `_id` when None) that the filter finds.

    Raises Forbidden `rule_denied` when the collection is closed to the caller, Invalid
    `invalid_update` and what else `service.update` does for the stored document.
    """

    _require_order(filter, order)

    def find() -> Outcome | None:
        selection = selected(caller, name, "update", filter, order)
        if selection is None:
            return None
        return _first(selection, _updating(caller, selection, update))

    found = found_or_made(find, caller, name, filter, update if upsert else None)
    return _masked(caller, name, found)


def _masked(caller: Caller, name: str, outcome: Outcome) -> Outcome:
    """As the caller sees it."""
    collection = collections.find(caller.project.id, name)
    if collection is None or not collection.hidden:
        return outcome
    return replace(
        outcome,
        before=outcome.before and hiding.mask_row(caller, collection, outcome.before),
        after=outcome.after and hiding.mask_row(caller, collection, outcome.after),
    )


def replace_one(
    caller: Caller,
    name: str,
    filter: Node,
    data: dict[str, Any],
    *,
    order: Sort | None = None,
    upsert: bool = False,
) -> Outcome:
    """Put the data in the place of the first document that the filter finds; its `_id` stays."""
    fields: dict[str, Any] = values.normalise(wire.user_fields(data))
    fields |= {key: data[key] for key in ("_id", "_owner") if key in data}
    return update_one(caller, name, filter, Replacement(fields), order=order, upsert=upsert)


def delete_one(caller: Caller, name: str, filter: Node, *, order: Sort | None = None) -> Outcome:
    """Remove the first document that the filter finds; `modified` says whether there was one."""
    _require_order(filter, order)
    selection = selected(caller, name, "delete", filter, order)
    if selection is None:
        return Outcome()
    return _masked(caller, name, _first(selection, _deleting(caller, selection)) or Outcome())


def _require_order(filter: Node, order: Sort | None) -> None:
    """`$near` would be the order: only lists know that one."""
    if order is None and near_of(filter) is not None:
        raise unsupported("$near", "a write of the first document: give it a sort")


def selected(
    caller: Caller, name: str, action: Action, filter: Node, order: Sort | None = None
) -> Selection | None:
    """None when there is no such collection."""
    collection = collections.find(caller.project.id, name)
    if collection is None:
        if not caller.principal.bypasses_rules:
            raise access.closed(name, action)
        return None
    return select(caller, collection, action, filter, order)


def found_or_made(
    find: Callable[[], Outcome | None],
    caller: Caller,
    name: str,
    filter: Node,
    upsert: Update | None,
) -> Outcome:
    """What `find` did; when that is None, the document of the upsert is made."""
    for attempt in range(_UPSERTS):
        found = find()
        if found is not None:
            return found
        if upsert is None:
            break
        try:
            with db.savepoint():
                row = service.create_row(caller, name, upserts.new_document(caller, filter, upsert))
            return Outcome(upserted_id=row[0], after=row)
        except Conflict as conflict:
            # Somebody has just made it: then it is found, unless it is not what the filter wants.
            # (The snapshot of an interactive transaction would never show it.)
            if conflict.code not in _TAKEN or attempt == _UPSERTS - 1 or repeatable.is_repeating():
                raise
    return Outcome()


def _first(selection: Selection, act: Act) -> Outcome | None:
    """Act on the first document that the caller may write.

    Without a lock and a transaction at first; when another writer is faster, with both.
    """
    try:
        return _first_of(selection.rows(), act)
    except Overtaken:
        return atomically(lambda: _first_locked(selection, act))


def _first_locked(selection: Selection, act: Act) -> Outcome | None:
    if selection.is_sorted:
        selection.queue()
    else:
        # Any will do: rather one that nobody else works on than wait for the first.
        done = _first_of(selection.idle(), act)
        if done is not None:
            return done
    return _first_of(_locked(selection), act)


def _locked(selection: Selection) -> Iterator[Row]:
    for row in selection.rows():
        locked = selection.lock(row[0])
        if locked is None:
            raise Overtaken  # it is something else now: another may be the first
        yield locked


def _first_of(rows: Iterator[Row], act: Act) -> Outcome | None:
    return next((done for row in rows if (done := act(row)) is not None), None)


def _updating(caller: Caller, selection: Selection, update: Update) -> Act:
    collection = selection.collection
    change = changing(caller, selection, update)

    def act(row: Row) -> Outcome | None:
        changed = change(row)
        if changed is None:
            return None
        if changed.write is None:
            return Outcome(matched=1, before=row, after=row)
        after = rewriting.store(collection, changed.write)
        if after is None:
            raise Overtaken
        return Outcome(matched=1, modified=1, before=row, after=after)

    return act


@dataclass(frozen=True, slots=True)
class Changed:
    write: dict[str, Any] | None  # the parameters that store it; None when nothing changes


def changing(
    caller: Caller, selection: Selection, update: Update
) -> Callable[[Row], Changed | None]:
    """A function that says what becomes of a row; None when the caller may not do that."""
    collection = selection.collection
    matched = positional.finder(selection.filter)
    id = update.fields.get("_id") if isinstance(update, Replacement) else None

    def change(row: Row) -> Changed | None:
        if id is not None and id != row[0]:
            raise Invalid(
                "`_id` of the replacement is not the one of the document that was found.",
                code="invalid_id",
                errors=[FieldError("replacement._id", "invalid_id", "differs from the document's")],
            )
        old = wire.value(row)
        changed = hiding.changed(
            caller,
            collection,
            update,
            old,
            lambda: changes.carry_out(caller, update, old, matched=matched),
        )
        if changed is None:
            return None
        fields, owner = changed
        if not selection.is_whole and not rewriting.may_update(
            caller, collection, row, old, fields, owner
        ):
            return None
        return Changed(rewriting.write_of(caller, collection, row, old, fields, owner))

    return change


def _deleting(caller: Caller, selection: Selection) -> Act:
    collection = selection.collection

    def act(row: Row) -> Outcome | None:
        if not selection.is_whole and not may_delete(caller, collection, row):
            return None
        parameters = {"id": row[0], "version": row[1], **event_params()}
        if db.fetch_one(collection.statements.delete_version, parameters) is None:
            raise Overtaken
        after_commit()
        return Outcome(matched=1, modified=1, before=row)

    return act


def may_delete(caller: Caller, collection: Collection, row: Row) -> bool:
    return access.may(caller, collection, "delete", doc=wire.value(row))
