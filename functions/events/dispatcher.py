"""The dispatcher: turns the log into deliveries, and due deliveries into batches for the workers.

Any number of dispatchers may run. One of them reads the log at a time (whoever holds the reader's
row); all of them lease.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from auth.rules import RuleError
from baas.kernel import db, ids
from baas.kernel.events import Position, StoredEvent, log
from baas.kernel.events.wake import POLL_S, SECOND_LOOK_S, Waiter, gather_s
from functions.events import housekeeping, ledger, transport
from functions.events.ledger import Lease, Leased
from functions.events.matching import Matcher, TriggerSpec, compile_matcher

logger = logging.getLogger(__name__)

READER: Final = "dispatcher"
READ_BATCH: Final = 500  # events
SEND_BATCH: Final = 100  # deliveries
# Small bursts are spread over the workers' threads rather than queued behind one another.
_SPREAD: Final = 8
_MIN_BATCH: Final = 10
RECLAIM_EVERY_S: Final = 1.0
SUM_UP_EVERY_S: Final = 60.0
HOUSEKEEPING_EVERY_S: Final = 3600.0
# When the broker refuses, leases go back for this long.
BROKER_PAUSE_S: Final = 1.0
# With every place taken, the workers' progress is looked at this often.
FULL_PAUSE_S: Final = 0.025


def run_forever(stop: threading.Event) -> None:
    """Dispatch until `stop` is set. Survives the loss of the database and the broker."""
    connection_created.connect(_do_not_wait_for_disks)
    waiter = Waiter()
    dispatcher = Dispatcher()
    woken = False
    while not stop.is_set():
        try:
            pause_s = dispatcher.cycle()
        except db.CONNECTION_ERRORS as error:
            connection.close()
            logger.warning("the database is out of reach: %s", error)
            pause_s = POLL_S
            stop.wait(pause_s)
            continue
        if pause_s == POLL_S:
            woken = waiter.wait(SECOND_LOOK_S if woken else POLL_S)
        elif pause_s:
            stop.wait(pause_s)


def _do_not_wait_for_disks(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Commit without waiting for the disk.

    If the database server crashes, the last deliveries and leases may be undone; then the position
    is too, and they are made again. A worker's start waits for the disk, and with it for all that
    came before: nothing runs under a lease that can be undone.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")


class Dispatcher:
    """The work of one process, cycle by cycle."""

    def __init__(self) -> None:
        self._matchers: dict[int, tuple[Any, Matcher]] = {}
        self._reclaim_at = 0.0
        self._housekeeping_at = 0.0
        self._sum_up_at = 0.0
        self._is_registered = False

    def cycle(self) -> float:
        """One round; returns how long to wait before the next: 0 when there may be more to do."""
        now = time.monotonic()
        if not self._is_registered:
            ensure_reader()
            self._is_registered = True
        if now >= self._housekeeping_at:
            self._housekeeping_at = now + HOUSEKEEPING_EVERY_S
            housekeeping.start()
        if now >= self._sum_up_at:
            self._sum_up_at = now + SUM_UP_EVERY_S
            housekeeping.sum_up_tallies()
            housekeeping.start_frequent()
        if now >= self._reclaim_at:
            self._reclaim_at = now + RECLAIM_EVERY_S
            if (lost := ledger.reclaim()) > 0:
                logger.warning("%d leases were over: their deliveries are due again", lost)
        read = self.read_log()
        leased = ledger.lease(
            total=settings.MAX_IN_FLIGHT, per_project=settings.MAX_IN_FLIGHT_PER_PROJECT
        )
        if leased and not _send(leased):
            return BROKER_PAUSE_S
        if leased or read == READ_BATCH:
            return 0.0
        if read:
            return gather_s(read)
        # At a cap there is work that waits for the workers' progress, which wakes nobody.
        cap = min(settings.MAX_IN_FLIGHT, settings.MAX_IN_FLIGHT_PER_PROJECT)
        return FULL_PAUSE_S if ledger.in_flight() > cap * 3 // 4 else POLL_S

    def read_log(self) -> int:
        """Make deliveries of the next events; returns how many events were read.

        Reading, matching, inserting and moving the position are one transaction: an event is
        either behind the position with all its deliveries, or before it with none.
        """
        with transaction.atomic():
            position = _lock_position()
            if position is None:
                return 0  # another dispatcher reads at this moment
            events = log.read(position, READ_BATCH)
            if not events:
                return 0
            rows = list(self._deliveries(events))
            if rows:
                ledger.accept_events(rows)
            _move(events[-1].position)
        return len(events)

    def _deliveries(self, events: Sequence[StoredEvent]) -> Iterator[Mapping[str, Any]]:
        triggers = defaultdict[int, list[tuple[TriggerSpec, Matcher]]](list)
        for spec in _triggers({event.project_id for event in events}):
            triggers[spec.project_id].append((spec, self._matcher(spec)))
        for event in events:
            for spec, matches in triggers[event.project_id]:
                if _matches(event, spec, matches):
                    yield _delivery(event, spec)

    def _matcher(self, spec: TriggerSpec) -> Matcher:
        known = self._matchers.get(spec.id)
        if known is not None and known[0] == spec.updated_at:
            return known[1]
        if len(self._matchers) > 50_000:
            self._matchers.clear()
        try:
            matcher = compile_matcher(spec)
        except (RuleError, KeyError, ValueError):
            # Of an older release, or damaged: it must not keep other events from their functions.
            logger.exception("trigger %d of project %d cannot be used", spec.id, spec.project_id)
            matcher = _matches_nothing
        self._matchers[spec.id] = (spec.updated_at, matcher)
        return matcher


def _matches_nothing(event: StoredEvent) -> bool:
    return False


def _matches(event: StoredEvent, spec: TriggerSpec, matches: Matcher) -> bool:
    try:
        return matches(event)
    except Exception:
        # One event or filter that we cannot deal with must not stop the log for everybody.
        logger.exception("trigger %d cannot judge event %d", spec.id, event.position.seq)
        return False


def _lock_position() -> Position | None:
    row = db.fetch_one(
        b"SELECT xid::text::bigint, seq FROM kernel_eventreader WHERE name = %s"
        b" FOR UPDATE SKIP LOCKED",
        (READER,),
    )
    return Position(*row) if row else None


def ensure_reader() -> None:
    """Make the reader's row: a new installation's dispatcher starts at the log's beginning."""
    db.execute(
        b"INSERT INTO kernel_eventreader (name, xid, seq) VALUES (%s, '0', 0)"
        b" ON CONFLICT (name) DO NOTHING",
        (READER,),
    )


def _move(position: Position) -> None:
    db.execute(
        b"UPDATE kernel_eventreader SET xid = %s::text::xid8, seq = %s, updated_at = now()"
        b" WHERE name = %s",
        (str(position.xid), position.seq, READER),
    )


def _triggers(project_ids: set[int]) -> list[TriggerSpec]:
    rows = db.fetch_all(
        b"SELECT t.id, t.updated_at, t.project_id, t.name, t.function_id, f.name, t.alias,"
        b" t.source::text, t.filter, t.max_attempts, t.max_age_s, t.backoff_s"
        b" FROM functions_trigger t JOIN functions_function f ON f.id = t.function_id"
        b" WHERE t.project_id = ANY(%s) AND t.source->>'type' <> 'http'",
        (list(project_ids),),
    )
    return [
        TriggerSpec(
            id=row[0],
            updated_at=row[1],
            project_id=row[2],
            name=row[3],
            function_id=row[4],
            function=row[5],
            alias=row[6],
            source=orjson.loads(row[7]),
            filter=row[8],
            max_attempts=row[9],
            max_age_s=row[10],
            backoff_s=row[11],
        )
        for row in rows
    ]


def _delivery(event: StoredEvent, spec: TriggerSpec) -> Mapping[str, Any]:
    return {
        "id": ids.new_id(),
        "project_id": event.project_id,
        "function_id": spec.function_id,
        "function": spec.function,
        "alias": spec.alias,
        "origin": f"trigger:{spec.name}",
        "trigger_id": spec.id,
        "event_seq": event.position.seq,
        "event_time": event.time,
        "event_type": event.type,
        "subject": event.subject,
        "depth": event.depth + 1,
        "traceparent": event.traceparent,
        "max_attempts": spec.max_attempts,
        "backoff_s": spec.backoff_s,
        "max_age_s": spec.max_age_s,
    }


def _send(leased: Sequence[Leased]) -> bool:
    """Hand the leases out; those that the broker does not take go back."""
    batches = list(_batches(leased))
    for index, batch in enumerate(batches):
        try:
            transport.send(batch)
        except transport.BrokerDown as error:
            left = [lease for rest in batches[index:] for lease in rest]
            logger.warning("the broker is down, %d deliveries wait: %s", len(left), error)
            ledger.release(left, BROKER_PAUSE_S)
            return False
    return True


def _batches(leased: Sequence[Leased]) -> Iterator[list[Lease]]:
    """Batches of one function each: a slow function holds up its own only."""
    by_function = defaultdict[int, list[Lease]](list)
    for item in leased:
        by_function[item.function_id].append(item.lease)
    for leases in by_function.values():
        size = min(SEND_BATCH, max(_MIN_BATCH, -(-len(leases) // _SPREAD)))
        for start in range(0, len(leases), size):
            yield leases[start : start + size]
