"""Collections: their configuration, and the tables, indexes and statements that follow from it."""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

import orjson
import psycopg
from django.db import transaction
from psycopg import sql

from auth.rules import DOCUMENT_ROOTS, Rule, compile_rule
from auth.rules.bindings import Narrow
from baas.kernel import db
from baas.kernel.config_cache import ConfigCache, changed
from baas.kernel.problems import Conflict, FieldError, Invalid, NotFound
from documents import tables
from documents.query import columns
from documents.query.narrowing import narrow_by
from documents.query.rows import Rows
from documents.query.sort import Direction
from documents.schemas import Validator
from documents.statements import Statements, compose

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
Action: TypeAlias = Literal["read", "create", "update", "delete"]
ACTIONS: Final[tuple[Action, ...]] = ("read", "create", "update", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A declared B-tree index."""

    name: str  # of the PostgreSQL index
    fields: tuple[tuple[str, Direction], ...]
    unique: bool = False
    multikey: bool = False  # arrays were written to a field: filters must not rely on the index


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
    max_docs: int | None = None
    rules: Mapping[Action, Rule] = field(default_factory=dict)
    # The texts of lists by the shape of their query (see listing); they die with this value.
    plans: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def table(self) -> sql.Identifier:
        return tables.table(self.project_id, self.name, self.id)

    @cached_property
    def statements(self) -> Statements:
        return compose(
            table=self.table,
            project_id=self.project_id,
            project_slug=self.project_slug,
            collection=self.name,
        )

    @cached_property
    def scalars(self) -> frozenset[str]:
        """Fields with an index that can answer for them: no array is on their way."""
        return frozenset(
            name
            for index in self.indexes
            if not index.multikey
            for name, _ in index.fields
            if name not in columns.SYSTEM
        )

    def rows(self, alias: str = "d") -> Rows:
        """The table, as filters and sorts read it in a statement that names it `alias`."""
        return Rows(alias, is_table=True, scalars=self.scalars)

    @cached_property
    def narrow(self) -> Narrow | None:
        """What the indexes add to rules that compare a field with something known."""
        return narrow_by(self.scalars)

    @cached_property
    def validator(self) -> Validator | None:
        return Validator(self.schema) if self.schema is not None else None

    @property
    def is_closed(self) -> bool:
        """Whether no end user may do anything here."""
        return not self.rules


SELECT: Final = (
    "SELECT c.id, p.slug, c.name, c.rules::text, c.schema::text, c.indexes::text, c.ttl_field,"
    " c.max_docs FROM documents_collection c JOIN kernel_project p ON p.id = c.project_id"
    " WHERE c.project_id = %s"
)


def _from_row(project_id: int, row: db.Row) -> Collection:
    sources: dict[Action, str] = orjson.loads(row[3])
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
        schema=orjson.loads(row[4]) if row[4] is not None else None,
        indexes=tuple([_index_from(stored) for stored in orjson.loads(row[5])]),
        ttl_field=row[6],
        max_docs=row[7],
    )


def _index_from(stored: dict[str, Any]) -> Index:
    return Index(
        name=stored["name"],
        fields=tuple([(name, direction) for name, direction in stored["fields"]]),
        unique=stored["unique"],
        multikey=stored["multikey"],
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What PUT collections/{c} asks for, checked by `declarations`."""

    rules: Mapping[Action, str] = field(default_factory=dict)
    schema: Any = None
    indexes: tuple[tuple[tuple[tuple[str, Direction], ...], bool], ...] = ()  # fields, unique
    ttl_field: str | None = None
    max_docs: int | None = None


def make(project_id: int, name: str) -> Collection:
    """The collection, made without rules (closed to end users) when there was none."""
    check_name(name)
    found = find(project_id, name)
    if found is not None:
        return found
    with transaction.atomic():
        _insert(project_id, name)
        changed(project_id)
        return get(project_id, name)


def _insert(project_id: int, name: str) -> bool:
    """Whether this call made the collection; waits for one who is just doing so."""
    row = db.fetch_one(
        "INSERT INTO documents_collection"
        " (project_id, name, rules, indexes, created_at, updated_at)"
        " VALUES (%s, %s, '{}', '[]', now(), now())"
        " ON CONFLICT (project_id, name) DO NOTHING RETURNING id",
        (project_id, name),
    )
    if row is None:
        return False
    tables.create_schema(project_id)
    tables.create(tables.table(project_id, name, row[0]))
    return True


@transaction.atomic
def put(project_id: int, name: str, declared: Declaration) -> tuple[Collection, bool]:
    """Make or change a collection so that it is as declared; true when it was made.

    Raises Conflict `unique_violation` when a unique index meets documents that are not.
    """
    check_name(name)
    made = _insert(project_id, name)
    db.execute(
        "SELECT FROM documents_collection WHERE project_id = %s AND name = %s FOR UPDATE",
        (project_id, name),
    )
    before = get(project_id, name)
    db.unlimited()  # an index over many documents takes its time
    indexes = _change_indexes(before, declared)
    if any("_owner" in rule or rule == "owner" for rule in declared.rules.values()):
        tables.create_owner_index(before.table, before.id)
    db.execute(
        "UPDATE documents_collection SET rules = %s, schema = %s, indexes = %s, ttl_field = %s,"
        " max_docs = %s, updated_at = now() WHERE id = %s",
        (
            orjson.dumps(declared.rules).decode(),
            orjson.dumps(declared.schema).decode() if declared.schema is not None else None,
            _dump(indexes),
            declared.ttl_field,
            declared.max_docs,
            before.id,
        ),
    )
    changed(project_id)
    return get(project_id, name), made


def _dump(indexes: list[Index]) -> str:
    return orjson.dumps(indexes).decode()


def _change_indexes(before: Collection, declared: Declaration) -> list[Index]:
    kept = {index.name: index for index in before.indexes}
    wanted: list[Index] = []
    for fields, unique in declared.indexes:
        name = tables.index_name(before.id, fields, unique)
        if name in kept:
            wanted.append(kept.pop(name))
        elif name not in [index.name for index in wanted]:
            wanted.append(_create_index(before, name, fields, unique))
    for name in kept:
        tables.drop_index(before.project_id, name)
        tables.allow_arrays(before.table, name)
    return wanted


def _create_index(
    collection: Collection, name: str, fields: tuple[tuple[str, Direction], ...], unique: bool
) -> Index:
    names = [field for field, _ in fields]
    # Nobody writes between the look for arrays and the check that keeps them out.
    db.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(collection.table))
    multikey = tables.has_arrays(collection.table, names)
    if multikey and unique:
        raise Invalid(
            "A unique index cannot cover arrays, and there are documents with arrays in"
            f" {', '.join(names)}.",
            code="index_not_possible",
        )
    try:
        tables.create_index(collection.table, name, list(fields), unique=unique)
    except psycopg.errors.UniqueViolation as error:
        raise Conflict(
            f"There are documents with the same value in {', '.join(names)}: nothing was changed.",
            code="unique_violation",
            errors=[FieldError(field, "unique_violation", "taken twice") for field in names],
        ) from error
    except psycopg.errors.ProgramLimitExceeded as error:
        raise Invalid(
            f"There are documents whose value in {', '.join(names)} is too long for an index:"
            " 2,000 bytes at most.",
            code="index_not_possible",
        ) from error
    if not multikey:
        tables.require_scalars(collection.table, name, names)
    return Index(name=name, fields=fields, unique=unique, multikey=multikey)


@transaction.atomic
def accept_arrays(collection: Collection, constraint: str) -> bool:
    """An array is about to be written to an indexed field: filters stop relying on that index.

    False when the constraint is not one of those, or belongs to a unique index.
    """
    db.execute("SELECT FROM documents_collection WHERE id = %s FOR UPDATE", (collection.id,))
    current = get(collection.project_id, collection.name)
    wanted = [index for index in current.indexes
              if tables.scalar_constraint_name(index.name) == constraint]  # fmt: skip
    if not wanted or wanted[0].unique:
        return False
    tables.allow_arrays(current.table, wanted[0].name)
    indexes = [
        Index(name=index.name, fields=index.fields, multikey=True) if index in wanted else index
        for index in current.indexes
    ]
    db.execute(
        "UPDATE documents_collection SET indexes = %s WHERE id = %s", (_dump(indexes), current.id)
    )
    changed(collection.project_id)
    return True


@transaction.atomic
def delete(project_id: int, name: str) -> None:
    """Remove the collection with its documents, without events. Raises NotFound."""
    found = get(project_id, name)
    tables.drop(found.table)
    db.execute("DELETE FROM documents_collection WHERE id = %s", (found.id,))
    changed(project_id)


def fields_of_index(collection: Collection, name: str) -> list[str]:
    """The declared fields of a PostgreSQL index; none when it is not (or no longer) declared."""
    for index in collection.indexes:
        if index.name == name:
            return [field for field, _ in index.fields]
    return []
