"""Documents as they travel: the user's fields with the system fields in front.

Stored JSON is never parsed to answer a read: the text of the row is joined to the text of its
system fields.
"""

from typing import Any, Final, LiteralString, TypeAlias

import orjson

from documents import values

_TIME: Final = 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'


# One document as the statements return it: id, version, owner, created and updated (RFC 3339 with
# milliseconds), the user's fields as JSON text.
Row: TypeAlias = tuple[Any, ...]


def columns(alias: LiteralString, doc: LiteralString = "doc") -> LiteralString:
    """The select list that makes a Row, of the user's fields in the column `doc`."""
    return (
        f"{alias}._id, {alias}.version, {alias}.owner,"
        f" to_char({alias}.created_at AT TIME ZONE 'UTC', '{_TIME}'),"
        f" to_char({alias}.updated_at AT TIME ZONE 'UTC', '{_TIME}'), {alias}.{doc}::text"
    )


def as_jsonb(alias: LiteralString) -> LiteralString:
    """A jsonb expression of the whole document, for events."""
    return (
        alias + ".doc || jsonb_build_object('_id', " + alias + "._id, '_createdAt', to_char("
        + alias + ".created_at AT TIME ZONE 'UTC', '" + _TIME + "'), '_updatedAt', to_char("
        + alias + ".updated_at AT TIME ZONE 'UTC', '" + _TIME + "'), '_version', "
        + alias + ".version, '_owner', " + alias + ".owner)"
    )  # fmt: skip


def text(row: Row) -> str:
    """The document's JSON text."""
    id, version, owner, created_at, updated_at, user_fields = row
    named = "null" if owner is None else orjson.dumps(owner).decode()
    return (
        f'{{"_id":"{id}","_createdAt":"{created_at}","_updatedAt":"{updated_at}",'
        f'"_version":{version},"_owner":{named}'
        + ("," + user_fields[1:] if len(user_fields) > 2 else "}")
    )


def value(row: Row) -> dict[str, Any]:
    """The document as a value, numbers exact."""
    return with_system_fields(row, values.loads(row[5]))


def with_system_fields(row: Row, user_fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "_id": row[0],
        "_createdAt": row[3],
        "_updatedAt": row[4],
        "_version": row[1],
        "_owner": row[2],
        **user_fields,
    }


def user_fields(document: dict[str, Any]) -> dict[str, Any]:
    """The document without its system fields."""
    return {k: v for k, v in document.items() if k not in values.SYSTEM_FIELDS}
