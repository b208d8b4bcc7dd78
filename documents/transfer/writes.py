"""Storing a batch of imported documents by one statement; those that cannot be stored are named."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import orjson

from baas.kernel import db
from baas.kernel.events import event_params
from baas.kernel.problems import Conflict, Problem
from documents import refusals
from documents.capacity import room_for
from documents.collections import Collection
from documents.transfer.items import Item
from documents.transfer.progress import MAX_ERRORS
from documents.transfer.statements import compose

Mode: TypeAlias = Literal["insert", "upsert", "skip"]
MODES: Final = ("insert", "upsert", "skip")

Failed: TypeAlias = Callable[[Item, Problem], None]


@dataclass(slots=True)
class Written:
    imported: int = 0
    skipped: int = 0


def write(
    collection: Collection, items: Sequence[Item], mode: Mode, failed: Failed, *, announce: bool
) -> Written:
    """Store the items within the current transaction. Of those with one id the last one counts
    when upserting, else the first. `announce`: with an event for each document.

    `failed` is told of each that the database or the mode refuses; the others are stored.
    """
    written = Written()
    batch: dict[str, Item] = {}
    for item in items:
        earlier = batch.get(item.id)
        if earlier is None:
            batch[item.id] = item
        elif mode == "upsert":
            written.skipped += 1
            batch[item.id] = item
        else:
            _taken(item, mode, failed, written)
    # In one order, so that two imports of the same documents never wait for each other.
    items = sorted(batch.values(), key=lambda item: item.id)
    _write(collection, items, mode, failed, announce, written)
    return written


def _write(
    collection: Collection,
    items: list[Item],
    mode: Mode,
    failed: Failed,
    announce: bool,
    written: Written,
) -> None:
    if not items:
        return
    try:
        left = _run(collection, items, mode, announce, is_one=len(items) == 1)
    except Problem as problem:
        if problem.code == "collection_full":
            raise  # the import stops here, and can go on when there is room
        if len(items) == 1:
            failed(items[0], problem)
            return
        # One of them is to blame: halves find it in few statements.
        half = len(items) // 2
        for part in (items[:half], items[half:]):
            _write(collection, part, mode, failed, announce, written)
        return
    written.imported += len(items) - len(left)
    if not left:
        return
    others = [item for item in items if item.id in left]
    if mode == "upsert":
        # Another writer made these at this moment: now they are there.
        overtaken = [item for item in others if left[item.id] == "made"]
        written.skipped += len(others) - len(overtaken)
        _write(collection, overtaken, mode, failed, announce, written)
        return
    shown = MAX_ERRORS
    for item in others:
        if left[item.id] == "there":
            _taken(item, mode, failed, written)
        elif shown:
            shown -= 1
            _write(collection, [item], mode, failed, announce, written)
        else:
            failed(item, Conflict("A value is taken.", code="unique_violation"))


def _taken(item: Item, mode: Mode, failed: Failed, written: Written) -> None:
    if mode == "skip":
        written.skipped += 1
    else:
        failed(item, Conflict(f"There is a document {item.id!r}.", code="document_exists"))


def _run(
    collection: Collection, items: list[Item], mode: Mode, announce: bool, *, is_one: bool
) -> dict[str, str]:
    """Why each document was not written that was not.

    "there": its id is taken; "unique": a value is (or its id, since a moment). When upserting,
    "same": it is as it should be; "made": it was made a moment ago. Raises what is wrong with one.
    """
    statement = compose(
        collection.project_id,
        collection.project_slug,
        collection.name,
        collection.id,
        mode == "upsert",
        announce,
        is_one,
    )
    parameters = {"items": _text(items)} | (event_params() if announce else {})
    with room_for(collection, _new(collection, items)):
        rows = refusals.run(collection, lambda: db.fetch_all(statement, parameters))
    return dict(rows)


def _new(collection: Collection, items: Sequence[Item]) -> int:
    """How many of them are not there yet, when that matters."""
    if collection.max_docs is None:
        return len(items)
    there = db.fetch_all(collection.statements.get_many, {"ids": [item.id for item in items]})
    return len(items) - len(there)


def _text(items: Sequence[Item]) -> str:
    """As one JSON text: psycopg would escape the members of several arrays one by one."""
    members = []
    for item in items:
        system = orjson.dumps(
            {
                "i": item.id,
                "o": item.owner,
                "h": item.has_owner,
                "v": item.version,
                "c": item.created_at,
                "u": item.updated_at,
            }
        ).decode()
        members.append(f'{system[:-1]},"d":{item.doc}}}')
    return f"[{','.join(members)}]"
