"""Collections: their configuration, and the tables, indexes and statements that follow from it."""

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias, cast

import orjson
from django.db import transaction
from psycopg import sql

from auth.rules import DOCUMENT_ROOTS, Rule, compile_rule
from auth.rules.bindings import Narrow
from baas.kernel import db
from baas.kernel.config_cache import ConfigCache, changed
from baas.kernel.problems import FieldError, Invalid, NotFound
from documents import tables
from documents.hidden import HiddenField, View
from documents.indexes import spec
from documents.indexes.partial import with_implied
from documents.indexes.spec import Index
from documents.query import columns
from documents.query.ast import Node
from documents.query.narrowing import narrow_by
from documents.query.rows import Rows
from documents.schemas import Validator
from documents.statements import Statements, compose
from documents.together import Together
from documents.wire import Row

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
Action: TypeAlias = Literal["read", "create", "update", "delete"]
ACTIONS: Final[tuple[Action, ...]] = ("read", "create", "update", "delete")
# What the rule of a field may read.
FIELD_ROOTS: Final = DOCUMENT_ROOTS - {"data"}


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Everything that a request needs to know of a collection. Immutable, cached per process."""

    id: int
    project_id: int
    project_slug: str
    name: str
    rule_sources: Mapping[Action, str]
    schema: Any
    indexes: tuple[Index, ...]
    ttl_field: str | None = None
    ttl_seconds: int = 0
    max_docs: int | None = None
    dropped: tuple[str, ...] = ()  # PostgreSQL indexes that are to be removed in the background
    rules: Mapping[Action, Rule] = field(default_factory=dict)
    # The texts of lists by the shape of their query (see listing); they die with this value.
    plans: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)
    hidden: tuple[HiddenField, ...] = ()  # fields that are not for everybody: see `hiding`
    view: View | None = None  # through which lists of some callers read the table
    views: dict[Hashable, "Collection"] = field(default_factory=dict, compare=False, repr=False)

    def seen_through(self, view: View) -> "Collection":
        """The same collection, its lists read through the view."""
        return replace(self, view=view, plans={})

    @property
    def source(self) -> sql.Composable:
        """What lists read: stands behind FROM."""
        return self.table if self.view is None else self.view.source

    @property
    def whole(self) -> str:
        """The column of the source that rules read."""
        return "doc" if self.view is None else "whole"

    @cached_property
    def table(self) -> sql.Identifier:
        return tables.table(self.project_id, self.name, self.id)

    @property
    def schema_name(self) -> str:
        return tables.schema_name(self.project_id)

    @property
    def table_name(self) -> str:
        """Of the table within the project's schema."""
        return tables.table_name(self.name, self.id)

    @cached_property
    def statements(self) -> Statements:
        return compose(
            table=self.table,
            project_id=self.project_id,
            project_slug=self.project_slug,
            collection=self.name,
            view=self.view,
        )

    @cached_property
    def scalars(self) -> frozenset[str]:
        """Fields that a check of the table keeps free of arrays: an index can answer for them."""
        return frozenset(
            name
            for index in self.indexes
            if index.type == "btree" and index.state == "ready" and not index.multikey
            for name in index.names
            if name not in columns.SYSTEM
        )

    @cached_property
    def multikeys(self) -> frozenset[str]:
        """Fields that have arrays, with an index of their members."""
        return frozenset(
            name
            for index in self.indexes
            if index.multikey and index.members == "ready"
            for name in index.names
            if name not in columns.SYSTEM
        )

    @cached_property
    def text(self) -> tuple[tuple[str, ...], str] | None:
        """The fields and the language of the text index, once it is built."""
        for index in self.indexes:
            if index.type == "text" and index.state == "ready":
                return tuple(index.names), index.language or "simple"
        return None

    @cached_property
    def geo(self) -> frozenset[str]:
        """Fields with a geo index that is built."""
        return frozenset(
            index.names[0]
            for index in self.indexes
            if index.type == "geo" and index.state == "ready"
        )

    def implied(self, filter: Node) -> Node:
        """The filter, so that it also finds the partial and sparse indexes that can answer it."""
        return with_implied(filter, self._partial) if self._partial else filter

    @cached_property
    def _partial(self) -> tuple[Index, ...]:
        return tuple([index for index in self.indexes if index.is_partial])

    @property
    def is_settled(self) -> bool:
        """Whether no index is being built or removed in the background."""
        return not self.dropped and all(index.is_settled for index in self.indexes)

    def rows(self, alias: str = "d") -> Rows:
        """The table, as filters and sorts read it in a statement that names it `alias`."""
        return Rows(
            alias,
            is_table=True,
            scalars=self.scalars,
            multikeys=self.multikeys,
            text=self.text,
            geo=self.geo,
            implied=self.implied if self._partial else None,
            masked=frozenset() if self.view is None else self.view.roots,
        )

    @cached_property
    def narrow(self) -> Narrow | None:
        """What the indexes add to rules that compare a field with something known."""
        return narrow_by(self.scalars, sql.Identifier(self.whole))

    @cached_property
    def validator(self) -> Validator | None:
        return Validator(self.schema) if self.schema is not None else None

    @cached_property
    def has_unique(self) -> bool:
        """Whether a write may have to wait for another one's value."""
        return any(index.unique for index in self.indexes)

    @cached_property
    def reads(self) -> Together[str, Row]:
        """Where readers of single documents meet (see `reading`)."""
        return Together()

    @cached_property
    def inserts(self) -> Together[dict[str, Any], Row]:
        """Where writers of single documents meet (see `writing`)."""
        return Together()

    @cached_property
    def updates(self) -> Together[dict[str, Any], Row]:
        return Together()

    @property
    def is_closed(self) -> bool:
        """Whether no end user may do anything here."""
        return not self.rules


SELECT: Final = (
    "SELECT c.id, p.slug, c.name, c.rules::text, c.schema::text, c.indexes::text, c.ttl_field,"
    " c.max_docs, c.ttl_seconds, c.dropped_indexes::text"
    " FROM documents_collection c JOIN kernel_project p ON p.id = c.project_id"
    " WHERE c.project_id = %s"
)


def _from_row(project_id: int, row: db.Row) -> Collection:
    stored: dict[str, Any] = orjson.loads(row[3])
    fields: dict[str, str] = stored.pop("fields", {})
    sources = cast(dict[Action, str], stored)
    return Collection(
        id=row[0],
        project_id=project_id,
        project_slug=row[1],
        name=row[2],
        rule_sources=sources,
        rules={
            action: compile_rule(source, DOCUMENT_ROOTS, action=action)
            for action, source in sources.items()
        },
        hidden=tuple(
            [
                HiddenField(tuple(name.split(".")), compile_rule(source, FIELD_ROOTS))
                for name, source in fields.items()
            ]
        ),
        schema=orjson.loads(row[4]) if row[4] is not None else None,
        indexes=tuple([spec.from_stored(stored) for stored in orjson.loads(row[5])]),
        ttl_field=row[6],
        max_docs=row[7],
        ttl_seconds=row[8],
        dropped=tuple(orjson.loads(row[9])),
    )


def _load(project_id: int, name: str) -> Collection | None:
    row = db.fetch_one(SELECT + " AND c.name = %s", (project_id, name))
    return _from_row(project_id, row) if row else None


_cache: Final = ConfigCache("collection", _load)


def find(project_id: int, name: str) -> Collection | None:
    """The collection, None when there is none."""
    return _cache.get(project_id, name)


def get(project_id: int, name: str) -> Collection:
    """As stored now, not from the cache. Raises NotFound `collection_not_found`."""
    found = _load(project_id, name)
    if found is None:
        raise NotFound(
            f"There is no collection {name[:64]!r}: make it with PUT …/collections/{name[:64]}.",
            code="collection_not_found",
        )
    return found


def find_all(project_id: int) -> list[Collection]:
    """All collections of a project by name, in the order of their names."""
    rows = db.fetch_all(SELECT + ' ORDER BY c.name COLLATE "C"', (project_id,))
    return [_from_row(project_id, row) for row in rows]


def check_name(name: str) -> None:
    """Raises Invalid `invalid_collection_name`."""
    if NAME.fullmatch(name) is None:
        raise Invalid(
            "A collection's name begins with a letter and has 1 to 64 letters, digits, _ or -.",
            code="invalid_collection_name",
            errors=[FieldError("collection", "invalid_collection_name", NAME.pattern)],
        )


def make(project_id: int, name: str) -> Collection:
    """The collection, made without rules (closed to end users) when there was none."""
    check_name(name)
    found = find(project_id, name)
    if found is not None:
        return found
    with transaction.atomic():
        insert(project_id, name)
        changed(project_id)
        return get(project_id, name)


def insert(project_id: int, name: str) -> bool:
    """Whether this call made the collection; waits for one who is just doing so."""
    row = db.fetch_one(
        "INSERT INTO documents_collection"
        " (project_id, name, rules, indexes, dropped_indexes, ttl_seconds, created_at, updated_at)"
        " VALUES (%s, %s, '{}', '[]', '[]', 0, now(), now())"
        " ON CONFLICT (project_id, name) DO NOTHING RETURNING id",
        (project_id, name),
    )
    if row is None:
        return False
    tables.create_schema(project_id)
    tables.create(tables.table(project_id, name, row[0]))
    return True


def store_indexes(collection: Collection, indexes: Iterable[Index], dropped: Iterable[str]) -> None:
    """Keep what is now known of the indexes. The caller holds the collection's row (`locked`)."""
    db.execute(
        "UPDATE documents_collection SET indexes = %s, dropped_indexes = %s WHERE id = %s",
        (
            orjson.dumps([spec.to_stored(index) for index in indexes]).decode(),
            orjson.dumps(sorted(dropped)).decode(),
            collection.id,
        ),
    )
    changed(collection.project_id)


def locked(project_id: int, name: str) -> Collection:
    """The collection, which nobody else configures until the transaction ends. Raises NotFound."""
    db.execute(
        "SELECT FROM documents_collection WHERE project_id = %s AND name = %s FOR UPDATE",
        (project_id, name),
    )
    return get(project_id, name)


def fields_of_index(collection: Collection, name: str) -> list[str]:
    """The declared fields of a PostgreSQL index; none when it is not (or no longer) declared."""
    for index in collection.indexes:
        if index.name == name:
            return index.names
    return []
