"""PostgreSQL for the hot paths: the thread's own Django connection, without the ORM on top.

Both doors share one connection per thread, so `django.db.transaction.atomic` also covers the
statements run here. Statements are prepared by psycopg and parameters are bound by the server.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, TypeAlias

import psycopg
from django.db import OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from psycopg import sql

from baas.kernel import statements

Query: TypeAlias = LiteralString | bytes | sql.SQL | sql.Composed
Params: TypeAlias = Sequence[Any] | Mapping[str, Any] | None
Row: TypeAlias = tuple[Any, ...]

# What psycopg or Django raise when the server is gone, restarting or shutting down.
CONNECTION_ERRORS: tuple[type[Exception], ...] = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    OperationalError,
)


def raw() -> psycopg.Connection[Row]:
    """This thread's psycopg connection, opened when needed.

    In autocommit mode outside `transaction.atomic`. JSON columns come back as text.
    """
    wrapper = _wrapper()
    if wrapper.connection is None:
        wrapper.ensure_connection()
    raw_connection: psycopg.Connection[Row] = wrapper.connection
    return raw_connection


_threads = threading.local()
_timeout_ms = 0


def _wrapper() -> BaseDatabaseWrapper:
    """Django's connection object of this thread, without asking its proxy at every statement."""
    try:
        wrapper: BaseDatabaseWrapper = _threads.wrapper
    except AttributeError:
        wrapper = _threads.wrapper = connections["default"]
    return wrapper


def execute(query: Query, params: Params = None) -> statements.Result:
    """Run one statement, prepared when it comes again, with parameters bound by the server.

    `%s` and `%(name)s` are placeholders, `%%` a percent sign, as in psycopg. Raises its errors.
    """
    connection = raw()
    if isinstance(query, str):
        text = query.encode()
    else:
        text = query if isinstance(query, bytes) else query.as_bytes(connection)
    return statements.run(connection, text, params)


def fetch_one(query: Query, params: Params = None) -> Row | None:
    return execute(query, params).fetchone()


def fetch_all(query: Query, params: Params = None) -> list[Row]:
    return execute(query, params).fetchall()


def is_disconnect(error: BaseException) -> bool:
    """Whether the error means that the server went away (a retry on a new connection may help)."""
    if not isinstance(error, CONNECTION_ERRORS):
        return False
    raw_connection = connection.connection
    return (
        raw_connection is None
        or raw_connection.closed
        or isinstance(error.__cause__ or error, psycopg.errors.AdminShutdown)
    )


def limit_statements(timeout_ms: int) -> None:
    """Let the server cancel what takes longer, on every connection that this process opens.

    A cancelled statement raises psycopg.errors.QueryCanceled; the doors answer 503.
    """

    def limit(connection: BaseDatabaseWrapper, **_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", (str(timeout_ms),))

    global _timeout_ms
    _timeout_ms = timeout_ms
    connection_created.connect(limit, weak=False, dispatch_uid="baas.statement_timeout")


def statement_timeout_ms() -> int:
    """What `limit_statements` was given; 0 without a limit."""
    return _timeout_ms


def unlimited() -> None:
    """In a transaction: let its statements take their time (removing a project, say)."""
    execute("SELECT set_config('statement_timeout', '0', true)")


def in_transaction() -> bool:
    return _wrapper().in_atomic_block


@contextmanager
def savepoint() -> Iterator[None]:
    """In a transaction: what the block did is undone when it raises, and the rest stands.

    A lighter `transaction.atomic`, for what is done at every write. Outside a transaction there is
    nothing to save.
    """
    if not in_transaction():
        yield
        return
    execute("SAVEPOINT baas", ())
    try:
        yield
    except BaseException:
        if not raw().closed:
            execute("ROLLBACK TO SAVEPOINT baas", ())
            execute("RELEASE SAVEPOINT baas", ())
        raise
    execute("RELEASE SAVEPOINT baas", ())
