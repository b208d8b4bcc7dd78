"""Carrying out a transaction: all of its calls, from the first, in one PostgreSQL transaction.

A reply that differs from the one that was given means that somebody else changed what the caller
has seen: a conflict. When none differs, everything is as if it had happened just now, in one go.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, TypeAlias

from django.conf import settings
from django.db import transaction

from baas.kernel import config_cache, db, repeatable
from baas.kernel.http.request import Request, Response
from baas.kernel.problems import Conflict, FieldError, Problem
from documents.transactions.calls import Call, outcome_of
from documents.transactions.store import Open, not_found

Handler: TypeAlias = Callable[[Request], Response]
Handlers: TypeAlias = Mapping[str, Handler]


def rehearse(request: Request, open: Open, new: Call, handlers: Handlers) -> Response | Problem:
    """What the new call answers after all the earlier ones. Nothing of it stays.

    Raises Conflict `transaction_conflict` when an earlier one would now answer otherwise.
    """
    with config_cache.within_transaction(), transaction.atomic():
        # One snapshot is enough here: what it shows is verified again by the commit.
        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        _repeat(request, open, handlers)
        # A refused call leaves nothing, and the others stand.
        reply = _play(request, open, new, handlers, transaction.atomic())
        transaction.set_rollback(True)
    return reply


def perform(request: Request, open: Open, handlers: Handlers, last: Callable[[], None]) -> None:
    """Carry out all calls and then `last`, and commit. Raises Conflict `transaction_conflict`."""
    with config_cache.within_transaction(), transaction.atomic():
        db.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        _repeat(request, open, handlers)
        last()


def _repeat(request: Request, open: Open, handlers: Handlers) -> None:
    for number, done in enumerate(open.calls):
        # What was not refused needs no savepoint: if it is refused now, all is undone.
        savepoint = transaction.atomic() if done.refused else nullcontext()
        reply = _play(request, open, done.call, handlers, savepoint)
        if outcome_of(reply) != done.outcome:
            detail = f"{done.call.method} {done.call.path} would answer otherwise now"
            raise Conflict(
                f"Somebody else changed what call {number + 1} of the transaction had seen:"
                " nothing was changed, begin it again.",
                code="transaction_conflict",
                errors=[FieldError(f"calls[{number}]", "transaction_conflict", detail)],
            )


# What a reply depends on beside the documents: the time, random numbers ($sample), the order of
# rows that nobody sorts. And no call outlives its transaction.
_SETTINGS: Final = (
    "SELECT set_config('baas.now', %s, true), setseed(%s),"
    " set_config('statement_timeout', %s, true),"
    " set_config('max_parallel_workers_per_gather', '0', true),"
    " set_config('synchronize_seqscans', 'off', true)"
)


def _play(
    request: Request,
    open: Open,
    call: Call,
    handlers: Handlers,
    savepoint: AbstractContextManager[None],
) -> Response | Problem:
    """What the call answers. Raises NotFound when the transaction's time is over."""
    left_ms = int((open.deadline - time.monotonic()) * 1000)
    if left_ms <= 0:
        raise not_found()
    random = int.from_bytes(call.seed[:4]) / 2**32
    timeout_ms = min(left_ms, settings.STATEMENT_TIMEOUT_MS or left_ms)
    db.execute(_SETTINGS, (call.now.isoformat(), random, str(timeout_ms)))
    try:
        with savepoint, repeatable.repeating(call.now, call.seed):
            return handlers[call.handler](call.request(request))
    except Problem as problem:
        config_cache.forget_within()  # it may have made a collection
        if problem.status >= 500:
            raise
        return problem
