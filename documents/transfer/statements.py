"""The statements that store a batch of imported documents, composed once for each collection."""

from functools import lru_cache
from typing import Final, LiteralString

from psycopg import sql

from baas.kernel import db
from baas.kernel.events import insert_clause
from documents import tables, wire

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
    " ON CONFLICT {target}DO NOTHING RETURNING {returned})"
)


@lru_cache(maxsize=256)
def compose(
    project_id: int, slug: str, name: str, id: int, upsert: bool, announce: bool, is_one: bool
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
    # Of many, those with a taken value are left out; of one, PostgreSQL says which index it is.
    target: LiteralString = "(_id) " if upsert or is_one else ""
    parts.append(
        sql.SQL(_INSERT).format(
            table=table,
            new=sql.SQL(of_new),
            target=sql.SQL(target),
            returned=sql.SQL(returned),
        )
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
    left = sql.SQL(_LEFT_OF_UPSERT) if upsert else sql.SQL(_LEFT).format(table=table)
    return sql.SQL("WITH {} {}").format(sql.SQL(", ").join(parts), left).as_bytes(db.raw())


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
_LEFT: Final[LiteralString] = (
    "SELECT _id, CASE WHEN EXISTS (SELECT FROM {table} AS t WHERE t._id = input._id) THEN 'there'"
    " ELSE 'unique' END FROM input WHERE _id NOT IN (SELECT _id FROM n)"
)
_LEFT_OF_UPSERT: Final[LiteralString] = (
    "SELECT _id, CASE WHEN _id IN (SELECT _id FROM o) THEN 'same' ELSE 'made' END FROM input"
    " WHERE _id NOT IN (SELECT _id FROM n UNION ALL SELECT _id FROM u)"
)
