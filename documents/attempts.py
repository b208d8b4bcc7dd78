"""Work that others may get in the way of: tried again, not for ever."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import psycopg
from django.db import transaction

from baas.kernel import db
from baas.kernel.problems import Conflict

T = TypeVar("T")

PATIENCE_S: Final = 10


class Overtaken(Exception):
    """Another writer was faster: look again."""


class Beforehand(Exception):
    """Something is to be done first, by itself: in here it would wait for those who wait for us."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self.act = act


_here: Final = threading.local()


def can_begin_anew() -> bool:
    """Whether raising Beforehand is understood: within `atomically`, in no other transaction."""
    return getattr(_here, "depth", 0) == 1


def atomically(work: Callable[[], T]) -> T:
    """The work in one transaction, from the start again when others are in its way.

    That is when it raises Overtaken, or waits for a lock of somebody who waits for one of its own
    (PostgreSQL then ends one of the two). Raises Conflict `transaction_conflict` after 10 s of it.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            with _counted(), transaction.atomic():
                return work()
        except Beforehand as found:
            found.act()
        except (Overtaken, psycopg.errors.DeadlockDetected) as error:
            if time.monotonic() > end:
                raise Conflict(
                    "Others keep changing the same documents: nothing was changed, try again.",
                    code="transaction_conflict",
                ) from error


@contextmanager
def _counted() -> Iterator[None]:
    """What is not the outermost transaction counts as two: it cannot begin anew by itself."""
    before = getattr(_here, "depth", 0)
    _here.depth = before + (2 if db.in_transaction() else 1)
    try:
        yield
    finally:
        _here.depth = before
