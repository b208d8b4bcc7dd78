"""A batch of leased deliveries: run side by side, settled as they end."""

import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Final

import psycopg
from django.conf import settings
from django.db import connection

from baas.kernel import context, db
from baas.kernel.problems import Problem
from functions import calls, configuration, records
from functions.configuration import VersionConfig
from functions.events import announcements, envelope, ledger, outcomes
from functions.events.ledger import Lease, Settlement, Started
from functions.events.turns import QUICK_S, Turn
from functions.runtypes import RunError, RunResult

logger = logging.getLogger(__name__)

# Runs of one batch at once: at first, and at most (a function's max_concurrency may be lower). More
# threads than the work needs only fight for the interpreter.
FIRST_WINDOW: Final = 4
MAX_WINDOW: Final = 16
WIDEN_S: Final = 0.005  # without an end for so long, more runs begin
# Runs that end close together are settled together.
SETTLE_EVERY_S: Final = 0.02
# How long a database that is gone is waited for before results are given up. Their leases are
# over by then, and the runs will be repeated.
SETTLE_PATIENCE_S: Final = 60.0
SETTLE_PAUSE_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A delivery that can run."""

    delivery: Started
    version: VersionConfig
    payload: bytes
    project_slug: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run that is over, not yet settled."""

    ready: Ready
    result: RunResult
    began: datetime


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings.WORKER_RUNS, thread_name_prefix="run")


def run_batch(leases: Sequence[Lease]) -> None:
    """Run what of the batch is still ours to run, and settle every delivery that ended.

    What is not settled because this process or the database went away comes back by its lease.
    """
    with Turn() as turn:
        ready, verdicts = _prepare(_start(leases))
        if verdicts:
            _settle_patiently(verdicts, [])
        _Batch(ready).run(turn)


class _Batch:
    """The runs of one batch: side by side, more of them at once the slower they are."""

    def __init__(self, ready: Sequence[Ready]) -> None:
        self._waiting = deque(ready)
        self._unsettled = {item.delivery.lease.id: item.delivery.lease for item in ready}
        self._limit = min([MAX_WINDOW, *(item.version.max_concurrency for item in ready)])
        self._window = min(FIRST_WINDOW, self._limit)
        self._running: set[Future[Ended]] = set()
        self._ended: list[Ended] = []

    def run(self, turn: Turn) -> None:
        """Run and settle all. Leases are renewed meanwhile, so they outlive every timeout."""
        renew_s = settings.DELIVERY_LEASE_S / 5
        renew_at = time.monotonic() + renew_s
        settle_at = 0.0
        self._submit()
        while self._running:
            may_widen = bool(self._waiting) and self._window < self._limit
            timeout_s = WIDEN_S if may_widen else min(renew_s, QUICK_S)
            if self._ended:
                timeout_s = min(timeout_s, SETTLE_EVERY_S)
            done, self._running = wait(self._running, timeout_s, return_when=FIRST_COMPLETED)
            if not done and may_widen:
                # They wait for something, or are many cores' work: more at once is faster.
                self._window = min(self._window * 2, self._limit)
            self._ended += [future.result() for future in done]
            self._submit()
            turn.make_room()
            now = time.monotonic()
            if self._ended and (now >= settle_at or not self._running):
                self._settle()
                settle_at = time.monotonic() + SETTLE_EVERY_S
            if now >= renew_at:
                _renew(list(self._unsettled.values()))
                renew_at = now + renew_s

    def _submit(self) -> None:
        while self._waiting and len(self._running) < self._window:
            self._running.add(_pool().submit(_run, self._waiting.popleft()))

    def _settle(self) -> None:
        ended, self._ended = self._ended, []
        _settle_runs(ended)
        for item in ended:
            del self._unsettled[item.ready.delivery.lease.id]


def _start(leases: Sequence[Lease]) -> list[Started]:
    """Start; on a new connection when this thread's has died since its last batch."""
    try:
        return ledger.start(leases, calls.MAX_DEPTH)
    except db.CONNECTION_ERRORS as error:
        connection.close()
        logger.warning("the database connection was lost: %s", error)
        # If the first try did commit, this one finds every lease used: they come back in time.
        return ledger.start(leases, calls.MAX_DEPTH)


def _prepare(started: Iterable[Started]) -> tuple[list[Ready], list[Settlement]]:
    """Sort a batch into what can run and what is dead."""
    ready: list[Ready] = []
    dead: list[Settlement] = []
    for delivery in started:
        payload = _payload(delivery)
        reason = _reason_not_to_run(delivery)
        if reason is None and payload is None:
            reason = "event_gone"
        if reason is None and payload is not None:
            try:
                version = _version(delivery)
            except Problem as problem:
                reason = problem.code
            else:
                ready.append(
                    Ready(
                        delivery=delivery,
                        version=version,
                        payload=payload,
                        project_slug=delivery.project_slug or "",
                    )
                )
        if reason is not None:
            dead.append(outcomes.buried(delivery, reason, payload))
    return ready, dead


def _payload(delivery: Started) -> bytes | None:
    if delivery.payload is not None:
        return delivery.payload.encode()
    if delivery.event is None or delivery.project_slug is None:
        return None
    return envelope.from_log(delivery.event, delivery.project_slug)


def _reason_not_to_run(delivery: Started) -> str | None:
    if delivery.project_slug is None:
        return "project_gone"
    if delivery.depth > calls.MAX_DEPTH:
        return "depth_exceeded"
    if delivery.expired:
        return "max_age_exceeded"
    return None if delivery.may_run else "attempts_exhausted"


def _version(delivery: Started) -> VersionConfig:
    function = configuration.function(delivery.project_id, delivery.function)
    # A function that was deleted and made anew is another one.
    number = delivery.version
    if function.id != delivery.function_id:
        return configuration.version(delivery.project_id, delivery.function_id, number or 0)
    return configuration.choose(delivery.project_id, function, alias=delivery.alias, number=number)


def _run(ready: Ready) -> Ended:
    delivery = ready.delivery
    began = datetime.now(UTC)
    if delivery.is_call:
        as_service = ready.version.acts_as == "service" or delivery.bypasses_rules
    else:
        # An event has no caller: unless the function insists on one, it is the service.
        as_service = ready.version.acts_as != "caller"
    call = calls.Call(
        invocation_id=delivery.lease.id,
        project_id=delivery.project_id,
        project_slug=ready.project_slug,
        version=ready.version,
        event=ready.payload,
        auth=delivery.caller,
        acts_as_service=as_service,
        depth=delivery.depth,
        traceparent=delivery.traceparent,
        attempt=delivery.attempt,
    )
    try:
        result = calls.run(call)
    except Exception as error:
        # A fault of ours: it must not take the other runs of the batch along.
        logger.exception("run %s failed in the worker", delivery.lease.id)
        result = RunResult(
            outcome="unavailable", error=RunError(type="ConnectionLost", message=repr(error))
        )
    return Ended(ready=ready, result=result, began=began)


def _settle_runs(ended: Sequence[Ended]) -> None:
    """Settle; a run whose words the database cannot hold is settled without them."""
    now = datetime.now(UTC)
    settlements = [
        outcomes.settlement(item.ready.delivery, item.result, now=now, payload=item.ready.payload)
        for item in ended
    ]
    try:
        _settle_patiently(settlements, ended)
    except psycopg.DataError as error:
        if len(ended) > 1:
            for item in ended:
                _settle_runs([item])
            return
        logger.exception("run %s cannot be recorded", settlements[0].lease.id)
        if ended[0].result.error is not None and ended[0].result.error.type == "Unrecordable":
            raise
        nothing = RunResult(
            outcome="invalid_response",
            error=RunError(type="Unrecordable", message=type(error).__name__),
        )
        _settle_runs([replace(ended[0], result=nothing)])


def _settle_patiently(settlements: Sequence[Settlement], ended: Sequence[Ended]) -> None:
    """Settle; when the database went away, wait for it. A settlement done twice is done once."""
    deadline = time.monotonic() + SETTLE_PATIENCE_S
    while True:
        try:
            _settle(settlements, ended)
            return
        except db.CONNECTION_ERRORS as error:
            connection.close()
            if time.monotonic() > deadline:
                raise
            logger.warning("settling waits for the database: %s", error)
            time.sleep(SETTLE_PAUSE_S)


def _settle(settlements: Sequence[Settlement], ended: Sequence[Ended]) -> None:
    # What never started is no run: it is settled, not recorded.
    runs = [_record(item) for item in ended if not calls.never_started(item.result)]
    announced = announcements.wanted(runs, {item.lease.id: item.state for item in settlements})
    if announced:
        announcements.with_events(lambda: ledger.settle(settlements, runs), announced)
    else:
        ledger.settle(settlements, runs)
    for run in runs:
        records.observe(run.result)


def _record(item: Ended) -> records.Run:
    delivery, version = item.ready.delivery, item.ready.version
    return records.Run(
        invocation_id=delivery.lease.id,
        attempt=delivery.attempt,
        project_id=delivery.project_id,
        function_id=delivery.function_id,
        function=delivery.function,
        version=version.number,
        origin=delivery.origin,
        memory_mb=version.memory_mb,
        created_at=delivery.created_at,
        started_at=item.began,
        trace_id=context.trace_id(delivery.traceparent),
        depth=delivery.depth,
        traceparent=delivery.traceparent,
        project_slug=item.ready.project_slug,
        result=item.result,
        keeps_result=delivery.is_call,
    )


def _renew(leases: Sequence[Lease]) -> None:
    try:
        ledger.renew(leases)
    except db.CONNECTION_ERRORS as error:
        connection.close()
        logger.warning("leases not renewed, their runs may be repeated: %s", error)
