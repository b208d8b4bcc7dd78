"""All live queries of this process, and the log that moves them."""

import logging
import time
from collections import defaultdict
from typing import Final

from baas.kernel.events import Position, StoredEvent
from baas.kernel.problems import Unavailable
from realtime import changes, metrics, snapshots
from realtime.changes import DocumentChange
from realtime.pool import Pool
from realtime.queries import LiveQuery
from realtime.reader import LogReader
from realtime.register import Views
from realtime.tokens import Token
from realtime.view import View
from realtime.window import Entry

logger = logging.getLogger(__name__)

REFRESH_S: Final = 5.0  # how old a window may get whose rule reads the clock or other documents
CATCH_UP_S: Final = 5.0
MAX_CHARACTERS: Final = 512 * 1024 * 1024  # of all windows together

Place = tuple[int, str]  # project id, collection


class Hub:
    """One per process. Everything but the reader's threads and the pool is in the event loop."""

    def __init__(self) -> None:
        self.pool = Pool()
        self._reader = LogReader(self._deliver, lambda: bool(self._views))
        self._position = Position(0, 0)
        self._views: dict[Place, Views] = {}
        self._kept = 0  # characters of all windows, as of the last second

    def start(self) -> None:
        self._reader.start()

    async def stop(self) -> None:
        """Ends the threads; takes at most a poll interval and the running statements."""
        for views in self._views.values():
            for view in views:
                view.close()
        await self._reader.stop()
        await self.pool.close()

    async def acquire(self, query: LiveQuery) -> View:
        """The view of the query, true as of now; give it back with `release`.

        Raises Problem when it cannot be loaded; then there is nothing to give back.
        """
        place = (query.project_id, query.collection)
        views = self._views.get(place) or Views()
        view = views.get(query.key)
        is_new = view is None
        if view is None:
            self._refuse_too_much()
            view = View(query, self._load, lambda: self._position)
            views.add(view)
            self._views[place] = views
            metrics.VIEWS.inc()
        view.holders += 1
        try:
            # A new view's snapshot must come after the reader's beginning; one that is there
            # must include what had been committed before the subscriber asked.
            if not is_new or not self._reader.is_following:
                await self._catch_up()
            await view.ready()
        except BaseException:
            self.release(view)
            raise
        return view

    def release(self, view: View) -> None:
        """The view goes with its last holder."""
        view.holders -= 1
        if view.holders:
            return
        view.close()
        metrics.VIEWS.dec()
        place = (view.query.project_id, view.query.collection)
        self._views[place].remove(view)
        if not self._views[place]:
            del self._views[place]

    async def past(self, query: LiveQuery, token: Token) -> list[Entry] | None:
        """The window at the time of the token, None when nobody can tell. Raises Problem."""
        return await self.pool.run(snapshots.load_past, query, token)

    def queries(self) -> list[LiveQuery]:
        """Every distinct live query."""
        return [view.query for views in self._views.values() for view in views]

    def tend(self) -> None:
        """To be called every second: load again what may have changed without an event."""
        due = time.monotonic() - REFRESH_S
        self._kept = 0
        for views in self._views.values():
            for view in views:
                self._kept += view.size
                if view.query.access.is_volatile and view.is_ready and view.loaded_at < due:
                    view.reload()

    def _refuse_too_much(self) -> None:
        if self._kept > MAX_CHARACTERS:
            raise Unavailable(
                "This server keeps as many live documents as it can hold: try again later, or"
                " another server.",
                code="realtime_overloaded",
                retry_after_s=30,
            )

    async def _load(self, query: LiveQuery) -> snapshots.Snapshot:
        return await self.pool.run(snapshots.load, query)

    async def _catch_up(self) -> None:
        try:
            await self._reader.catch_up(CATCH_UP_S)
        except TimeoutError as error:
            raise Unavailable(
                "The events log is out of reach for the moment: subscribe again."
            ) from error

    def _deliver(self, batch: list[StoredEvent], to: Position) -> None:
        self._position = to
        if not batch:
            return
        metrics.EVENTS.inc(len(batch))
        by_place: defaultdict[Place, list[DocumentChange]] = defaultdict(list)
        imported: set[Place] = set()
        for event in batch:
            if changes.is_import(event):
                imported.add((event.project_id, event.subject))
            elif changes.is_document_event(event):
                change = DocumentChange(event)
                place = (event.project_id, change.collection)
                if place in self._views:
                    by_place[place].append(change)
        for place, there in by_place.items():
            views = self._views[place]
            try:
                for view, its in views.concerned(there):
                    view.apply(its)
            except Exception:
                # A fault of ours must not become a gap: the database decides.
                logger.exception("events could not be dispatched, their views are loaded again")
                for view in views:
                    view.reload()
        for place in imported & self._views.keys():
            for view in self._views[place]:
                view.reload()
