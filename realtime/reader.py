"""The thread that reads the events log for this process."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from django.db import connection

from baas.kernel import db, events
from baas.kernel.events import Position, StoredEvent
from baas.kernel.events.wake import POLL_S, SECOND_LOOK_S, Waiter, gather_s

logger = logging.getLogger(__name__)

BATCH: Final = 100  # events; one may be as large as two documents
_RETRY_S: Final = 0.5

# Called in the event loop with the events in commit order, and the position after them.
Deliver = Callable[[list[StoredEvent], Position], None]


class LogReader:
    """Follows the log from its head on, while somebody wants it: woken by hints, or every POLL_S.

    A batch is handed to the event loop and worked off there before the next one is read, so a
    busy loop slows the reader instead of filling the memory.
    """

    def __init__(self, deliver: Deliver, is_wanted: Callable[[], bool]) -> None:
        """Both are called in the event loop."""
        # Whether what is committed from now on will be delivered. Once nobody wants it any more,
        # not before the next `catch_up`. Changes in the event loop only.
        self.is_following = False
        self._deliver = deliver
        self._is_wanted = is_wanted
        self._loop = asyncio.get_running_loop()
        self._hint = threading.Event()
        self._asked = threading.Event()  # to follow, or to stop
        self._stopping = threading.Event()
        self._rounds_begun = 0
        self._rounds_done = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._threads = [
            threading.Thread(target=self._read_forever, name="realtime-log", daemon=True),
            threading.Thread(target=self._listen_forever, name="realtime-wake", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    async def stop(self) -> None:
        """End both threads; takes at most a poll interval."""
        self._stopping.set()
        self._asked.set()
        self._hint.set()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    async def catch_up(self, timeout_s: float) -> None:
        """Return when all that was behind the gate at the time of the call has been delivered.

        Raises TimeoutError when the database does not answer in time.
        """
        reached = self._loop.create_future()
        self._waiting.append((self._rounds_begun + 1, reached))
        self._asked.set()
        self._hint.set()
        async with asyncio.timeout(timeout_s):
            await reached

    # in the event loop

    def _deliver_round(self, batch: list[StoredEvent], to: Position, round_: int | None) -> None:
        self._deliver(batch, to)
        if round_ is None:
            return
        self._rounds_done = round_
        still_waiting = []
        for wanted, reached in self._waiting:
            if wanted > round_:
                still_waiting.append((wanted, reached))
            elif not reached.done():
                reached.set_result(None)
        self._waiting = still_waiting
        self.is_following = self._is_wanted() or bool(still_waiting)

    # in the threads

    def _listen_forever(self) -> None:
        waiter = Waiter()
        while not self._stopping.is_set():
            self._asked.wait()
            waiter.wait(POLL_S)
            self._hint.set()
            if not self._asked.is_set():
                waiter.rest()

    def _read_forever(self) -> None:
        position: Position | None = None
        hinted = False
        while not self._stopping.is_set():
            try:
                if position is None:
                    self._asked.wait()
                    position = events.head()
                position, found = self._read_all(position)
                if not self._goes_on():
                    position = None
                elif found:
                    self._stopping.wait(gather_s(found))
                else:
                    hinted = self._hint.wait(SECOND_LOOK_S if hinted else POLL_S)
                    self._hint.clear()
            except db.CONNECTION_ERRORS as error:
                # Nothing is lost: the position stays, and what comes later is read from there.
                logger.warning("the events log is out of reach: %s", error)
                connection.close()
                time.sleep(_RETRY_S)
        connection.close()

    def _goes_on(self) -> bool:
        """Whether somebody wants the log; otherwise the threads sleep until they are asked."""
        if self.is_following:
            return True
        self._asked.clear()
        # Who asked before that line is in the list; who asks after it sets the flag again.
        return self._stopping.is_set() or bool(self._waiting)

    def _read_all(self, position: Position) -> tuple[Position, int]:
        """The position after all that there is now, and how many events that was."""
        found = 0
        while not self._stopping.is_set():
            self._rounds_begun += 1
            round_ = self._rounds_begun
            batch = events.read(position, BATCH)
            found += len(batch)
            is_last = len(batch) < BATCH
            if batch:
                position = batch[-1].position
            self._hand_over(batch, position, round_ if is_last else None)
            if is_last:
                break
        return position, found

    def _hand_over(self, batch: list[StoredEvent], to: Position, round_: int | None) -> None:
        done = threading.Event()

        def deliver() -> None:
            try:
                self._deliver_round(batch, to, round_)
            finally:
                done.set()

        try:
            self._loop.call_soon_threadsafe(deliver)
        except RuntimeError:
            logger.info("the event loop has ended before the log's reader")
            self._stopping.set()
            return
        while not done.wait(1):
            if self._stopping.is_set():
                return
