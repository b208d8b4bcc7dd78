"""Work that others may get in the way of: tried again, not for ever."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

import psycopg
from django.db import transaction

from baas.kernel.problems import Conflict

T = TypeVar("T")

PATIENCE_S: Final = 10


class Overtaken(Exception):
    """Another writer was faster: look again."""


def atomically(work: Callable[[], T]) -> T:
    """The work in one transaction, from the start again when others are in its way.

    That is when it raises Overtaken, or waits for a lock of somebody who waits for one of its own
    (PostgreSQL then ends one of the two). Raises Conflict `transaction_conflict` after 10 s of it.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            with transaction.atomic():
                return work()
        except (Overtaken, psycopg.errors.DeadlockDetected) as error:
            if time.monotonic() > end:
                raise Conflict(
                    "Others keep changing the same documents: nothing was changed, try again.",
                    code="transaction_conflict",
                ) from error
