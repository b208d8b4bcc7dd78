"""Where a list's rows keep what a rule calls `doc` or `object`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from psycopg import sql

# `owner` is text that may be NULL, which is CEL's null; the other columns are never NULL.
ColumnKind: TypeAlias = Literal["text", "owner", "number", "time"]

DOCUMENT_COLUMNS: Final[Mapping[str, tuple[str, ColumnKind]]] = MappingProxyType(
    {
        "_id": ("_id", "text"),
        "_owner": ("owner", "owner"),
        "_version": ("version", "number"),
        "_createdAt": ("created_at", "time"),
        "_updatedAt": ("updated_at", "time"),
    }
)
OBJECT_COLUMNS: Final[Mapping[str, tuple[str, ColumnKind]]] = MappingProxyType(
    {
        "path": ("path", "text"),
        "size": ("size", "number"),
        "content_type": ("content_type", "text"),
        "owner": ("owner", "owner"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Bindings:
    """The table that a rule filters. Make one with `document_bindings` or `object_bindings`."""

    root: Literal["doc", "object"]
    alias: str  # of the table in the query that takes the WHERE clause
    columns: Mapping[str, tuple[str, ColumnKind]]  # field -> column, kind
    json_column: str | None  # jsonb with all other fields
    # get(): the table of a collection, a documents table too; None if there is no such collection
    table_of: Callable[[str], sql.Composable | None] | None = field(default=None, compare=False)


def document_bindings(
    alias: str, table_of: Callable[[str], sql.Composable | None] | None = None
) -> Bindings:
    """For a table `_id, doc jsonb, owner, version, created_at, updated_at` named `alias`.

    `table_of` names the tables of collections for `get()`; without it `get()` is refused.
    """
    return Bindings(
        root="doc",
        alias=alias,
        columns=DOCUMENT_COLUMNS,
        json_column="doc",
        table_of=table_of,
    )


def object_bindings(
    alias: str, table_of: Callable[[str], sql.Composable | None] | None = None
) -> Bindings:
    """For a table `path, size, content_type, owner` named `alias`."""
    return Bindings(
        root="object", alias=alias, columns=OBJECT_COLUMNS, json_column=None, table_of=table_of
    )
