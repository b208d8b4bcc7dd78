from datetime import UTC, datetime
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from functions.events.ledger import Lease, Started
from functions.events.outcomes import MAX_BACKOFF_S, backoff_s, settlement
from functions.runtypes import Outcome, RunError, RunResult

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def started(**change: Any) -> Started:
    given_: dict[str, Any] = {
        "lease": Lease("d", 1),
        "project_id": 1,
        "project_slug": "p",
        "function_id": 1,
        "function": "f",
        "alias": "live",
        "version": None,
        "origin": "trigger:t",
        "is_call": False,
        "caller": None,
        "bypasses_rules": False,
        "depth": 1,
        "traceparent": "",
        "attempt": 1,
        "max_attempts": 5,
        "backoff_s": 1.0,
        "expired": False,
        "may_run": True,
        "created_at": NOW,
        "payload": None,
        "event": None,
        **change,
    }
    return Started(**given_)


@given(
    base=st.floats(0, 3600),
    attempt=st.integers(1, 10_000),
    spread=st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_bounded_and_never_shorter_than_half(
    base: float, attempt: int, spread: float
) -> None:
    wait = backoff_s(base, attempt, spread)
    ceiling = min(MAX_BACKOFF_S, base * 2 ** min(attempt - 1, 30))
    assert ceiling / 2 <= wait <= ceiling


def test_waits_double_until_the_cap() -> None:
    waits = [backoff_s(1, attempt, 0.999999) for attempt in (1, 2, 3, 4, 20)]
    assert [round(wait) for wait in waits] == [1, 2, 4, 8, 3600]


outcomes = st.sampled_from(get_args(Outcome))


@given(
    outcome=outcomes,
    kind=st.sampled_from(["ConnectionLost", "HostUnavailable", "ValueError"]),
    max_attempts=st.integers(1, 100),
    data=st.data(),
)
def test_every_end_of_a_run_keeps_the_promises(
    outcome: Any, kind: str, max_attempts: int, data: st.DataObject
) -> None:
    attempt = data.draw(st.integers(1, max_attempts))
    delivery = started(attempt=attempt, max_attempts=max_attempts)
    error = None if outcome == "ok" else RunError(type=kind, message="m")
    result = RunResult(outcome=outcome, error=error)
    found = settlement(delivery, result, now=NOW, payload=b"{}")
    assert found.lease == delivery.lease
    surely_not_started = outcome == "throttled" or (
        outcome == "unavailable" and kind != "ConnectionLost"
    )
    if outcome == "ok":
        assert found.state == "succeeded"
    elif surely_not_started:
        # Neither a start nor an error of the function; back soon.
        assert (found.state, found.uncounted, found.error) == ("pending", 1, None)
        assert 0 < found.due_in_s < 2
    else:
        assert found.uncounted == 0
        assert found.error is not None
        assert found.error["attempt"] == attempt
        # Dead when, and only when, the budget is spent; with the event, for the redrive.
        assert (found.state == "dead") is (attempt == max_attempts)
        if found.state == "dead":
            assert (found.reason, found.payload) == ("attempts_exhausted", "{}")
        else:
            assert found.due_in_s >= 0.5
