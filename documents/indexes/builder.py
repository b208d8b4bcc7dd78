"""Builds indexes of large collections while everybody goes on writing.

`CREATE INDEX CONCURRENTLY` cannot be part of a transaction, so the collection's row says what is
to be done ("building", `dropped_indexes`) and this makes it so, from whatever state a builder that
died has left: the row is changed last. One builder works at a time, on a connection of its own;
its advisory locks end with it.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, TypeAlias

import psycopg
from django.db import connection, transaction
from psycopg import sql

from baas.kernel import db
from baas.kernel.problems import Conflict, Invalid, NotFound, Problem, Unavailable
from documents import collections, tables
from documents.collections import Collection
from documents.indexes import changes, ddl, hints, running
from documents.indexes.spec import Index, State

logger = logging.getLogger(__name__)

Builder: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"
# The builder gave way, or had to wait for too long: to be tried again.
_LATER: Final = (
    psycopg.errors.QueryCanceled,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
)
# After giving way to somebody who changes the table.
_PAUSE_S: Final = 1.0
_UNSETTLED: Final = """
SELECT project_id, name FROM documents_collection
WHERE indexes @> '[{"state": "building"}]' OR indexes @> '[{"members": "building"}]'
OR dropped_indexes <> '[]' ORDER BY id LIMIT 1
"""


def sweep() -> None:
    """Ask a worker to build what is left to be built (by one who died, or was never told)."""
    if db.fetch_one(_UNSETTLED) is not None:
        hints.send()


def run() -> None:
    """Build and remove until there is nothing left, unless somebody else is at it.

    Raises psycopg.OperationalError when the database goes away; the sweep begins anew.
    """
    try:
        _run()
    except db.CONNECTION_ERRORS:
        connection.close()  # the next task finds a new one
        raise


def _run() -> None:
    with _connected() as builder:
        (is_ours,) = _one(builder, "SELECT pg_try_advisory_lock(%s, 0)", (running.LOCK,))
        while is_ours and (row := db.fetch_one(_UNSETTLED)) is not None:
            try:
                _settle(builder, collections.get(row[0], row[1]))
            except NotFound:
                continue  # dropped meanwhile
            except (*_LATER, Unavailable):
                time.sleep(_PAUSE_S)


@contextmanager
def _connected() -> Iterator[Builder]:
    params = connection.get_connection_params()
    params = {k: v for k, v in params.items() if k not in ("cursor_factory", "context")}
    with psycopg.Connection.connect(**params, autocommit=True) as builder:
        builder.execute("SET statement_timeout = 0")
        yield builder


def _one(builder: Builder, query: Any, params: Any = None) -> tuple[Any, ...]:
    row = builder.execute(query, params).fetchone()
    assert row is not None  # noqa: S101 - asked only of queries with one row
    return row


def _settle(builder: Builder, collection: Collection) -> None:
    """Bring one collection a step nearer to what it declares."""
    lock = (running.LOCK, running.key_of(collection.id))
    _one(builder, "SELECT pg_advisory_lock(%s, %s)", lock)
    try:
        if collection.dropped:
            for name in collection.dropped:
                builder.execute(ddl.drop(collection.schema_name, name, concurrently=True), ())
            _note_dropped(collection)
            return
        index = next(index for index in collection.indexes if not index.is_settled)
        try:
            built = _built_or_failed(builder, collection, index)
        except psycopg.errors.UndefinedTable:
            # Dropped or renamed meanwhile, as a rule; `_note` then finds no such collection.
            built = replace(index, state="failed", error="The collection's table is gone.")
        _note(collection, index, built)
    finally:
        if not builder.closed:
            _one(builder, "SELECT pg_advisory_unlock(%s, %s)", lock)


def _built_or_failed(builder: Builder, collection: Collection, index: Index) -> Index:
    try:
        return _build(builder, collection, index)
    except (Conflict, Invalid) as problem:
        logger.info("index %s of %r: %s", index.label, collection.name, problem.detail)
        return _failed(builder, collection, index, problem)


def _build(builder: Builder, collection: Collection, index: Index) -> Index:
    """Raises Problem when that is not possible."""
    if index.type == "btree" and index.state == "building" and not index.multikey:
        index = _keep_arrays_out(collection, index)
    schema, table = collection.schema_name, collection.table_name
    try:
        if index.state == "building":
            statement = ddl.create(schema, table, index, concurrently=True)
            _create(builder, schema, index.name, statement)
        if index.multikey:
            statement = ddl.create_members(schema, table, index, concurrently=True)
            _create(builder, schema, index.members_name, statement)
        # Until PostgreSQL knows what is in it, it guesses, and may leave the index alone.
        builder.execute(sql.SQL("ANALYZE {}").format(collection.table))
    except psycopg.Error as error:
        if builder.closed or isinstance(error, (*_LATER, psycopg.errors.UndefinedTable)):
            raise  # not the index's fault
        raise changes.problem(index, error) from error
    members: State | None = "ready" if index.multikey else None
    return replace(index, state="ready", error=None, members=members)


def _create(builder: Builder, schema: str, name: str, statement: sql.Composed) -> None:
    found = builder.execute(
        "SELECT i.indisvalid FROM pg_index AS i WHERE i.indexrelid = to_regclass(%s)",
        (sql.Identifier(schema, name).as_string(None),),
    ).fetchone()
    if found == (True,):
        return  # its builder died before it could say so
    if found is not None:
        builder.execute(ddl.drop(schema, name, concurrently=True), ())
    builder.execute(statement, ())


def _keep_arrays_out(collection: Collection, index: Index) -> Index:
    """From now on no array comes into the fields; the index is a multikey one if there are some."""
    with transaction.atomic():
        current = collections.locked(collection.project_id, collection.name)
        if index not in current.indexes:
            return index  # declared otherwise meanwhile: what is built is thrown away later
        changes.take(current)
        tables.require_scalars(collection.table, index.name, index.names)
    # Whoever wrote before the check was there has ended: this sees all there is.
    with transaction.atomic():
        db.unlimited()
        if not tables.has_arrays(collection.table, index.names):
            return index
    _allow_arrays(collection, index)
    if index.unique:
        raise changes.arrays_in_unique(index)
    return replace(index, multikey=True)


@transaction.atomic
def _allow_arrays(collection: Collection, index: Index) -> None:
    changes.take(collection)
    tables.allow_arrays(collection.table, index.name)


def _failed(builder: Builder, collection: Collection, index: Index, problem: Problem) -> Index:
    """Leave nothing behind of an index that cannot be built."""
    _allow_arrays(collection, index)
    for name in (index.name, index.members_name):
        builder.execute(ddl.drop(collection.schema_name, name, concurrently=True), ())
    return replace(index, state="failed", error=problem.detail, multikey=False, members=None)


@transaction.atomic
def _note(collection: Collection, before: Index, after: Index) -> None:
    """Keep what became of an index, if it is still wanted."""
    current = collections.locked(collection.project_id, collection.name)
    indexes = list(current.indexes)
    for place, index in enumerate(indexes):
        if index.name != before.name or index.is_settled:
            continue
        if index.name in current.dropped:
            continue  # undeclared and declared again meanwhile: first it goes, then it is built
        if index.multikey and not after.multikey and after.state == "ready":
            # An array came while the index was built: its members are next.
            indexes[place] = replace(after, multikey=True, members="building")
        else:
            indexes[place] = replace(after, label=index.label, implied=index.implied)
    collections.store_indexes(current, indexes, current.dropped)


@transaction.atomic
def _note_dropped(collection: Collection) -> None:
    current = collections.locked(collection.project_id, collection.name)
    dropped = set(current.dropped) - set(collection.dropped)
    collections.store_indexes(current, current.indexes, dropped)
