"""The rows of open transactions."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from baas.kernel import db, ids
from baas.kernel.problems import NotFound, TooLarge, TooMany
from documents.transactions.calls import Call

LIFETIME_S: Final = 30
MAX_CALLS: Final = 100
MAX_BYTES: Final = 16 * 1024 * 1024
# Open at a time: whoever begins them and goes away holds nothing but these rows, for 30 s.
MAX_OPEN_OF_CALLER: Final = 100
MAX_OPEN_OF_PROJECT: Final = 2000
MAX_BYTES_OF_CALLER: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A call that was answered."""

    call: Call
    outcome: bytes  # see calls.outcome_of
    refused: bool = False  # it answered with a problem, and did nothing
    key: str | None = None  # its Idempotency-Key
    reply: bytes | None = None  # of a call with a key, see calls.dump_reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A transaction in which calls may be made."""

    id: str
    now: datetime  # the database's time when it was read, in whole milliseconds
    deadline: float  # on the monotonic clock
    bytes: int
    bytes_of_caller: int  # of all that he has open
    calls: tuple[Recorded, ...]


def begin(project_id: int, identity: str) -> tuple[str, datetime]:
    """(id, when it expires). Raises TooMany `too_many_transactions`."""
    sweep()
    row = db.fetch_one(
        "SELECT count(*), count(*) FILTER (WHERE identity = %s) FROM documents_transaction"
        " WHERE project_id = %s",
        (identity, project_id),
    )
    assert row is not None  # noqa: S101 - an aggregate has one row
    if row[0] >= MAX_OPEN_OF_PROJECT or row[1] >= MAX_OPEN_OF_CALLER:
        raise TooMany(
            "Too many transactions are open: end them by commit or rollback.",
            code="too_many_transactions",
            retry_after_s=LIFETIME_S,
        )
    id = ids.new_id()
    made = db.fetch_one(
        "INSERT INTO documents_transaction (id, project_id, identity, expires_at)"
        " VALUES (%s, %s, %s, now() + make_interval(secs => %s)) RETURNING expires_at",
        (id, project_id, identity, LIFETIME_S),
    )
    assert made is not None  # noqa: S101 - RETURNING of one row
    return id, made[0]


def get(id: str, project_id: int, identity: str) -> Open:
    """Raises NotFound `transaction_not_found`, also for those of others and expired ones."""
    row = db.fetch_one(
        "SELECT date_trunc('milliseconds', now()), extract(epoch FROM expires_at - now()), bytes,"
        " (SELECT sum(bytes) FROM documents_transaction AS o WHERE o.project_id = t.project_id"
        " AND o.identity = t.identity AND o.expires_at > now()) FROM documents_transaction AS t"
        " WHERE id = %s AND project_id = %s AND identity = %s AND expires_at > now()",
        (id, project_id, identity),
    )
    if row is None:
        raise not_found()
    rows = db.fetch_all(
        "SELECT request, body, now, seed, outcome, refused, idempotency_key, reply"
        " FROM documents_transactioncall WHERE transaction_id = %s ORDER BY number",
        (id,),
    )
    calls = [
        Recorded(
            call=Call.load(bytes(request), bytes(body), now, bytes(seed)),
            outcome=bytes(outcome),
            refused=refused,
            key=key,
            reply=None if reply is None else bytes(reply),
        )
        for request, body, now, seed, outcome, refused, key, reply in rows
    ]
    deadline = time.monotonic() + float(row[1])
    return Open(
        id=id,
        now=row[0],
        deadline=deadline,
        bytes=row[2],
        bytes_of_caller=int(row[3]),
        calls=tuple(calls),
    )


def append(open: Open, done: Recorded) -> None:
    """Keep a call that was just made. Raises NotFound when the time was over in the meantime."""
    kept = db.fetch_one(
        "WITH t AS (UPDATE documents_transaction SET calls = calls + 1, bytes = bytes + %(bytes)s"
        " WHERE id = %(id)s AND expires_at > now() RETURNING id, calls)"
        " INSERT INTO documents_transactioncall (transaction_id, number, request, body, now, seed,"
        " outcome, refused, idempotency_key, reply) SELECT id, calls, %(request)s, %(body)s,"
        " %(now)s, %(seed)s, %(outcome)s, %(refused)s, %(key)s, %(reply)s FROM t RETURNING number",
        {
            "id": open.id,
            "bytes": _size(done),
            "request": done.call.dump(),
            "body": done.call.body,
            "now": done.call.now,
            "seed": done.call.seed,
            "outcome": done.outcome,
            "refused": done.refused,
            "key": done.key,
            "reply": done.reply,
        },
    )
    if kept is None:
        raise not_found()


def require_room(open: Open, call: Call) -> None:
    """Raises TooLarge `transaction_too_large` when the call is one too many, or too long."""
    if len(open.calls) >= MAX_CALLS:
        raise TooLarge(
            f"A transaction has {MAX_CALLS} calls at most: commit it.",
            code="transaction_too_large",
        )
    if open.bytes + len(call.body) > MAX_BYTES:
        raise TooLarge(
            f"The calls of a transaction have {MAX_BYTES} bytes at most: commit it.",
            code="transaction_too_large",
        )
    if open.bytes_of_caller + len(call.body) > MAX_BYTES_OF_CALLER:
        raise TooLarge(
            f"Your open transactions have {MAX_BYTES_OF_CALLER} bytes together: commit some.",
            code="transaction_too_large",
        )


def _size(done: Recorded) -> int:
    return len(done.call.dump()) + len(done.call.body) + len(done.reply or b"")


def end(id: str) -> None:
    """Forget the transaction (within the current PostgreSQL transaction, when there is one)."""
    db.execute("DELETE FROM documents_transaction WHERE id = %s", (id,))


def sweep() -> int:
    """Forget those that have expired; returns how many."""
    return db.execute("DELETE FROM documents_transaction WHERE expires_at <= now()", ()).rowcount


def not_found() -> NotFound:
    return NotFound(
        f"There is no such transaction, or its {LIFETIME_S} seconds are over: begin another.",
        code="transaction_not_found",
    )
