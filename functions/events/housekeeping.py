"""What has to happen now and then: retention, sweeps, closing the books."""

import logging
import threading
from collections.abc import Callable
from typing import Final, TypeAlias

import psycopg
from django.conf import settings
from django.db import DatabaseError, connection

from baas.kernel import db, idempotency, ids
from baas.kernel.events import retention

logger = logging.getLogger(__name__)

_FAILURES: Final[tuple[type[Exception], ...]] = (psycopg.Error, DatabaseError, OSError)
CHUNK: Final = 5_000  # rows that one statement removes

# Sweeps of other rooms are registered by `functions.apps`.
_Tasks: TypeAlias = list[tuple[str, Callable[[], object]]]
_tasks: _Tasks = []
_frequent_tasks: _Tasks = []


def register(name: str, task: Callable[[], object], *, every_minute: bool = False) -> None:
    """Add a task that runs about hourly, or every minute, in each of the dispatchers.

    It must be safe to repeat, and beside itself in another process.
    """
    (_frequent_tasks if every_minute else _tasks).append((name, task))


def start() -> None:
    """Run every task in a thread of its own: what takes long must not hold up deliveries."""
    threading.Thread(target=_run, args=(_tasks,), name="housekeeping", daemon=True).start()


_frequent: Final = threading.Lock()


def start_frequent() -> None:
    """As `start`, for the tasks of every minute, unless those of the last one still run."""
    if _frequent.acquire(blocking=False):
        threading.Thread(target=_run_frequent, name="housekeeping-minute", daemon=True).start()


def _run_frequent() -> None:
    try:
        _run(_frequent_tasks)
    finally:
        _frequent.release()


def _run(tasks: _Tasks) -> None:
    try:
        run(tasks)
    finally:
        connection.close()  # this thread's


def run(tasks: _Tasks = _tasks) -> None:
    """Run every task; one that fails is logged and does not keep the others from running."""
    for name, task in tasks:
        try:
            task()
        except _FAILURES:
            logger.exception("housekeeping: %s failed", name)


# The sum replaces the rows that it sums, in one statement: readers see either.
_SUM_UP: Final = b"""
WITH gone AS (DELETE FROM functions_tally WHERE id <= %s RETURNING name, delta)
INSERT INTO functions_tally (name, delta) SELECT name, sum(delta) FROM gone GROUP BY name
"""


def sum_up_tallies() -> None:
    """Keep the ledger's counters short."""
    row = db.fetch_one(b"SELECT max(id) FROM functions_tally")
    if row and row[0] is not None:
        db.execute(_SUM_UP, (row[0],))


def drop_old_records() -> None:
    """Remove runs, logs and succeeded deliveries past their retention; dead ones stay."""
    days = settings.FUNCTION_RECORD_RETENTION_DAYS
    _in_chunks(
        b"DELETE FROM functions_logline WHERE id IN (SELECT id FROM functions_logline"
        b" WHERE time < now() - make_interval(days => %s) LIMIT %s)",
        days,
    )
    _in_chunks(
        b"DELETE FROM functions_invocation WHERE ctid = ANY(ARRAY(SELECT ctid"
        b" FROM functions_invocation WHERE id < %s LIMIT %s))",
        _first_id_of(days),
    )
    # Succeeded pairs stay as long as the log has their events: a replay must find them.
    _in_chunks(
        b"DELETE FROM functions_delivery WHERE id IN (SELECT id FROM functions_delivery"
        b" WHERE state = 'succeeded' AND id < %s LIMIT %s)",
        _first_id_of(settings.EVENT_RETENTION_DAYS),
    )


def _first_id_of(days: int) -> str:
    """The smallest id that can have been made in the last `days` days (ids are time-ordered)."""
    row = db.fetch_one(b"SELECT extract(epoch FROM now() - make_interval(days => %s))", (days,))
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return ids.first_of(int(row[0] * 1000))


def _in_chunks(statement: bytes, bound: object) -> None:
    """Small transactions: no lock is held for long, and an interrupted sweep goes on later."""
    while db.execute(statement, (bound, CHUNK)).rowcount == CHUNK:
        pass


register("partitions of the log", retention.maintain)
register("first replies", idempotency.sweep)
register("old records", drop_old_records)
