"""Writes of all documents that match: one transaction, a statement for each batch and its events.

The documents are locked in the order of their `_id`, so two such writes wait for each other rather
than each for the other. Memory is bounded by the batch, whatever matches.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import orjson
import psycopg

from baas.kernel import db, fairness
from baas.kernel.events import after_commit, event_params
from baas.kernel.problems import Invalid, TooLarge
from documents import listing, refusals
from documents.access import Caller
from documents.attempts import atomically
from documents.by_filter import Outcome, changing, found_or_made, may_delete, selected
from documents.collections import Action, Collection
from documents.query import Node
from documents.selection import Selection
from documents.updates import Update
from documents.wire import Row

BATCH: Final = 1000  # documents of one statement
BATCH_CHARACTERS: Final = 8 * 1024 * 1024  # and what they have together, about
_CURSOR: Final = b"documents_many"


def update_many(
    caller: Caller, name: str, filter: Node, update: Update, *, upsert: bool = False
) -> Outcome:
    """Change every document that the filter finds and the caller may read and write, or none.

    Raises as `by_filter.update_one` does.
    """

    def find() -> Outcome | None:
        outcome = _all(caller, name, filter, "update", lambda each: _update(caller, each, update))
        return outcome if outcome.matched else None

    return found_or_made(find, caller, name, filter, update if upsert else None)


def delete_many(caller: Caller, name: str, filter: Node) -> Outcome:
    """Remove every document that the filter finds and the caller may read and delete, or none."""
    return _all(caller, name, filter, "delete", lambda each: _delete(caller, each))


def _all(
    caller: Caller,
    name: str,
    filter: Node,
    action: Action,
    carry_out: Callable[[Selection], Outcome],
) -> Outcome:
    while True:
        # Anew each time: what is known of the collection's arrays goes into the condition.
        selection = selected(caller, name, action, filter)
        if selection is None:
            return Outcome()
        try:
            outcome = atomically(partial(carry_out, selection))
        except psycopg.errors.CheckViolation as error:
            refusals.accept_arrays(selection.collection, error)
        else:
            if outcome.modified:
                after_commit()
            return outcome


def _update(caller: Caller, selection: Selection, update: Update) -> Outcome:
    change = changing(caller, selection, update)
    matched = modified = characters = 0
    writes: list[dict[str, Any]] = []
    for rows in _locked(selection):
        for row in rows:
            with _naming(row):
                changed = change(row)
            if changed is None:
                continue
            matched += 1
            if changed.write is not None:
                writes.append(changed.write)
                characters += len(changed.write["doc"])
            if len(writes) == BATCH or characters > BATCH_CHARACTERS:
                modified += _store(selection.collection, writes)
                writes, characters = [], 0
    modified += _store(selection.collection, writes)
    return Outcome(matched=matched, modified=modified)


def _delete(caller: Caller, selection: Selection) -> Outcome:
    collection = selection.collection
    deleted = 0
    for ids in _locked_ids(selection):
        if not selection.is_whole:
            ids = [
                row[0]
                for rows in _rows(collection, ids)
                for row in rows
                if may_delete(caller, collection, row)
            ]
        deleted += _count(collection.statements.delete_many, {"ids": ids, **event_params()})
    return Outcome(matched=deleted, modified=deleted)


def _locked(selection: Selection) -> Iterator[list[Row]]:
    for ids in _locked_ids(selection):
        yield from _rows(selection.collection, ids)


def _locked_ids(selection: Selection) -> Iterator[list[str]]:
    """The selected documents' ids, locked until the transaction ends. One at a time."""
    selection.require_cheap()
    text = (
        b"DECLARE " + _CURSOR + b" NO SCROLL CURSOR FOR SELECT d._id FROM "
        + selection.collection.source.as_bytes(db.raw()) + b" AS d"
        + selection.where + selection.order_by + b" FOR UPDATE OF d"
    )  # fmt: skip
    db.execute(text, selection.values)
    fetch = b"FETCH %d FROM %b" % (BATCH, _CURSOR)
    while True:
        # Never prepared: a cursor of that name is another one the next time.
        with fairness.counted(db.raw()):
            ids = [id for (id,) in db.raw().execute(fetch, prepare=False).fetchall()]
        if ids:
            yield ids
        if len(ids) < BATCH:
            break
    db.raw().execute(b"CLOSE " + _CURSOR, prepare=False)


def _rows(collection: Collection, ids: list[str]) -> Iterator[list[Row]]:
    """The documents with these ids, as many at a time as fit into the memory."""
    text = listing.within(collection.statements.get_many, BATCH_CHARACTERS)
    while ids:
        rows = db.fetch_all(text, {"ids": ids})
        yield rows
        seen = {row[0] for row in rows}
        ids = [id for id in ids if id not in seen] if rows else []


def _store(collection: Collection, writes: list[dict[str, Any]]) -> int:
    if not writes:
        return 0
    items = ",".join(
        [
            f'{{"id":"{write["id"]}","version":{write["version"]},'
            f'"owner":{orjson.dumps(write["owner"]).decode()},"doc":{write["doc"]}}}'
            for write in writes
        ]
    )
    parameters = {"items": f"[{items}]", **event_params()}
    with refusals.translated(collection):
        stored = _count(collection.statements.update_many, parameters)
    if stored != len(writes):
        raise RuntimeError(f"{len(writes)} locked documents, {stored} were still there")
    return stored


def _count(statement: bytes, parameters: dict[str, Any]) -> int:
    row = db.fetch_one(statement, parameters)
    assert row is not None  # noqa: S101 - count(*) has one row
    return int(row[0])


@contextmanager
def _naming(row: Row) -> Iterator[None]:
    """Say which document an update does not fit."""
    try:
        yield
    except (Invalid, TooLarge) as problem:
        problem.detail += f" The document is {row[0]!r}; nothing was changed."
        raise
