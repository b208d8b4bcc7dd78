"""Records of runs as people read them: runs and log lines, newest first, and their figures."""

from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import sql

from baas.kernel import db, ids
from baas.kernel.events.event import rfc3339
from baas.kernel.problems import FieldError, Invalid
from functions import invocations

LEVELS: Final = ("debug", "info", "warning", "error")


def lines(
    function_id: int,
    *,
    since: datetime | None,
    invocation_id: str | None,
    level: str | None,
    text: str | None,
    before: int | None,
    limit: int,
) -> tuple[list[dict[str, Any]], int | None]:
    """Log lines of a function, the newest first; and the line to go on before.

    `level` means that one and the graver ones. Raises Invalid for an unknown level.
    """
    conditions = [sql.SQL("function_id = %(function)s")]
    if since is not None:
        conditions.append(sql.SQL("time >= %(since)s"))
    if invocation_id is not None:
        conditions.append(sql.SQL("invocation_id = %(invocation)s"))
    if level is not None:
        if level not in LEVELS:
            raise Invalid(
                "`level` must be one of " + ", ".join(LEVELS) + ".",
                errors=[FieldError("level", "invalid", ", ".join(LEVELS))],
            )
        conditions.append(sql.SQL("level = ANY(%(levels)s)"))
    if text is not None:
        conditions.append(sql.SQL("strpos(lower(message), lower(%(text)s)) > 0"))
    if before is not None:
        conditions.append(sql.SQL("id < %(before)s"))
    query = sql.SQL(
        "SELECT id, time, level, message, invocation_id, version FROM functions_logline"
        " WHERE {} ORDER BY id DESC LIMIT %(limit)s"
    ).format(sql.SQL(" AND ").join(conditions))
    rows = db.fetch_all(
        query,
        {
            "function": function_id,
            "since": since,
            "invocation": invocation_id,
            "levels": list(LEVELS[LEVELS.index(level) :]) if level is not None else None,
            "text": text,
            "before": before,
            "limit": limit + 1,
        },
    )
    shown = [
        {
            "time": rfc3339(row[1]),
            "level": row[2],
            "message": row[3],
            "invocation_id": row[4],
            "version": row[5],
        }
        for row in rows[:limit]
    ]
    return shown, rows[limit - 1][0] if len(rows) > limit else None


_METRICS: Final = b"""
SELECT date_bin(make_interval(secs => %(step)s), started_at, %(from)s) AS began, count(*),
    count(*) FILTER (WHERE outcome <> 'ok'), count(*) FILTER (WHERE cold),
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_ms),
    sum(billed_ms), sum(billed_ms::float8 * memory_mb) / 1024000, max(max_memory_mb)
FROM functions_invocation
WHERE function_id = %(function)s AND id >= %(first)s AND id < %(last)s
    AND started_at >= %(from)s AND started_at < %(to)s
GROUP BY began ORDER BY began
"""
MAX_STEPS: Final = 1000
# A run begins at most so long after its id was made: deliveries wait for their retries.
_LATEST_START: Final = timedelta(days=7)


def metrics(
    function_id: int, *, start: datetime, end: datetime, step_s: int
) -> list[dict[str, Any]]:
    """Figures of a function's runs by the time when they began; steps without any are left out.

    Raises Invalid for a range that ends before it begins or has more than MAX_STEPS steps.
    """
    if not start < end or step_s < 1 or (end - start).total_seconds() / step_s > MAX_STEPS:
        raise Invalid(
            f"`from` must lie before `to`, at most {MAX_STEPS} times `step` (seconds) apart.",
            errors=[FieldError("step", "invalid", f"at most {MAX_STEPS} steps")],
        )
    rows = db.fetch_all(
        _METRICS,
        {
            "function": function_id,
            "from": start,
            "to": end,
            "step": step_s,
            "first": ids.first_of(int((start - _LATEST_START).timestamp() * 1000)),
            "last": ids.first_of(int(end.timestamp() * 1000)),
        },
    )
    return [
        {
            "time": rfc3339(row[0]),
            "calls": row[1],
            "errors": row[2],
            "cold_starts": row[3],
            "duration_ms": dict(zip(("p50", "p95", "p99"), row[4], strict=True)),
            "billed_ms": int(row[5]),
            "gb_seconds": row[6],
            "max_memory_mb": row[7],
        }
        for row in rows
    ]


def runs(
    function_id: int, *, before: list[Any] | None, limit: int
) -> tuple[list[dict[str, Any]], list[Any] | None]:
    """Runs of a function, one per attempt, the newest first."""
    condition = sql.SQL(
        "function_id = %(function)s AND (id, attempt) < (%(id)s, %(attempt)s)"
        if before
        else "function_id = %(function)s"
    )
    query = sql.SQL(
        "SELECT {}, id FROM functions_invocation WHERE {}"
        " ORDER BY id DESC, attempt DESC LIMIT %(limit)s"
    ).format(sql.SQL(invocations.RUN_COLUMNS), condition)
    rows = db.fetch_all(
        query,
        {
            "function": function_id,
            "id": before[0] if before else None,
            "attempt": before[1] if before else None,
            "limit": limit + 1,
        },
    )
    shown = [{"id": row[-1], **invocations.describe_run(row)} for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    return shown, [last[-1], last[12]] if last else None
