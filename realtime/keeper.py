"""What is done for all sockets again and again: tokens, rules, heartbeats, stalled peers."""

import asyncio
import logging
import time
from typing import Final

from django.conf import settings

from baas.kernel.http.door import as_problem
from baas.kernel.principals import Principal
from baas.kernel.problems import NotFound, Problem, Unauthenticated
from realtime import frames, metrics
from realtime.hub import Hub
from realtime.queries import LiveQuery
from realtime.resolve import is_current
from realtime.session import Session, check

logger = logging.getLogger(__name__)

TICK_S: Final = 1.0  # how long a changed rule may go unnoticed
RECHECK_S: Final = 3.0  # how long a revoked token may go unnoticed
# Tokens that are checked in one go; more sockets than the database can bear take longer.
_BATCH: Final = 200


class Keeper:
    """The sockets of a process, and the task that looks after them."""

    def __init__(self, hub: Hub) -> None:
        self._sessions: set[Session] = set()
        self._hub = hub
        self._task: asyncio.Task[None] | None = None
        self._revisions: set[asyncio.Task[None]] = set()

    def add(self, session: Session) -> None:
        """Look after a session whose token was just found good."""
        session.checked_at = time.monotonic()
        self._sessions.add(session)

    def remove(self, session: Session) -> None:
        self._sessions.discard(session)
        metrics.FRAMES.inc(session.outbox.take_sent())

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_forever())

    def stop(self) -> None:
        for task in (self._task, *self._revisions):
            if task is not None:
                task.cancel()

    async def _keep_forever(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self._beat()
                metrics.FRAMES.inc(sum(session.outbox.take_sent() for session in self._sessions))
                self._hub.tend()
                await self._check_rules()
                await self._check_tokens()
            except Exception:
                logger.exception("a round of the realtime keeper failed, the next follows")

    def _beat(self) -> None:
        due = time.monotonic() - settings.REALTIME_HEARTBEAT_S
        for session in list(self._sessions):
            if session.outbox.is_stalled:
                session.end(frames.TOO_SLOW, "too slow")
            elif session.outbox.last_sent < due:
                session.beat()

    async def _check_rules(self) -> None:
        queries = self._hub.queries()
        changed = await self._hub.pool.run(_changed, queries) if queries else set()
        if not changed:
            return
        for session in list(self._sessions):
            if any(s.view.query.key in changed for s in session.subscriptions.values()):
                self._revise(session, None)

    async def _check_tokens(self) -> None:
        due = time.monotonic() - RECHECK_S
        waiting = [session for session in self._sessions if session.checked_at < due]
        for start in range(0, len(waiting), _BATCH):
            batch = waiting[start : start + _BATCH]
            for session in batch:
                session.checked_at = time.monotonic()
            found = await self._hub.pool.run(_check_all, batch)
            for session, result in zip(batch, found, strict=True):
                self._take(session, result)

    def _take(self, session: Session, result: Principal | Problem) -> None:
        if session.is_closed:
            return
        match result:
            case Unauthenticated():
                session.end(frames.INVALID_TOKEN, "invalid_token")
            case NotFound():
                session.end(frames.NOT_FOUND, "project_not_found")
            case Problem():
                logger.warning("a token could not be checked, the next round follows: %s", result)
            case Principal() if result != session.principal:
                self._revise(session, result)

    def _revise(self, session: Session, principal: Principal | None) -> None:
        task = asyncio.create_task(session.revise(principal))
        self._revisions.add(task)
        task.add_done_callback(self._revisions.discard)


def _changed(queries: list[LiveQuery]) -> set[str]:
    """The keys of those whose collection or rule is another now."""
    return {query.key for query in queries if not is_current(query)}


def _check_all(sessions: list[Session]) -> list[Principal | Problem]:
    return [_check(session) for session in sessions]


def _check(session: Session) -> Principal | Problem:
    try:
        return check(session.project, session.token)
    except Exception as error:  # noqa: BLE001 - one socket's trouble is not the others'
        return as_problem(error)
