"""What doors call: begin, call, commit and roll back a transaction.

All of them raise NotFound `transaction_not_found` for a transaction that is unknown, over, expired
or somebody else's, and Unavailable `transaction_busy` when a parallel call of it takes too long.
"""

import hashlib
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, TypeVar

import psycopg
from django.db import DatabaseError

from baas.kernel import idempotency, locks
from baas.kernel.http.request import Request, Response
from baas.kernel.problems import Conflict, Problem, Unavailable
from documents.transactions import replay, store
from documents.transactions.calls import Call, dump_reply, load_reply, outcome_of
from documents.transactions.metrics import ENDED
from documents.transactions.replay import Handlers
from documents.transactions.store import Open, Recorded

T = TypeVar("T")

_WAIT_S: Final = 10  # for a parallel call of the same transaction
# How often all is tried anew when PostgreSQL made it give way to another transaction. What has
# changed is found by comparing replies, so this costs time only. From the third time on those of a
# project take turns: where many meet, somebody has to come through.
_ATTEMPTS: Final = 10
_ALONE_FROM: Final = 2
# Refusals that depend on what is stored: the caller learned something, so they are verified too.
_TELLING: Final = frozenset({403, 404, 409, 412, 422})


def call(request: Request, id: str, name: str, handlers: Handlers) -> Response:
    """Make one more call within the transaction; outside nothing of it is seen before the commit.

    Raises the call's own problems, which leave the transaction open and no trace in it; TooLarge
    `transaction_too_large`; Conflict `transaction_conflict`, after which it is over.
    """
    with _alone(id):
        open = store.get(id, request.project.id, request.principal.identity)
        new = Call.of(request, name, open.now)
        key = request.header("Idempotency-Key")
        if key is not None and (first := _first_reply(open, new, key)) is not None:
            return first
        store.require_room(open, new)
        reply = _persistently(request, open, lambda: replay.rehearse(request, open, new, handlers))
        if isinstance(reply, Response):
            outcome = outcome_of(reply)
            kept = None if key is None else dump_reply(reply)
            store.append(open, Recorded(call=new, outcome=outcome, key=key, reply=kept))
            return reply
        if reply.code == "transaction_conflict":
            _end_by_conflict(id)
        elif reply.status in _TELLING:
            store.append(open, Recorded(call=new, outcome=outcome_of(reply), refused=True))
        raise reply


def commit(request: Request, id: str, handlers: Handlers, reply: Response) -> None:
    """Make all of it true, or nothing. `reply` is stored with it for a repeated request.

    Raises Conflict `transaction_conflict`; in either case it is over then.
    """
    with _alone(id):
        open = store.get(id, request.project.id, request.principal.identity)

        def last() -> None:
            store.end(id)
            idempotency.keep(reply)

        _persistently(request, open, lambda: replay.perform(request, open, handlers, last))
        ENDED.labels("committed").inc()


def rollback(request: Request, id: str) -> None:
    """Let none of it be true."""
    with _alone(id):
        store.get(id, request.project.id, request.principal.identity)
        store.end(id)
        ENDED.labels("rolled_back").inc()


def _alone(what: str) -> AbstractContextManager[None]:
    """Parallel calls of one transaction take turns."""
    digest = hashlib.blake2b(b"transaction:" + what.encode(), digest_size=8).digest()
    return locks.held(int.from_bytes(digest, signed=True), wait_s=_WAIT_S, busy=_busy)


def _busy() -> Problem:
    return Unavailable(
        "Another call of this transaction is still running: this one was not made, try again.",
        code="transaction_busy",
    )


def _first_reply(open: Open, new: Call, key: str) -> Response | None:
    idempotency.check_key(key)
    for done in open.calls:
        if done.key == key and done.reply is not None:
            if done.call.fingerprint != new.fingerprint:
                raise idempotency.key_reused()
            return load_reply(done.reply)
    return None


def _persistently(request: Request, open: Open, work: Callable[[], T]) -> T:
    """Do the work anew while PostgreSQL makes it give way. A conflict ends the transaction."""
    turns = f"project:{request.project.id}"
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0, 0.01 * attempt))  # noqa: S311 - no secret
        try:
            with _alone(turns) if attempt >= _ALONE_FROM else nullcontext():
                return work()
        except (psycopg.Error, DatabaseError) as error:
            if not _gave_way(error):
                raise
        except Conflict:
            _end_by_conflict(open.id)
            raise
    _end_by_conflict(open.id)
    raise Conflict(
        "Too many others write the same documents: nothing was changed, begin the transaction"
        " again.",
        code="transaction_conflict",
    )


def _end_by_conflict(id: str) -> None:
    store.end(id)
    ENDED.labels("conflict").inc()


def _gave_way(error: Exception) -> bool:
    # Django wraps what a COMMIT raises.
    cause = error.__cause__ if isinstance(error, DatabaseError) else error
    return isinstance(cause, psycopg.errors.SerializationFailure | psycopg.errors.DeadlockDetected)
