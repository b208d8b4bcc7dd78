"""A live query that somebody watches: its window, kept true by the log."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol

from baas.kernel.events import Position
from baas.kernel.http.door import as_problem
from baas.kernel.problems import Problem
from realtime import frames
from realtime.changes import DocumentChange
from realtime.queries import MARGIN, LiveQuery
from realtime.snapshots import Snapshot
from realtime.tokens import Seen, Token
from realtime.window import Change, Entry, Window, diff

logger = logging.getLogger(__name__)

_RETRY_S: Final = 1.0
# Between two loads of one view, when each finds that the next is due.
_PAUSE_S: Final = 0.05


class Watcher(Protocol):
    """A subscription, as its view sees it."""

    name: str

    def changed(self, frame: str) -> None:
        """A change frame of the view, complete for this watcher."""


class View:
    """One window for all subscriptions with the same query. Lives in the event loop.

    The window is loaded from a database snapshot; from then on it applies every event that the
    snapshot had not seen, once and in commit order, so no change is lost or doubled.
    """

    def __init__(
        self,
        query: LiveQuery,
        load: Callable[[LiveQuery], Awaitable[Snapshot]],
        position: Callable[[], Position],
    ) -> None:
        self.query = query
        self.holders = 0  # subscriptions that use it or wait for it
        self.watchers: set[Watcher] = set()
        self.loaded_at = 0.0  # monotonic
        self.size = 0  # characters of its documents when it was loaded
        self._load = load
        self._position = position  # how far the log has been delivered
        self._window: Window | None = None
        self._seen = Seen(position=position())
        self._pending: list[DocumentChange] = []  # what comes while it loads
        self._unsent: list[Change] = []  # steps that nobody was told of yet
        self._is_stale = True
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._docs: str | None = None  # the window's JSON, made once for all who join

    # for subscriptions

    @property
    def is_ready(self) -> bool:
        """Whether the window is true up to the delivered position."""
        return self._task is None and self._window is not None

    async def ready(self) -> None:
        """Return when the window is true. Raises Problem when it cannot be loaded."""
        while not self.is_ready:
            if self._task is None:
                self.reload()
            assert self._ready is not None  # noqa: S101 - reload has made it
            await asyncio.shield(self._ready)

    def snapshot(self, name: str) -> str:
        """The snapshot frame as of now, for a watcher of that name. Only when ready."""
        if self._docs is None:
            self._docs = frames.join_docs(self.visible)
        return frames.complete(name, frames.snapshot_body(self._docs, self.token()))

    def change_since(self, name: str, past: list[Entry]) -> str:
        """The change frame that leads from a past window to the present one. Only when ready."""
        body = frames.change_body(diff(past, self.visible), self.token())
        return frames.complete(name, body)

    @property
    def visible(self) -> list[Entry]:
        """What the window shows."""
        return self._window.visible if self._window is not None else []

    def token(self) -> str:
        """The resume token of the present window. Only when ready."""
        return Token(
            seen=self._seen.advanced(self._position()),
            issued_at=int(time.time()),
            fingerprint=self.query.fingerprint,
        ).encode()

    # for the hub

    def apply(self, changes: Iterable[DocumentChange]) -> None:
        """Take in what the log says; watchers hear of it at once, or after a load."""
        if not self.is_ready:
            self._pending.extend(changes)
        elif self.query.access.reads_others:
            if self._concerned(changes):
                self._reload_soon()
        else:
            assert self._window is not None  # noqa: S101 - it is ready
            try:
                self._put(self._window, self._seen, changes)
            except Exception:
                # A fault of ours with one document must not become a gap: the database decides.
                logger.exception("a live query could not apply a change and is loaded again")
                self._unsent = self._window.take_changes()
                self.reload()
                return
            steps = self._window.take_changes()
            if self._window.is_short:
                self._unsent = steps
                self.reload()
            else:
                self._publish(steps)

    def reload(self) -> None:
        """Load the window anew and tell watchers the difference. Safe to repeat."""
        self._is_stale = True
        if self._task is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._load_until_true(self._ready))

    def close(self) -> None:
        """Nobody watches any more."""
        if self._task is not None:
            self._task.cancel()
        if self._timer is not None:
            self._timer.cancel()

    # inside

    def _reload_soon(self) -> None:
        if self._timer is None:
            wait_s = max(0.0, self.loaded_at + _PAUSE_S - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._timed_reload)

    def _timed_reload(self) -> None:
        self._timer = None
        self.reload()

    def _concerned(self, changes: Iterable[DocumentChange]) -> bool:
        """Whether the changes touch the window, or may bring something into it."""
        return any(
            (self._window is not None and change.id in self._window)
            or (change.document is not None and self.query.selects(change.document))
            for change in changes
            if not self._seen.has(change.position)
        )

    def _put(self, window: Window, seen: Seen, changes: Iterable[DocumentChange]) -> None:
        """Apply to the window what its snapshot had not seen."""
        latest = {change.id: change for change in changes if not seen.has(change.position)}
        for id_, change in latest.items():
            window.put(id_, self.query.entry_of(change))

    async def _load_until_true(self, ready: asyncio.Future[None]) -> None:
        problem: Problem | None = None
        try:
            while self._is_stale:
                self._is_stale = False
                try:
                    await self._load_once()
                except Exception as error:
                    if not self.watchers:
                        problem = as_problem(error)
                        return
                    # It was true once and must become so again.
                    logger.warning("a live query is loaded again later", exc_info=error)
                    self._is_stale = True
                    await asyncio.sleep(_RETRY_S)
        finally:
            self._task = None
            if problem is None:
                ready.set_result(None)
            else:
                self._window = None
                ready.set_exception(problem)
                ready.exception()  # marks it as looked at, also if nobody waits

    async def _load_once(self) -> None:
        # What was delivered before now has committed, so the snapshot sees it.
        self._pending = []
        snapshot = await self._load(self.query)
        window = Window(self.query.limit, MARGIN, snapshot.entries, has_more=snapshot.has_more)
        if not self.query.access.reads_others:
            self._put(window, snapshot.seen, self._pending)
            window.take_changes()
            if window.is_short:
                # So many documents left in the meantime that it must be loaded once more.
                self._is_stale = True
                await asyncio.sleep(_PAUSE_S)
                return
        is_first, before = self._window is None, self.visible
        self._window, self._seen, self._docs = window, snapshot.seen, None
        self.loaded_at = time.monotonic()
        self.size = sum(len(entry.json) for entry in snapshot.entries)
        if self.query.access.reads_others and self._concerned(self._pending):
            self._reload_soon()
        self._pending = []
        steps, self._unsent = self._unsent + diff(before, self.visible), []
        if not is_first:
            self._publish(steps)

    def _publish(self, steps: list[Change]) -> None:
        if not steps:
            return
        self._docs = None
        body = frames.change_body(steps, self.token())
        complete: dict[str, str] = {}  # most sockets call their first subscription the same
        for watcher in list(self.watchers):
            frame = complete.get(watcher.name)
            if frame is None:
                frame = complete[watcher.name] = frames.complete(watcher.name, body)
            watcher.changed(frame)
