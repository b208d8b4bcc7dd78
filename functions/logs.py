"""Records of runs as people read them: invocations and log lines, newest first."""

from datetime import datetime
from typing import Any, Final

from psycopg import sql

from baas.kernel import db
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
