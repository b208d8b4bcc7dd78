"""The SQL of single documents, composed once per collection: one round trip for each write.

A write and its event are one statement: what the first part changes, the second announces, and
neither happens without the other.
"""

from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from baas.kernel import db
from baas.kernel.events import insert_clause
from documents import wire
from documents.hidden import View

# The SQL below is put together from constants and from identifiers and literals of psycopg.
_CREATED: LiteralString = "baas.db.document.created"
_UPDATED: LiteralString = "baas.db.document.updated"
_DELETED: LiteralString = "baas.db.document.deleted"
# The writes of several requests, each with its place in a chain of events.
_GROUP: LiteralString = (
    "SELECT e ->> 'id' AS id, (e ->> 'version')::bigint AS version, e -> 'doc' AS doc,"
    " e ->> 'owner' AS owner, (e ->> 'depth')::smallint AS depth,"
    " e ->> 'traceparent' AS traceparent FROM jsonb_array_elements(%(items)s::jsonb) AS i(e)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """Parameters: `id`, `doc` (JSON text), `owner`, `version` and those of `event_params()`."""

    get: bytes
    lock: bytes  # get, and nobody else writes until the transaction ends
    insert: bytes  # -> Row; unique violation for a taken id
    insert_many: bytes  # `items` (JSON: id, doc, owner of each) -> Rows in the same order
    insert_group: bytes  # `items` (also depth, traceparent of each) -> Rows, in any order
    update: bytes  # only while the stored version is `version` -> Row
    update_free: bytes  # and only while nobody has the row locked: it waits for nobody
    update_group: bytes  # the same for `items` (also depth, traceparent) -> Rows, in any order
    get_many: bytes  # `ids` -> Rows
    lock_many: bytes  # `ids`: nobody else writes those until the transaction ends
    update_many: bytes  # `items` (JSON: id, version, doc, owner of each) -> how many were written
    delete_many: bytes  # `ids` -> how many there were
    delete: bytes  # -> its id, nothing when it is not there
    delete_version: bytes  # only while the stored version is `version`
    select: sql.Composed  # the beginning of a list
    select_whole: sql.Composed  # with what is hidden from the caller, for writes
    count: sql.Composed


def compose(
    *,
    table: sql.Identifier,
    project_id: int,
    project_slug: str,
    collection: str,
    view: View | None = None,
) -> Statements:
    """Of a collection's table; with a view its lists are of that."""
    source = sql.Literal(f"/projects/{project_slug}/db/{collection}")

    def event(
        type: LiteralString,
        cte: str,
        data: LiteralString,
        origin: LiteralString = "%(event_depth)s, %(event_traceparent)s",
    ) -> sql.Composed:
        return insert_clause(
            type=type,
            source=source,
            subject=sql.SQL("{} || _id").format(sql.Literal(collection + "/")),
            data=sql.SQL(data),
            project_id=project_id,
            from_cte=cte,
            origin=origin,
        )

    row = sql.SQL(wire.columns("d"))
    seen = table if view is None else view.source
    whole = row if view is None else sql.SQL(wire.columns("d", "whole"))
    new = wire.as_jsonb("d")
    created = sql.SQL("e AS ({})").format(
        event(_CREATED, "d", "jsonb_build_object('document', " + new + ")")
    )
    changed: LiteralString = "jsonb_build_object('document', " + new + ", 'before', before)"
    updated = event(_UPDATED, "d", changed)
    deleted = event(_DELETED, "d", "jsonb_build_object('before', " + new + ")")
    delete = sql.SQL(
        "WITH d AS (DELETE FROM {table} WHERE _id = %(id)s{condition} RETURNING *),"
        " e AS ({event}) SELECT _id FROM d"
    )
    get = sql.SQL("SELECT {} FROM {} AS d WHERE d._id = %(id)s").format(row, table)

    def update(lock: LiteralString) -> bytes:
        return _text(
            sql.SQL(
                "WITH o AS (SELECT * FROM {table} WHERE _id = %(id)s AND version = %(version)s"
                " {lock}),"
                " d AS (UPDATE {table} AS t SET doc = %(doc)s::jsonb, owner = %(owner)s,"
                " version = t.version + 1,"
                " updated_at = greatest(documents_now(), t.updated_at)"
                " FROM o WHERE t._id = o._id"
                " RETURNING t.*, {old} AS before),"
                " e AS ({event}) SELECT {row} FROM d"
            ).format(
                table=table,
                row=row,
                lock=sql.SQL(lock),
                old=sql.SQL(wire.as_jsonb("o")),
                event=updated,
            )
        )

    return Statements(
        get=_text(get),
        lock=_text(get + sql.SQL(" FOR UPDATE")),
        insert=_text(
            sql.SQL(
                "WITH d AS (INSERT INTO {table} (_id, doc, owner)"
                " VALUES (%(id)s, %(doc)s::jsonb, %(owner)s) RETURNING *), {event}"
                " SELECT {row} FROM d"
            ).format(table=table, event=created, row=row)
        ),
        insert_many=_text(
            sql.SQL(
                "WITH input AS (SELECT e ->> 'id' AS id, e -> 'doc' AS doc, e ->> 'owner' AS owner,"
                " place FROM jsonb_array_elements(%(items)s::jsonb)"
                " WITH ORDINALITY AS i(e, place)),"
                " d AS (INSERT INTO {table} (_id, doc, owner)"
                " SELECT id, doc, owner FROM input ORDER BY place RETURNING *), {event}"
                " SELECT {row} FROM d JOIN input ON input.id = d._id ORDER BY place"
            ).format(table=table, event=created, row=row)
        ),
        insert_group=_text(
            sql.SQL(
                "WITH input AS ({input}), d AS (INSERT INTO {table} (_id, doc, owner)"
                " SELECT id, doc, owner FROM input RETURNING *),"
                " n AS (SELECT d.*, input.depth, input.traceparent FROM d"
                " JOIN input ON input.id = d._id), e AS ({event}) SELECT {row} FROM d"
            ).format(
                input=sql.SQL(_GROUP),
                table=table,
                row=row,
                event=event(
                    _CREATED,
                    "n",
                    "jsonb_build_object('document', " + wire.as_jsonb("n") + ")",
                    "depth, traceparent",
                ),
            )
        ),
        update=update("FOR UPDATE"),
        update_free=update("FOR UPDATE SKIP LOCKED"),
        update_group=_text(
            sql.SQL(
                "WITH input AS ({input}), o AS (SELECT t.*, input.doc AS new_doc,"
                " input.owner AS new_owner, depth, traceparent FROM input JOIN {table} AS t"
                " ON t._id = input.id AND t.version = input.version FOR UPDATE OF t SKIP LOCKED),"
                " d AS (UPDATE {table} AS t SET doc = o.new_doc, owner = o.new_owner,"
                " version = t.version + 1,"
                " updated_at = greatest(documents_now(), t.updated_at) FROM o WHERE t._id = o._id"
                " RETURNING t.*, {old} AS before, depth, traceparent),"
                " e AS ({event}) SELECT {row} FROM d"
            ).format(
                input=sql.SQL(_GROUP),
                table=table,
                row=row,
                old=sql.SQL(wire.as_jsonb("o")),
                event=event(_UPDATED, "d", changed, "depth, traceparent"),
            )
        ),
        get_many=_text(
            sql.SQL("SELECT {} FROM {} AS d WHERE d._id = ANY(%(ids)s) ORDER BY d._id").format(
                row, table
            )
        ),
        lock_many=_text(
            sql.SQL("SELECT FROM {} WHERE _id = ANY(%(ids)s) ORDER BY _id FOR UPDATE").format(table)
        ),
        update_many=_text(
            sql.SQL(
                "WITH input AS (SELECT e ->> 'id' AS id, (e ->> 'version')::bigint AS version,"
                " e -> 'doc' AS doc, e ->> 'owner' AS owner"
                " FROM jsonb_array_elements(%(items)s::jsonb) AS i(e)),"
                " o AS (SELECT t.*, input.doc AS new_doc, input.owner AS new_owner FROM input"
                " JOIN {table} AS t ON t._id = input.id AND t.version = input.version),"
                " d AS (UPDATE {table} AS t SET doc = o.new_doc, owner = o.new_owner,"
                " version = t.version + 1,"
                " updated_at = greatest(documents_now(), t.updated_at)"
                " FROM o WHERE t._id = o._id RETURNING t.*, {old} AS before),"
                " e AS ({event}) SELECT count(*) FROM d"
            ).format(table=table, old=sql.SQL(wire.as_jsonb("o")), event=updated)
        ),
        delete_many=_text(
            sql.SQL(
                "WITH d AS (DELETE FROM {table} WHERE _id = ANY(%(ids)s) RETURNING *),"
                " e AS ({event}) SELECT count(*) FROM d"
            ).format(table=table, event=deleted)
        ),
        delete=_text(delete.format(table=table, event=deleted, condition=sql.SQL(""))),
        delete_version=_text(
            delete.format(
                table=table, event=deleted, condition=sql.SQL(" AND version = %(version)s")
            )
        ),
        select=sql.SQL("SELECT {} FROM {} AS d").format(row, seen),
        select_whole=sql.SQL("SELECT {} FROM {} AS d").format(whole, seen),
        count=sql.SQL("SELECT count(*) FROM {} AS d").format(seen),
    )


def _text(composed: sql.Composable) -> bytes:
    return composed.as_bytes(db.raw())
