"""Where a list's rows keep what a rule calls `doc` or `object`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from psycopg import sql

# `owner` is text that may be NULL, which is CEL's null; the other columns are never NULL.
ColumnKind: TypeAlias = Literal["text", "owner", "number", "time"]

TableOf: TypeAlias = Callable[[str], sql.Composable | None]
Narrow: TypeAlias = Callable[[tuple[str, ...], tuple[Any, ...]], sql.Composable | None]

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
    table_of: TableOf | None = field(default=None, compare=False)
    narrow: Narrow | None = field(default=None, compare=False)


def document_bindings(
    alias: str,
    table_of: TableOf | None = None,
    narrow: Narrow | None = None,
    *,
    json_column: str = "doc",
) -> Bindings:
    """For a table `_id, doc jsonb, owner, version, created_at, updated_at` named `alias`.

    The column of the other fields may have another name than `doc`.

    `table_of` names the tables of collections for `get()`; without it `get()` is refused.
    `narrow(path, values)` may answer with a condition that is true of every row whose field at
    `path` equals one of `values`, in the terms of an index that the table has. It is added to the
    rule's own test, so it cannot change what the rule means, only find the rows sooner.
    """
    return Bindings(
        root="doc",
        alias=alias,
        columns=DOCUMENT_COLUMNS,
        json_column=json_column,
        table_of=table_of,
        narrow=narrow,
    )


def object_bindings(alias: str, table_of: TableOf | None = None) -> Bindings:
    """For a table `path, size, content_type, owner` named `alias`."""
    return Bindings(
        root="object", alias=alias, columns=OBJECT_COLUMNS, json_column=None, table_of=table_of
    )
