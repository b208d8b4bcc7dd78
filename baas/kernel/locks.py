"""Advisory locks: one caller at a time, across processes, without a row or a transaction.

They belong to the database session, so the server frees them when their holder dies.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from django.db import transaction

from baas.kernel import db
from baas.kernel.problems import Problem


@contextmanager
def held(number: int, *, wait_s: int, busy: Callable[[], Problem]) -> Iterator[None]:
    """Hold the lock of this number (64 bits, signed). Raises `busy()` after `wait_s` seconds."""
    if db.fetch_one("SELECT pg_try_advisory_lock(%s)", (number,)) != (True,):
        _wait(number, wait_s, busy)
    try:
        yield
    finally:
        # When the connection broke, the server has freed the lock itself.
        if not db.raw().closed:
            db.execute("SELECT pg_advisory_unlock(%s)", (number,))


def _wait(number: int, wait_s: int, busy: Callable[[], Problem]) -> None:
    try:
        with transaction.atomic():
            db.execute("SELECT set_config('lock_timeout', %s, true)", (f"{wait_s}s",))
            db.execute("SELECT pg_advisory_lock(%s)", (number,))
    except psycopg.errors.LockNotAvailable as error:
        raise busy() from error
