"""Single reads, on connections that all threads share: the one that was used last is used next.

A backend that has just run a statement runs the next one in half the time of one that has slept:
its plans and pages are still in the processor's caches. The connection of a thread's own would be
the one that has slept longest, as the server's threads take turns.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from django.db import connection

from baas.kernel import db, statements
from baas.kernel.db import Row

_idle: Final[list[psycopg.Connection[Row]]] = []  # the last one is taken first


def fetch_all(query: bytes, params: Mapping[str, Any]) -> list[Row]:
    """As `db.fetch_all`, for one statement that only reads; in a transaction it is part of that.

    Outside of one it is repeated when its connection turns out to have died. Raises psycopg's
    errors.
    """
    if db.in_transaction():
        return db.fetch_all(query, params)
    while True:
        try:
            taken, is_new = _idle.pop(), False
        except IndexError:
            taken, is_new = _connect(), True
        try:
            rows = statements.run(taken, query, params).fetchall()
        except psycopg.Error:
            if not taken.closed:
                _idle.append(taken)
            elif not is_new:
                continue
            raise
        _idle.append(taken)
        return rows


def fetch_one(query: bytes, params: Mapping[str, Any]) -> Row | None:
    """The first row of `fetch_all`; None when there is none."""
    rows = fetch_all(query, params)
    return rows[0] if rows else None


def forget() -> None:
    """Close the connections that nobody uses at the moment."""
    while _idle:
        _idle.pop().close()


def _connect() -> psycopg.Connection[Row]:
    params = connection.get_connection_params()
    params.pop("cursor_factory", None)
    made: psycopg.Connection[Row] = psycopg.Connection.connect(**params, autocommit=True)
    # As Django's own connections have them.
    made.execute(
        "SELECT set_config('timezone', 'UTC', false), set_config('statement_timeout', %s, false)",
        (str(db.statement_timeout_ms()),),
    )
    return made


# A forked child must not talk on its parent's connections (nor end them, which `clear` does not:
# psycopg closes only what its own process opened).
os.register_at_fork(after_in_child=_idle.clear)
