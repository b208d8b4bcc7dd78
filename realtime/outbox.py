"""What waits to be sent on one socket: a budget, never a heap."""

import asyncio
import time
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, Protocol

from realtime import metrics

BUDGET_CHARACTERS: Final = 1024 * 1024  # of queued frames
STALL_S: Final = 60.0  # how long the other side may take for one frame

Send = Callable[[str], Coroutine[Any, Any, None]]


class Stream(Protocol):
    """What a subscription is to the outbox."""

    is_behind: bool  # it lost changes and gets a new snapshot once there is room

    def catch_up(self) -> list[str] | None:
        """The frames that bring it up to date as of now; None when it calls `Outbox.retry`."""


class Outbox:
    """Frames in order. Change frames of a consumer that is too slow are dropped, and its
    subscriptions are reset when it reads again.

    A frame is handed over at once when nothing is in its way; only for a socket that does not
    take it does the writer (`run`) wake up. Waking a task costs more than sending.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._frames: deque[tuple[str, Stream | None]] = deque()
        self._queued = 0  # characters
        self._behind: deque[Stream] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        # A frame that the socket did not take at once, or why it takes none any more.
        self._unfinished: Coroutine[Any, Any, None] | None = None
        self._failure: Exception | None = None
        self._is_busy = False  # the writer is at work
        self._is_closed = False
        self._sent = 0
        self.last_sent = time.monotonic()

    @property
    def is_stalled(self) -> bool:
        """Whether the other side has not read for so long that it is as good as gone."""
        return self._is_busy and time.monotonic() - self.last_sent > STALL_S

    def take_sent(self) -> int:
        """Frames handed over since the last call."""
        sent, self._sent = self._sent, 0
        return sent

    def push(self, frame: str) -> None:
        """Queue a reply; who makes many of them awaits `room` in between."""
        self._append(frame, None)

    def push_change(self, stream: Stream, frame: str) -> None:
        """Queue a change, or mark the socket's streams as behind if it does not fit."""
        if stream.is_behind:
            return
        if self._queued and self._queued + len(frame) > BUDGET_CHARACTERS:
            self._overflow(stream)
        else:
            self._append(frame, stream)

    def push_behind(self, stream: Stream) -> None:
        """Let the stream catch up as soon as what is queued has gone out."""
        if not stream.is_behind:
            self._keep(lambda of: of is not stream)
            stream.is_behind = True
            self._behind.append(stream)
        self._wake.set()

    def retry(self, stream: Stream) -> None:
        """Ask a stream again that could not catch up."""
        if stream.is_behind and stream not in self._behind:
            self._behind.append(stream)
            self._wake.set()

    def drop(self, stream: Stream) -> None:
        """Forget the stream and its queued frames."""
        self._keep(lambda of: of is not stream)
        if stream in self._behind:
            self._behind.remove(stream)

    def close(self) -> None:
        """Nothing may be sent any more, and nobody waits for room."""
        self._is_closed = True
        self._room.set()
        self._frames.clear()
        self._behind.clear()
        if self._unfinished is not None and not self._is_busy:
            self._unfinished.close()

    async def room(self) -> None:
        """Wait until the other side has read some of what is queued."""
        await self._room.wait()

    async def run(self) -> None:
        """Send what could not be sent at once, for ever; raises what `send` raises."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._is_busy = True
            await self._drain()
            self._is_busy = False

    async def _drain(self) -> None:
        if self._failure is not None:
            raise self._failure
        self.last_sent = time.monotonic()  # from now on it counts how long the socket takes
        if self._unfinished is not None:
            await self._unfinished
            self._unfinished = None
            self._note_sent()
        while True:
            while self._frames:
                frame, _ = self._frames.popleft()
                self._count(-len(frame))
                await self._send(frame)
                self._note_sent()
            if not self._behind:
                return
            stream = self._behind.popleft()
            frames = stream.catch_up()
            if frames is not None:
                stream.is_behind = False
                for frame in frames:
                    self._append(frame, stream)

    def _append(self, frame: str, stream: Stream | None) -> None:
        if self._is_closed:
            return
        if not self._is_busy and not self._wake.is_set():
            self._hand_over(frame)
        else:
            self._frames.append((frame, stream))
            self._count(len(frame))

    def _hand_over(self, frame: str) -> None:
        """Run the sending of a frame until it would wait; the writer does the rest."""
        sending = self._send(frame)
        try:
            waits_for = sending.send(None)
        except StopIteration:
            self._note_sent()
            return
        except Exception as error:  # noqa: BLE001 - the writer raises it; others are not concerned
            self._failure = error
        else:
            self._unfinished = _go_on(sending, waits_for)
            self.last_sent = time.monotonic()
        self._wake.set()

    def _note_sent(self) -> None:
        self._sent += 1
        self.last_sent = time.monotonic()

    def _count(self, characters: int) -> None:
        self._queued += characters
        if self._queued > BUDGET_CHARACTERS and not self._is_closed:
            self._room.clear()
        else:
            self._room.set()

    def _overflow(self, last: Stream) -> None:
        streams = {id(of): of for _, of in self._frames if of is not None}
        streams[id(last)] = last
        for stream in streams.values():
            self.push_behind(stream)
            metrics.RESETS.labels("slow").inc()

    def _keep(self, wanted: Callable[[Stream | None], bool]) -> None:
        if any(not wanted(of) for _, of in self._frames):
            self._frames = deque(item for item in self._frames if wanted(item[1]))
            self._count(sum(len(frame) for frame, _ in self._frames) - self._queued)


@types.coroutine
def _go_on(begun: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """Await a coroutine that was already run up to its first pause."""
    try:
        while True:
            yield waits_for
            try:
                waits_for = begun.send(None)
            except StopIteration:
                return
    finally:
        begun.close()
