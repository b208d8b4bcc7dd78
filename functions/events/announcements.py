"""`baas.function.succeeded` and `.failed`: told when somebody in the project listens.

A run announces its end once it is final: a failed attempt that will be repeated is none. The event
has the run's depth, so that functions which start one another end at the cap.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson
from django.db import transaction

from baas.kernel import context, db
from baas.kernel.config_cache import ConfigCache
from baas.kernel.events import Event, emit
from functions.events.matching import hears_functions
from functions.records import Run, error_of

MAX_RESULT: Final = 64 * 1024  # bytes of a result that travel in the event


def _load(project_id: int, _key: object) -> bool:
    rows = db.fetch_all(
        "SELECT source::text FROM functions_trigger WHERE project_id = %s", (project_id,)
    )
    return any(hears_functions(orjson.loads(row[0])) for row in rows)


_heard = ConfigCache("function-listeners", _load)


def wanted(runs: Sequence[Run], states: Mapping[str, str]) -> list[Run]:
    """Those of the runs that are final and that a trigger may want to hear of."""
    return [
        run
        for run in runs
        if states.get(run.invocation_id) != "pending" and _heard.get(run.project_id, "any")
    ]


def with_events(write: Callable[[], set[str]], runs: Sequence[Run]) -> None:
    """Run `write`, which returns the ids that it wrote, and announce these in its transaction."""
    with transaction.atomic():
        written = write()
        for run in runs:
            if run.invocation_id in written:
                with context.use(context.Context(depth=run.depth, traceparent=run.traceparent)):
                    emit(_event(run))


def _event(run: Run) -> Event:
    succeeded = run.result.outcome == "ok"
    told: dict[str, Any] = {
        "id": run.invocation_id,
        "function": run.function,
        "version": run.version,
        "attempt": run.attempt,
        "outcome": run.result.outcome,
        "duration_ms": run.result.duration_ms,
    }
    result = run.result.result
    if succeeded and result is not None and len(result) <= MAX_RESULT and b"\\u0000" not in result:
        told["result"] = orjson.Fragment(result)
    if (error := error_of(run.result)) is not None:
        told["error"] = error
    return Event(
        type="baas.function.succeeded" if succeeded else "baas.function.failed",
        project_id=run.project_id,
        source=f"/projects/{run.project_slug}/functions/{run.function}",
        subject=f"{run.function}/{run.invocation_id}",
        data=orjson.dumps({"object": told}),
    )
