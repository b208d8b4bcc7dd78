"""DDL: a schema per project, a table per collection, the indexes that a collection declares.

The expressions of `columns` have their `%` doubled for the placeholders of queries; the empty
parameters here make psycopg undo that in DDL too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from baas.kernel import db
from documents.query import columns

_COLUMNS: Final = """(
    _id text COLLATE "C" PRIMARY KEY,
    doc jsonb NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    owner text COLLATE "C",
    created_at timestamptz NOT NULL DEFAULT documents_now(),
    updated_at timestamptz NOT NULL DEFAULT documents_now()
)"""


def schema_name(project_id: int) -> str:
    return f"p_{project_id}"


def table_name(collection: str, collection_id: int) -> str:
    """Readable, within PostgreSQL's 63 bytes, and never used again after a drop."""
    return f"{collection[:40]}_{collection_id}"


def table(project_id: int, collection: str, collection_id: int) -> sql.Identifier:
    return sql.Identifier(schema_name(project_id), table_name(collection, collection_id))


def create_schema(project_id: int) -> None:
    db.execute(
        sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema_name(project_id)))
    )


def drop_schema(project_id: int) -> None:
    db.execute(
        sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema_name(project_id)))
    )


def create(name: sql.Identifier) -> None:
    db.execute(sql.SQL("CREATE TABLE {} ").format(name) + sql.SQL(_COLUMNS))


def rename(project_id: int, collection_id: int, old: str, new: str) -> None:
    before, after = table_name(old, collection_id), table_name(new, collection_id)
    if before != after:
        db.execute(
            sql.SQL("ALTER TABLE {} RENAME TO {}").format(
                sql.Identifier(schema_name(project_id), before), sql.Identifier(after)
            )
        )


def drop(name: sql.Identifier) -> None:
    db.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))


def scalar_constraint_name(index: str) -> str:
    return f"{index}_scalar"


def has_arrays(name: sql.Identifier, fields: Iterable[str]) -> bool:
    """Whether any document has an array on the way of one of the paths."""
    row = db.fetch_one(
        sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE NOT ({}))").format(
            name, columns.without_arrays(fields)
        ),
        (),
    )
    return bool(row and row[0])


def require_scalars(name: sql.Identifier, index: str, fields: Iterable[str]) -> None:
    """Let no array come into the paths unnoticed: a write that brings one fails on this check.

    What is stored already is not looked at: that is for the caller.
    """
    allow_arrays(name, index)
    db.execute(
        sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({}) NOT VALID").format(
            name, sql.Identifier(scalar_constraint_name(index)), columns.without_arrays(fields)
        ),
        (),
    )


def allow_arrays(name: sql.Identifier, index: str) -> None:
    db.execute(
        sql.SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(
            name, sql.Identifier(scalar_constraint_name(index))
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    documents: int  # exact while there are few, else what the last ANALYZE or VACUUM saw
    bytes: int  # with its indexes


_COUNTED: Final = 20_000


def size(name: sql.Identifier) -> Size:
    """How large a collection is, without counting much."""
    row = db.fetch_one(
        sql.SQL(
            "SELECT pg_total_relation_size(c.oid), c.reltuples,"
            " (SELECT count(*) FROM (SELECT FROM {} LIMIT %s) AS few)"
            " FROM pg_class AS c WHERE c.oid = %s::regclass"
        ).format(name),
        (_COUNTED + 1, name.as_string(None)),
    )
    assert row is not None  # noqa: S101 - the cast fails when there is no such table
    counted = int(row[2])
    return Size(
        documents=counted if counted <= _COUNTED else max(int(row[1]), counted), bytes=int(row[0])
    )
