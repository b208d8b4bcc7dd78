"""What becomes of a delivery after its run: pure, so that every path can be tested."""

import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from baas.kernel.events.event import rfc3339
from functions.calls import never_started
from functions.events.ledger import Settlement, Started
from functions.records import error_of
from functions.runtypes import RunResult

MAX_BACKOFF_S: Final = 3600.0
# A host that is down or full: look again soon, whatever the function's own back-off is.
NOT_STARTED_S: Final = 1.0


def backoff_s(base_s: float, attempt: int, spread: float) -> float:
    """Seconds until the next attempt after the `attempt`th failed: exponential with jitter.

    `spread` in [0, 1) is the dice: the wait is between half of the exponential value and all of
    it, so that failures of one moment do not come back in one moment.
    """
    # Beyond 2^30 the cap has long been reached; a larger power would overflow.
    ceiling = min(MAX_BACKOFF_S, base_s * 2.0 ** min(attempt - 1, 30))
    return float(ceiling * (0.5 + 0.5 * spread))


def settlement(
    delivery: Started, result: RunResult, *, now: datetime, payload: bytes
) -> Settlement:
    """The settlement of a run that ended."""
    if result.outcome == "ok":
        return Settlement(lease=delivery.lease, state="succeeded")
    error = {
        "attempt": delivery.attempt,
        "time": rfc3339(now),
        "outcome": result.outcome,
        **(error_of(result) or {"type": result.outcome, "message": ""}),
    }
    if never_started(result):
        wait_s = NOT_STARTED_S * (0.5 + random.random())  # noqa: S311 - spreads load
        return Settlement(lease=delivery.lease, state="pending", uncounted=1, due_in_s=wait_s)
    if delivery.attempt >= delivery.max_attempts:
        return buried(delivery, "attempts_exhausted", payload, error)
    wait_s = backoff_s(delivery.backoff_s, delivery.attempt, random.random())  # noqa: S311
    return Settlement(lease=delivery.lease, state="pending", due_in_s=wait_s, error=error)


def buried(
    delivery: Started,
    reason: str,
    payload: bytes | None,
    error: Mapping[str, Any] | None = None,
) -> Settlement:
    """The settlement of a delivery that will not be tried again by itself."""
    return Settlement(
        lease=delivery.lease,
        state="dead",
        reason=reason,
        error=error,
        payload=payload.decode() if payload is not None else None,
    )
