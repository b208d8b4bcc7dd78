"""From the indexes that a collection has to those that it declares.

Small tables get them within the change itself. On a large one that would keep writers waiting:
there the declaration is stored as "building", and `builder` does the work in the background.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import psycopg
from psycopg import sql

from baas.kernel import db
from baas.kernel.problems import Conflict, FieldError, Invalid, Unavailable
from documents import collections, tables
from documents.collections import Collection
from documents.geo import index as geo
from documents.indexes import ddl, hints, running, vectors
from documents.indexes.declaration import IndexDeclaration
from documents.indexes.spec import Index, Type

# Beyond one of these an index is built in the background: at once takes some tenths of a second.
AT_ONCE_BYTES: Final = 64 * 1024 * 1024
AT_ONCE_DOCUMENTS: Final = 20_000
AT_ONCE_OTHERS: Final = 2_000  # documents, for the types that take longer
_ATTEMPTS: Final = 10
_LOCK_TIMEOUT_MS: Final = 2000


def make_so(collection: Collection, declared: Iterable[IndexDeclaration]) -> None:
    """Make the collection's indexes as declared. The caller holds its row.

    Raises Conflict `unique_violation`, Invalid `index_not_possible` or `not_supported`.
    """
    kept = {index.name: index for index in collection.indexes}
    size = tables.size(collection.table)
    dropped = set(collection.dropped)
    wanted: dict[str, Index] = {}
    for declaration in declared:
        index = declaration.index(collection.id)
        if index.name in wanted:
            continue
        known = kept.pop(index.name, None)
        if known is not None and known.state != "failed":
            wanted[index.name] = replace(known, label=index.label, implied=index.implied)
            continue
        if index.type == "vector":
            vectors.require_extension()
        elif index.type == "geo":
            geo.require_extension()
        if is_small(size, index.type):
            dropped.discard(index.name)
            wanted[index.name] = create(collection, index)
        else:
            wanted[index.name] = replace(index, state="building")
    for index in kept.values():
        dropped |= _drop(collection, index, at_once=is_small(size, index.type))
    collections.store_indexes(collection, wanted.values(), dropped)
    if dropped or not all(index.is_settled for index in wanted.values()):
        hints.ask()


def is_small(size: tables.Size, type: Type) -> bool:
    """Whether an index is built in no time."""
    documents = AT_ONCE_DOCUMENTS if type in ("btree", "owner") else AT_ONCE_OTHERS
    return size.documents <= documents and size.bytes <= AT_ONCE_BYTES


def create(collection: Collection, index: Index) -> Index:
    """Build it now, while nobody writes. Raises as `make_so`."""
    _run(ddl.drop(collection.schema_name, index.name))
    if index.type == "btree":
        # Nobody writes between the look for arrays and the check that keeps them out.
        take(collection)
        if tables.has_arrays(collection.table, index.names):
            if index.unique:
                raise arrays_in_unique(index)
            index = replace(index, multikey=True, members="ready")
        else:
            tables.require_scalars(collection.table, index.name, index.names)
    try:
        _run(ddl.create(collection.schema_name, collection.table_name, index))
        if index.members:
            _run(ddl.create_members(collection.schema_name, collection.table_name, index))
    except psycopg.Error as error:
        raise problem(index, error) from error
    return index


def with_members(collection: Collection, index: Index) -> Index:
    """The first array has come: build the index of members now or ask for it."""
    if is_small(tables.size(collection.table), "text"):
        _run(ddl.create_members(collection.schema_name, collection.table_name, index))
        return replace(index, multikey=True, members="ready")
    hints.ask()
    return replace(index, multikey=True, members="building")


def _drop(collection: Collection, index: Index, *, at_once: bool) -> set[str]:
    """Remove it, or name what is to be removed in the background."""
    names = [index.name, index.members_name] if index.members else [index.name]
    if index.type == "btree" and not index.multikey:
        take(collection)
        tables.allow_arrays(collection.table, index.name)
    # A unique index must not refuse anything once it is declared no more.
    if not at_once and not index.unique:
        return set(names)
    take(collection)
    for name in names:
        _run(ddl.drop(collection.schema_name, name))
    return set()


def take(collection: Collection) -> None:
    """Lock the table for a change of its definition; a build in the background gives way.

    Waits for statements that run, but keeps nobody waiting for long meanwhile. Raises Unavailable.
    """
    lock = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(collection.table)
    db.execute("SELECT set_config('lock_timeout', %s, true)", (str(_LOCK_TIMEOUT_MS),))
    for _ in range(_ATTEMPTS):
        running.interrupt(collection.id)
        db.execute("SAVEPOINT taking")
        try:
            db.execute(lock)
        except psycopg.errors.LockNotAvailable:
            db.execute("ROLLBACK TO SAVEPOINT taking")
            continue
        db.execute("RELEASE SAVEPOINT taking")
        db.execute("SELECT set_config('lock_timeout', '0', true)")
        return
    raise Unavailable(
        f"The collection {collection.name!r} is busy with something that takes long: try again."
    )


def _run(statement: sql.Composed) -> None:
    db.execute(statement, ())


def problem(index: Index, error: psycopg.Error) -> Conflict | Invalid:
    """Why an index cannot be built."""
    names = ", ".join(index.names)
    match error:
        case psycopg.errors.UniqueViolation():
            return Conflict(
                f"There are documents with the same value in {names}: nothing was changed.",
                code="unique_violation",
                errors=[
                    FieldError(name, "unique_violation", "taken twice") for name in index.names
                ],
            )
        case psycopg.errors.ProgramLimitExceeded():
            what = (
                "has too many words" if index.type == "text" else "is too long: 2,000 bytes at most"
            )
            detail = f"There are documents whose value in {names} {what}."
        case psycopg.errors.FeatureNotSupported() if index.where is not None:
            detail = (
                "The condition in `where` cannot be part of an index: it compares with an object"
                " or an array, or has an array's position in a path."
            )
        case psycopg.errors.DataException():
            why = error.diag.message_primary
            detail = f"There are documents whose value in {names} cannot be indexed: {why}"
        case _:
            detail = f"PostgreSQL cannot build this index: {error.diag.message_primary}"
    return Invalid(detail[:500], code="index_not_possible")


def arrays_in_unique(index: Index) -> Invalid:
    return Invalid(
        "A unique index cannot cover arrays, and there are documents with arrays in"
        f" {', '.join(index.names)}.",
        code="index_not_possible",
    )
