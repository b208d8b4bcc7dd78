"""DDL: a schema per project, a table per collection, the indexes that a collection declares.

The expressions of `columns` have their `%` doubled for the placeholders of queries; the empty
parameters here make psycopg undo that in DDL too.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from psycopg import sql

from baas.kernel import db
from documents.query import columns
from documents.query.sort import Direction

_COLUMNS: Final = """(
    _id text COLLATE "C" PRIMARY KEY,
    doc jsonb NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    owner text COLLATE "C",
    created_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', now()),
    updated_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', now())
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


def drop(name: sql.Identifier) -> None:
    db.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))


def index_name(collection_id: int, fields: Iterable[tuple[str, Direction]], unique: bool) -> str:
    """The same declaration has the same name, so a change of indexes is a difference of names."""
    digest = hashlib.blake2b(repr((list(fields), unique)).encode(), digest_size=10).hexdigest()
    return f"i{collection_id}_{digest}"


def scalar_constraint_name(index: str) -> str:
    return f"{index}_scalar"


def create_index(
    name: sql.Identifier, index: str, fields: list[tuple[str, Direction]], *, unique: bool
) -> None:
    """An index on exactly the expressions that filters and sorts compile to."""
    keys: list[sql.Composable] = [
        sql.SQL("{} {}").format(expression, sql.SQL("DESC" if direction < 0 else "ASC"))
        for field, direction in fields
        for expression in columns.keys(field)
    ]
    if not unique:
        # The tie-breaker of sorts, so that a page of an ordered list comes from the index alone.
        keys.append(sql.SQL("_id DESC" if fields[-1][1] < 0 else "_id ASC"))
    db.execute(
        sql.SQL("CREATE {unique}INDEX {index} ON {table} ({keys})").format(
            unique=sql.SQL("UNIQUE " if unique else ""),
            index=sql.Identifier(index),
            table=name,
            keys=sql.SQL(", ").join(keys),
        ),
        (),
    )


def drop_index(project_id: int, index: str) -> None:
    db.execute(
        sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(schema_name(project_id), index))
    )


def has_arrays(name: sql.Identifier, fields: Iterable[str]) -> bool:
    """Whether any document has an array on the way of one of the paths."""
    row = db.fetch_one(
        sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE NOT {})").format(
            name, columns.without_arrays(fields)
        ),
        (),
    )
    return bool(row and row[0])


def require_scalars(name: sql.Identifier, index: str, fields: Iterable[str]) -> None:
    """Let no array come into the paths unnoticed: a write that brings one fails on this check."""
    db.execute(
        sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({})").format(
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


def create_owner_index(name: sql.Identifier, collection_id: int) -> None:
    """For rules on `_owner`: their lists touch only the caller's own rows."""
    db.execute(
        sql.SQL("CREATE INDEX IF NOT EXISTS {} ON {} (owner, _id)").format(
            sql.Identifier(f"i{collection_id}_owner"), name
        )
    )
