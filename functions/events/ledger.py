"""The ledger of deliveries: every statement that moves one from state to state.

    pending ──lease──▶ running ──settle──▶ succeeded | dead
       ▲                  │
       └── retry, release, lost lease

A lease is (id, epoch). Whoever holds the current epoch may start the run (once) and settle it;
everybody else's statements match no row. Work that a broker or a worker lost comes back when its
lease is over.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple

import orjson
from django.conf import settings

from baas.kernel import db, ids
from baas.kernel.events import after_commit
from functions import records

CALL_ATTEMPTS: Final = 3  # of asynchronous calls
CALL_BACKOFF_S: Final = 1.0
CALL_MAX_AGE_S: Final = 6 * 3600
KEPT_ERRORS: Final = 10


class Lease(NamedTuple):
    """The right to run a delivery once."""

    id: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A delivery that was leased: enough to send it to a worker."""

    lease: Lease
    function_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A delivery whose run begins, or which may not run any more (`may_run`)."""

    lease: Lease
    project_id: int
    project_slug: str | None  # None: the project is gone
    function_id: int
    function: str
    alias: str
    version: int | None
    origin: str
    is_call: bool  # asynchronous call, not an event
    caller: dict[str, Any] | None
    bypasses_rules: bool
    depth: int
    traceparent: str
    attempt: int
    max_attempts: int
    backoff_s: float
    expired: bool
    may_run: bool  # neither too old nor out of attempts
    created_at: datetime
    payload: str | None  # None while the log has it
    event: db.Row | None  # of the log; see `EVENT_COLUMNS`


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What becomes of a run that ended."""

    lease: Lease
    state: str  # succeeded, dead, or pending again
    due_in_s: float = 0.0
    uncounted: int = 0  # 1 when it did not start after all
    reason: str | None = None
    error: Mapping[str, Any] | None = None
    payload: str | None = None  # kept of dead events


ACCEPT_CALL: Final = b"""
WITH accepted AS (
    INSERT INTO functions_delivery (id, project_id, function_id, function, alias, version, origin,
        payload, caller, bypasses_rules, depth, traceparent, state, max_attempts, backoff_s,
        max_age_s, expires_at)
    VALUES (%(id)s, %(project_id)s, %(function_id)s, %(function)s, %(alias)s, %(version)s,
        %(origin)s, %(payload)s, %(caller)s::jsonb, %(bypasses_rules)s, %(depth)s, %(traceparent)s,
        'pending', %(max_attempts)s, %(backoff_s)s, %(max_age_s)s,
        now() + make_interval(secs => %(max_age_s)s))
)
INSERT INTO functions_tally (name, delta) VALUES ('accepted', 1)
"""


def accept_call(
    *,
    project_id: int,
    function_id: int,
    function: str,
    alias: str,
    version: int | None,
    origin: str,
    payload: bytes,
    caller: Mapping[str, Any] | None,
    bypasses_rules: bool,
    depth: int,
    traceparent: str,
) -> str:
    """Take an asynchronous call; durable when the transaction is. Returns its id."""
    invocation_id = ids.new_id()
    db.execute(
        ACCEPT_CALL,
        {
            "id": invocation_id,
            "project_id": project_id,
            "function_id": function_id,
            "function": function,
            "alias": alias,
            "version": version,
            "origin": origin,
            "payload": payload.decode(),
            "caller": orjson.dumps(caller).decode() if caller is not None else None,
            "bypasses_rules": bypasses_rules,
            "depth": depth,
            "traceparent": traceparent,
            "max_attempts": CALL_ATTEMPTS,
            "backoff_s": CALL_BACKOFF_S,
            "max_age_s": CALL_MAX_AGE_S,
        },
    )
    after_commit()
    return invocation_id


# A pair (event, trigger) is accepted once, whatever happens to the reader's position.
ACCEPT_EVENTS: Final = b"""
WITH accepted AS (
    INSERT INTO functions_delivery (id, project_id, function_id, function, alias, origin,
        trigger_id, event_seq, event_time, event_type, subject, depth, traceparent, state,
        max_attempts, backoff_s, max_age_s, expires_at)
    SELECT id, project_id, function_id, function, alias, origin, trigger_id, event_seq, event_time,
        event_type, subject, depth, traceparent, 'pending', max_attempts, backoff_s, max_age_s,
        now() + make_interval(secs => max_age_s)
    FROM json_to_recordset(%(rows)s::json) AS r(id text, project_id bigint, function_id bigint,
        function text, alias text, origin text, trigger_id bigint, event_seq bigint,
        event_time timestamptz, event_type text, subject text, depth smallint, traceparent text,
        max_attempts smallint, backoff_s float8, max_age_s int)
    ON CONFLICT (event_seq, trigger_id) WHERE trigger_id IS NOT NULL DO NOTHING
    RETURNING 1
), tallied AS (
    INSERT INTO functions_tally (name, delta) SELECT 'accepted', count(*) FROM accepted
)
SELECT count(*) FROM accepted
"""


def accept_events(rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert deliveries of events, in the caller's transaction; returns how many were new."""
    row = db.fetch_one(ACCEPT_EVENTS, {"rows": orjson.dumps(rows).decode()})
    return int(row[0]) if row else 0


# Round robin: the projects that have something waiting are found by one index probe each and share
# the room equally, none beyond its own cap. At a cap nothing is leased until a quarter of it is
# free: many small batches cost more than a few large ones.
LEASE: Final = b"""
WITH RECURSIVE waiting(project_id) AS (
    SELECT min(project_id) FROM functions_delivery WHERE state = 'pending'
    UNION ALL
    SELECT (SELECT min(d.project_id) FROM functions_delivery d
            WHERE d.state = 'pending' AND d.project_id > waiting.project_id)
    FROM waiting WHERE waiting.project_id IS NOT NULL
), running AS (
    SELECT project_id, count(*) AS taken FROM functions_delivery
    WHERE state = 'running' GROUP BY project_id
), room AS (
    SELECT w.project_id,
        CASE WHEN coalesce(r.taken, 0) > %(per_project)s * 3 / 4
            OR (SELECT coalesce(sum(taken), 0) FROM running) > %(total)s * 3 / 4 THEN 0
        ELSE least(
            %(per_project)s - coalesce(r.taken, 0),
            ceil((%(total)s - (SELECT coalesce(sum(taken), 0) FROM running))
                 / (count(*) OVER ())::numeric)
        ) END::bigint AS free
    FROM waiting w LEFT JOIN running r USING (project_id)
    WHERE w.project_id IS NOT NULL
), due AS (
    SELECT picked.id FROM room, LATERAL (
        SELECT d.id FROM functions_delivery d
        WHERE d.state = 'pending' AND d.project_id = room.project_id AND d.due_at <= now()
        ORDER BY d.due_at LIMIT greatest(room.free, 0) FOR UPDATE SKIP LOCKED
    ) picked
)
UPDATE functions_delivery d
SET state = 'running', epoch = d.epoch + 1,
    lease_until = now() + make_interval(secs => %(lease_s)s)
FROM due WHERE d.id = due.id AND d.state = 'pending'
RETURNING d.id, d.epoch, d.function_id
"""


def lease(*, total: int, per_project: int) -> list[Leased]:
    """Take what is due, fairly across projects; at most `total` are leased at any time."""
    rows = db.fetch_all(
        LEASE, {"total": total, "per_project": per_project, "lease_s": settings.DELIVERY_LEASE_S}
    )
    return [Leased(lease=Lease(row[0], row[1]), function_id=row[2]) for row in rows]


# A lease that is over: its message was lost (then nothing had started), or its worker was.
RECLAIM: Final = b"""
UPDATE functions_delivery SET state = 'pending', due_at = now(), lease_until = NULL,
    errors = CASE WHEN started_epoch < epoch THEN errors ELSE
        jsonb_path_query_array(coalesce(errors, '[]') || jsonb_build_object('attempt', attempts,
            'type', 'WorkerLost', 'message', 'the worker ended while the function ran',
            'time', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')),
            '$[last - 9 to last]') END
WHERE id IN (
    SELECT id FROM functions_delivery WHERE state = 'running' AND lease_until < now()
    ORDER BY lease_until LIMIT 1000 FOR UPDATE SKIP LOCKED
)
"""


def reclaim() -> int:
    """Put back what is leased by nobody any more; returns how many."""
    return db.execute(RECLAIM).rowcount


RELEASE: Final = b"""
UPDATE functions_delivery d
SET state = 'pending', lease_until = NULL, due_at = now() + make_interval(secs => %(delay_s)s)
FROM unnest(%(ids)s::text[], %(epochs)s::int[]) AS l(id, epoch)
WHERE d.id = l.id AND d.epoch = l.epoch AND d.state = 'running' AND d.started_epoch < d.epoch
"""


def release(leases: Sequence[Lease], delay_s: float) -> None:
    """Give leases back that were not started (the broker is down)."""
    db.execute(RELEASE, {**_arrays(leases), "delay_s": delay_s})


RENEW: Final = b"""
UPDATE functions_delivery d SET lease_until = now() + make_interval(secs => %(lease_s)s)
FROM unnest(%(ids)s::text[], %(epochs)s::int[]) AS l(id, epoch)
WHERE d.id = l.id AND d.epoch = l.epoch AND d.state = 'running'
"""


def renew(leases: Sequence[Lease]) -> None:
    """Keep leases whose runs go on."""
    db.execute(RENEW, {**_arrays(leases), "lease_s": settings.DELIVERY_LEASE_S})


EVENT_COLUMNS: Final[LiteralString] = (
    "e.xid::text::bigint, e.seq, e.project_id, e.type, e.source, e.subject, e.time, e.data::text,"
    " e.depth, e.traceparent, e.partition_key, e.ce_id, e.extensions::text"
)
# An attempt counts from here on. A message that the broker delivers twice finds the epoch started.
START: Final = f"""
WITH started AS (
    UPDATE functions_delivery d
    SET started_epoch = d.epoch,
        attempts = d.attempts
            + (d.attempts < d.max_attempts AND d.expires_at > now() AND d.depth <= %(max_depth)s
              )::int::smallint,
        lease_until = now() + make_interval(secs => %(lease_s)s)
    FROM unnest(%(ids)s::text[], %(epochs)s::int[]) AS l(id, epoch), functions_delivery before
    WHERE d.id = l.id AND d.epoch = l.epoch AND d.state = 'running' AND d.started_epoch < d.epoch
        AND before.id = d.id
    RETURNING d.*, before.attempts < d.attempts AS may_run
)
SELECT s.id, s.epoch, s.project_id, p.slug, s.function_id, s.function, s.alias, s.version,
    s.origin, s.trigger_id IS NULL, s.caller::text, s.bypasses_rules, s.depth, s.traceparent,
    s.attempts, s.max_attempts, s.backoff_s, s.expires_at <= now(), s.may_run, s.created_at,
    s.payload, {EVENT_COLUMNS}
FROM started s
LEFT JOIN kernel_project p ON p.id = s.project_id
LEFT JOIN kernel_event e
    ON e.project_id = s.project_id AND e.seq = s.event_seq AND e.time = s.event_time
""".encode()  # noqa: S608 - constants
_FIRST_OF_EVENT: Final = 21


def start(leases: Sequence[Lease], max_depth: int) -> list[Started]:
    """Begin the runs of those leases that are still current and have not begun."""
    rows = db.fetch_all(
        START, {**_arrays(leases), "lease_s": settings.DELIVERY_LEASE_S, "max_depth": max_depth}
    )
    return [
        Started(
            lease=Lease(row[0], row[1]),
            project_id=row[2],
            project_slug=row[3],
            function_id=row[4],
            function=row[5],
            alias=row[6],
            version=row[7],
            origin=row[8],
            is_call=row[9],
            caller=orjson.loads(row[10]) if row[10] is not None else None,
            bypasses_rules=row[11],
            depth=row[12],
            traceparent=row[13],
            attempt=row[14],
            max_attempts=row[15],
            backoff_s=row[16],
            expired=row[17],
            may_run=row[18],
            created_at=row[19],
            payload=row[20],
            event=row[_FIRST_OF_EVENT:] if row[_FIRST_OF_EVENT] is not None else None,
        )
        for row in rows
    ]


# Settling, recording the runs, their logs and the count are one statement: all or nothing.
_INSERT_RUNS: Final = records.INSERT_RUNS.format(tail=" JOIN settled USING (id)")
_INSERT_LOGS: Final = records.INSERT_LOGS.format(tail=" WHERE r.id IN (SELECT id FROM settled)")
SETTLE: Final = f"""
WITH settled AS (
    UPDATE functions_delivery d SET state = s.state, lease_until = NULL,
        due_at = now() + make_interval(secs => s.due_in_s),
        attempts = d.attempts - s.uncounted, reason = s.reason,
        payload = CASE s.state WHEN 'succeeded' THEN NULL ELSE coalesce(d.payload, s.payload) END,
        errors = CASE WHEN s.error IS NULL THEN d.errors ELSE jsonb_path_query_array(
            coalesce(d.errors, '[]') || s.error, '$[last - 9 to last]') END,
        settled_at = CASE WHEN s.state = 'pending' THEN NULL ELSE now() END
    FROM json_to_recordset(%(settlements)s::json) AS s(id text, epoch int, state text,
        due_in_s float8, uncounted smallint, reason text, error jsonb, payload text)
    WHERE d.id = s.id AND d.epoch = s.epoch AND d.state = 'running'
    RETURNING d.id, d.state
), runs AS (
    {_INSERT_RUNS}
), logs AS (
    {_INSERT_LOGS}
), tallied AS (
    INSERT INTO functions_tally (name, delta)
    SELECT 'succeeded', count(*) FROM settled WHERE state = 'succeeded' HAVING count(*) > 0
)
SELECT id FROM settled
""".encode()  # noqa: S608 - constants


def settle(settlements: Sequence[Settlement], runs: Iterable[records.Run]) -> set[str]:
    """Settle runs and record them; returns the ids of those whose lease was still current."""
    rows = [
        {
            "id": item.lease.id,
            "epoch": item.lease.epoch,
            "state": item.state,
            "due_in_s": item.due_in_s,
            "uncounted": item.uncounted,
            "reason": item.reason,
            "error": item.error,
            "payload": item.payload,
        }
        for item in settlements
    ]
    parameters = {"settlements": orjson.dumps(rows).decode(), **records.params(runs)}
    return {row[0] for row in db.fetch_all(SETTLE, parameters)}


def in_flight() -> int:
    """How many deliveries are leased."""
    row = db.fetch_one(b"SELECT count(*) FROM functions_delivery WHERE state = 'running'")
    return int(row[0]) if row else 0


def _arrays(leases: Sequence[Lease]) -> dict[str, Any]:
    return {"ids": [item.id for item in leases], "epochs": [item.epoch for item in leases]}
