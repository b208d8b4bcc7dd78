"""Deliveries as people see them: listed, redriven, purged."""

from collections.abc import Sequence
from typing import Any, Final, LiteralString

import orjson
from psycopg import sql

from baas.kernel import context, db
from baas.kernel.events import after_commit
from baas.kernel.events.event import rfc3339
from functions.events import envelope, ledger

STATES: Final = ("pending", "running", "succeeded", "dead")
MAX_AT_ONCE: Final = 10_000  # deliveries that one call redrives or purges

_COLUMNS: Final[LiteralString] = (
    "d.id, d.function, d.origin, d.event_type, d.subject, d.state, d.reason, d.attempts,"
    " d.max_attempts, d.errors::text, d.depth, d.traceparent, d.created_at, d.due_at,"
    " d.settled_at, d.payload, "
)


def find(
    project_id: int,
    project_slug: str,
    *,
    state: str | None,
    function: str | None,
    before: str | None,
    limit: int,
) -> list[dict[str, Any]]:
    """The newest deliveries first, those older than the id `before`."""
    conditions: list[sql.Composable] = [sql.SQL("d.project_id = %(project)s")]
    if state is not None:
        # A literal: only then does the planner know that the partial index covers it.
        conditions.append(sql.SQL("d.state = {}").format(sql.Literal(state)))
    if function is not None:
        conditions.append(sql.SQL("d.function = %(function)s"))
    if before is not None:
        conditions.append(sql.SQL("d.id < %(before)s"))
    query = sql.SQL(
        "SELECT {columns} FROM functions_delivery d LEFT JOIN kernel_event e"
        " ON e.project_id = d.project_id AND e.seq = d.event_seq AND e.time = d.event_time"
        " WHERE {conditions} ORDER BY d.id DESC LIMIT %(limit)s"
    ).format(
        columns=sql.SQL(_COLUMNS + ledger.EVENT_COLUMNS),
        conditions=sql.SQL(" AND ").join(conditions),
    )
    rows = db.fetch_all(
        query, {"project": project_id, "function": function, "before": before, "limit": limit}
    )
    return [_describe(row, project_slug) for row in rows]


def _describe(row: db.Row, project_slug: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": row[0],
        "function": row[1],
        "trigger": row[2].removeprefix("trigger:") if row[2].startswith("trigger:") else None,
        "state": row[5],
        "reason": row[6],
        "attempts": row[7],
        "max_attempts": row[8],
        "errors": orjson.Fragment(row[9] or b"[]"),
        "depth": row[10],
        "trace_id": context.trace_id(row[11]),
        "created_at": rfc3339(row[12]),
        "due_at": rfc3339(row[13]) if row[5] == "pending" else None,
        "settled_at": rfc3339(row[14]) if row[14] else None,
    }
    if shown["trigger"] is None:
        if row[15] is not None:
            shown["input"] = orjson.Fragment(row[15])
    elif row[15] is not None:
        shown["event"] = orjson.Fragment(row[15])
    elif row[16] is not None:
        shown["event"] = orjson.Fragment(envelope.from_log(row[16:], project_slug))
    else:
        # Succeeded, and the log has dropped the event by its age.
        shown["event"] = {"type": row[3], "subject": row[4]}
    return shown


_SELECTED: Final = (
    "SELECT id FROM functions_delivery WHERE project_id = %(project)s AND state = 'dead'"
    " AND (%(ids)s::text[] IS NULL OR id = ANY(%(ids)s)) AND (%(function)s::text IS NULL"
    " OR function = %(function)s) ORDER BY id LIMIT %(limit)s FOR UPDATE"
)
_REDRIVE: Final = (
    "UPDATE functions_delivery d SET state = 'pending', due_at = now(), attempts = 0,"  # noqa: S608
    " reason = NULL, settled_at = NULL, expires_at = now() + make_interval(secs => d.max_age_s)"
    f" WHERE d.id IN ({_SELECTED})"
).encode()
_PURGE: Final = (
    f"WITH purged AS (DELETE FROM functions_delivery WHERE id IN ({_SELECTED}) RETURNING 1),"  # noqa: S608
    " tallied AS (INSERT INTO functions_tally (name, delta)"
    " SELECT 'discarded', count(*) FROM purged HAVING count(*) > 0)"
    " SELECT count(*) FROM purged"
).encode()


def redrive(project_id: int, *, ids: Sequence[str] | None, function: str | None) -> int:
    """Give dead deliveries a new budget of attempts and time; returns how many.

    Those that are not dead are left alone: a succeeded pair is not run again.
    """
    count = db.execute(_REDRIVE, _selection(project_id, ids, function)).rowcount
    if count:
        after_commit()
    return count


def purge(project_id: int, *, ids: Sequence[str] | None, function: str | None) -> int:
    """Remove dead deliveries for good; returns how many."""
    row = db.fetch_one(_PURGE, _selection(project_id, ids, function))
    return int(row[0]) if row else 0


def _selection(
    project_id: int, ids: Sequence[str] | None, function: str | None
) -> dict[str, object]:
    return {
        "project": project_id,
        "ids": list(ids) if ids is not None else None,
        "function": function,
        "limit": MAX_AT_ONCE,
    }
