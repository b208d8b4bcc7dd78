"""Storing single documents: by one statement each, or one for all that come at the same moment."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import orjson

from baas.kernel import db
from baas.kernel.events import after_commit, event_params
from documents import refusals
from documents.capacity import room_for
from documents.collections import Collection
from documents.together import Refused
from documents.wire import Row

MAX_TOGETHER: Final = 16 * 1024  # characters: longer documents go by themselves


def insert(collection: Collection, new: dict[str, Any], *, has_own_id: bool) -> Row:
    """The stored row. `new` has id, doc (JSON text) and owner; the id is the caller's own, or new.

    Raises as `refusals.run`, Conflict `collection_full`.
    """
    parameters = new | event_params()
    statements = collection.statements

    def alone() -> Row | None:
        with room_for(collection, 1):
            return refusals.run(collection, lambda: db.fetch_one(statements.insert, parameters))

    row = None
    # A new id meets no other writer.
    if not has_own_id and _joins(collection, new):
        with suppress(Refused):
            row = collection.inserts.run(
                parameters, alone, lambda items: _all(statements.insert_group, items)
            )
        after_commit()
    row = row or alone()
    assert row is not None  # noqa: S101 - an insert that does not raise returns its row
    return row


def update(collection: Collection, write: dict[str, Any]) -> Row | None:
    """The row as it is then; None when another writer was faster, or is at it.

    `write` has id, version (the stored one), doc and owner. Raises as `refusals.run`.
    """
    parameters = write | event_params()
    statements = collection.statements

    def alone(statement: bytes = statements.update) -> Row | None:
        return refusals.run(collection, lambda: db.fetch_one(statement, parameters))

    row = None
    if _joins(collection, write):
        with suppress(Refused):
            row = collection.updates.run(
                parameters,
                lambda: alone(statements.update_free),
                lambda items: _all(statements.update_group, items),
            )
        after_commit()
    return row or alone()


def _joins(collection: Collection, write: dict[str, Any]) -> bool:
    """Whether the write may go along with others: nothing that it does can make it wait."""
    return (
        not collection.has_unique
        and collection.max_docs is None
        and len(write["doc"]) <= MAX_TOGETHER
        and not db.in_transaction()
    )


def _all(statement: bytes, items: Sequence[dict[str, Any]]) -> list[Row | None]:
    """The row of each item, None for one that was not written."""
    # Of two writes to one document only the first is done: PostgreSQL would choose one of them, and
    # nobody could tell whose row came back.
    firsts: dict[str, dict[str, Any]] = {}
    for item in items:
        firsts.setdefault(item["id"], item)
    rows = {row[0]: row for row in db.fetch_all(statement, {"items": _text([*firsts.values()])})}
    return [rows.get(item["id"]) if firsts[item["id"]] is item else None for item in items]


def _text(items: Sequence[dict[str, Any]]) -> str:
    """As one JSON text: psycopg would escape the members of several arrays one by one."""
    return f"[{','.join([_member(item) for item in items])}]"


def _member(item: dict[str, Any]) -> str:
    owner = orjson.dumps(item["owner"]).decode()
    traceparent = orjson.dumps(item["event_traceparent"]).decode()
    return (
        f'{{"id":"{item["id"]}","version":{item.get("version", 0)},"owner":{owner},'
        f'"depth":{item["event_depth"]},"traceparent":{traceparent},'
        f'"doc":{item["doc"]}}}'
    )
