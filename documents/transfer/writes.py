"""Storing a batch of imported documents by one statement; those that cannot be stored are named."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, LiteralString, TypeAlias

import orjson
from psycopg import sql

from baas.kernel import db
from baas.kernel.events import event_params, insert_clause
from baas.kernel.problems import Conflict, Problem
from documents import refusals, tables, wire
from documents.capacity import room_for
from documents.collections import Collection
from documents.transfer.items import Item

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
        left = _run(collection, items, mode, announce)
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
    if mode != "upsert":
        for item in others:
            _taken(item, mode, failed, written)
        return
    # Another writer made these at this moment: now they are there.
    overtaken = [item for item in others if left[item.id] == "made"]
    written.skipped += len(others) - len(overtaken)
    _write(collection, overtaken, mode, failed, announce, written)


def _taken(item: Item, mode: Mode, failed: Failed, written: Written) -> None:
    if mode == "skip":
        written.skipped += 1
    else:
        failed(item, Conflict(f"There is a document {item.id!r}.", code="document_exists"))


def _run(collection: Collection, items: list[Item], mode: Mode, announce: bool) -> dict[str, str]:
    """Why each document was not written that was not: it is the "same", or was "made" or there."""
    statement = _statement(
        collection.project_id,
        collection.project_slug,
        collection.name,
        collection.id,
        mode == "upsert",
        announce,
    )
    parameters = {"items": _text(items)} | (event_params() if announce else {})
    with room_for(collection, len(items)):
        rows = refusals.run(collection, lambda: db.fetch_all(statement, parameters))
    return dict(rows)


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


_INPUT: Final[LiteralString] = (
    "SELECT e ->> 'i' AS _id, e -> 'd' AS doc, e ->> 'o' AS owner,"
    " (e -> 'h')::boolean AS has_owner, (e ->> 'v')::bigint AS version,"
    " (e ->> 'c')::timestamptz AS created_at, (e ->> 'u')::timestamptz AS updated_at"
    " FROM jsonb_array_elements(%(items)s::jsonb) AS i(e)"
)
# `{new}`: which of them, when others are replaced.
_INSERT: Final[LiteralString] = (
    "n AS (INSERT INTO {table} (_id, doc, owner, version, created_at, updated_at)"
    " SELECT _id, doc, owner, coalesce(version, 1), coalesce(created_at, documents_now()),"
    " coalesce(updated_at, documents_now()) FROM input{new}"
    " ON CONFLICT (_id) DO NOTHING RETURNING {returned})"
)


@lru_cache(maxsize=256)
def _statement(
    project_id: int, slug: str, name: str, id: int, upsert: bool, announce: bool
) -> bytes:
    """Rows: id and reason of the documents that were not written."""
    table = tables.table(project_id, name, id)

    def event(type: LiteralString, cte: str, data: LiteralString) -> sql.Composed:
        return insert_clause(
            type=type,
            source=sql.Literal(f"/projects/{slug}/db/{name}"),
            subject=sql.SQL("{} || _id").format(sql.Literal(name + "/")),
            data=sql.SQL(data),
            project_id=project_id,
            from_cte=cte,
        )

    new = wire.as_jsonb("n")
    parts: list[sql.Composable] = [sql.SQL("input AS (" + _INPUT + ")")]
    if upsert:
        parts.append(sql.SQL(_LOCKED).format(table=table))
        parts.append(sql.SQL(_REPLACED).format(table=table, before=sql.SQL(wire.as_jsonb("o"))))
    of_new: LiteralString = " WHERE _id NOT IN (SELECT _id FROM o)" if upsert else ""
    returned: LiteralString = "*" if announce else "_id"
    parts.append(
        sql.SQL(_INSERT).format(table=table, new=sql.SQL(of_new), returned=sql.SQL(returned))
    )
    if announce:
        created = event(
            "baas.db.document.created", "n", "jsonb_build_object('document', " + new + ")"
        )
        parts.append(sql.SQL("e AS ({})").format(created))
    if announce and upsert:
        both: LiteralString = (
            "jsonb_build_object('document', " + wire.as_jsonb("u") + ", 'before', before)"
        )
        parts.append(sql.SQL("f AS ({})").format(event("baas.db.document.updated", "u", both)))
    return (
        sql.SQL("WITH {} {}")
        .format(sql.SQL(", ").join(parts), sql.SQL(_LEFT_OF_UPSERT if upsert else _LEFT))
        .as_bytes(db.raw())
    )


_LOCKED: Final[LiteralString] = (
    "o AS (SELECT t.*, input.doc AS new_doc, has_owner, input.owner AS new_owner,"
    " input.version AS new_version, input.created_at AS new_created,"
    " input.updated_at AS new_updated FROM {table} AS t JOIN input USING (_id)"
    " ORDER BY _id FOR UPDATE OF t)"
)
# Like every write: what changes nothing raises no version, and a version never goes back.
_REPLACED: Final[LiteralString] = (
    "u AS (UPDATE {table} AS t SET doc = new_doc,"
    " owner = CASE WHEN has_owner THEN new_owner ELSE t.owner END,"
    " version = greatest(t.version + 1, new_version),"
    " created_at = coalesce(new_created, t.created_at),"
    " updated_at = coalesce(new_updated, greatest(documents_now(), t.updated_at))"
    " FROM o WHERE t._id = o._id AND (t.doc IS DISTINCT FROM new_doc"
    " OR (has_owner AND t.owner IS DISTINCT FROM new_owner))"
    " RETURNING t.*, {before} AS before)"
)
_LEFT: Final[LiteralString] = "SELECT _id, 'there' FROM input WHERE _id NOT IN (SELECT _id FROM n)"
_LEFT_OF_UPSERT: Final[LiteralString] = (
    "SELECT _id, CASE WHEN _id IN (SELECT _id FROM o) THEN 'same' ELSE 'made' END FROM input"
    " WHERE _id NOT IN (SELECT _id FROM n UNION ALL SELECT _id FROM u)"
)
