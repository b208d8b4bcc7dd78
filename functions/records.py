"""What is kept of every run: one row per attempt, its log lines, its place in the metrics."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from baas.kernel import db
from baas.kernel.metrics import Counter, Histogram
from functions.runtypes import RunResult

RUNS: Final = Counter(
    "baas_function_invocations_total", "Runs of functions that ended.", ["outcome", "start"]
)
SECONDS: Final = Histogram(
    "baas_function_duration_seconds",
    "Time that the handler took.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that ended, with what identifies it."""

    invocation_id: str
    attempt: int
    project_id: int
    function_id: int
    function: str
    version: int
    origin: str  # trigger:{name}, or the caller's identity
    memory_mb: int  # the limit
    created_at: datetime
    started_at: datetime
    trace_id: str
    result: RunResult
    # Of the event that may tell of it.
    project_slug: str
    depth: int
    traceparent: str
    keeps_result: bool = False  # asynchronous calls: their callers come back for it


_RECORDSET: Final = (
    "json_to_recordset(%(runs)s::json) AS r(id text, attempt smallint, project_id bigint,"
    " function_id bigint, function text, version int, origin text, outcome text, result text,"
    " error jsonb, created_at timestamptz, started_at timestamptz, duration_ms float8,"
    " billed_ms int, memory_mb int, max_memory_mb float8, cold bool, trace_id text)"
)
_LOGSET: Final = (
    "json_to_recordset(%(logs)s::json) AS l(id text, time timestamptz, level text, message text)"
)
_COLUMNS: Final = (
    "id, attempt, project_id, function_id, function, version, origin, outcome, result, error,"
    " created_at, started_at, duration_ms, billed_ms, memory_mb, max_memory_mb, cold, trace_id"
)

# The two data-modifying parts, for statements that settle deliveries in the same round trip.
# A run that was recorded before (a redrive starts counting attempts anew) is recorded again.
INSERT_RUNS: Final = (
    f"INSERT INTO functions_invocation ({_COLUMNS}) SELECT {_COLUMNS} FROM {_RECORDSET}"  # noqa: S608
    "{tail} ON CONFLICT (id, attempt) DO UPDATE SET version = excluded.version,"
    " outcome = excluded.outcome, result = excluded.result, error = excluded.error,"
    " started_at = excluded.started_at, duration_ms = excluded.duration_ms,"
    " billed_ms = functions_invocation.billed_ms + excluded.billed_ms,"
    " max_memory_mb = excluded.max_memory_mb, cold = excluded.cold"
)
INSERT_LOGS: Final = (
    "INSERT INTO functions_logline (project_id, function_id, version, invocation_id, time, level,"  # noqa: S608
    " message) SELECT r.project_id, r.function_id, r.version, r.id, l.time, l.level, l.message"
    f" FROM {_LOGSET} JOIN {_RECORDSET} ON r.id = l.id"
    "{tail}"
)
# The record of a synchronous call must not cost its caller a disk flush. What this risks is the
# records of the last moments before the database server itself crashes, never consistency.
_RECORD: Final = (
    "WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),"
    " runs AS (" + INSERT_RUNS.format(tail=", quick") + "),"
    " logs AS (" + INSERT_LOGS.format(tail="") + ")"
    " SELECT 1"
)


def record(run: Run) -> None:
    """Keep one run and its log lines, in one round trip."""
    db.execute(_RECORD.encode(), params([run]))
    observe(run.result)


def observe(result: RunResult) -> None:
    """Count a run in the metrics."""
    RUNS.labels(result.outcome, "cold" if result.cold else "warm").inc()
    SECONDS.observe(result.duration_ms / 1000)


def params(runs: Iterable[Run]) -> dict[str, str]:
    """The parameters that INSERT_RUNS and INSERT_LOGS read."""
    rows: list[dict[str, Any]] = []
    logs: list[dict[str, Any]] = []
    for run in runs:
        result = run.result
        kept = result.result if run.keeps_result else None
        rows.append(
            {
                "id": run.invocation_id,
                "attempt": run.attempt,
                "project_id": run.project_id,
                "function_id": run.function_id,
                "function": run.function,
                "version": run.version,
                "origin": run.origin,
                "outcome": result.outcome,
                "result": kept.decode() if kept else None,
                "error": error_of(result),
                "created_at": run.created_at,
                "started_at": run.started_at,
                "duration_ms": round(result.duration_ms, 3),
                "billed_ms": result.billed_ms,
                "memory_mb": run.memory_mb,
                "max_memory_mb": result.max_memory_mb,
                "cold": result.cold,
                "trace_id": run.trace_id,
            }
        )
        logs += [
            {
                "id": run.invocation_id,
                "time": line.time,
                "level": line.level,
                "message": clean(line.message),
            }
            for line in result.logs
        ]
    return {"runs": orjson.dumps(rows).decode(), "logs": orjson.dumps(logs).decode()}


def error_of(result: RunResult) -> dict[str, str] | None:
    """The error as callers and records see it."""
    if result.error is None:
        return None
    return {"type": clean(result.error.type), "message": clean(result.error.message)}


def clean(text: str) -> str:
    """Text that PostgreSQL can hold: no NUL, no lone surrogates."""
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
