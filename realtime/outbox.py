"""What waits to be sent on one socket: a budget, never a heap."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from realtime import metrics

BUDGET_CHARACTERS: Final = 1024 * 1024  # of queued frames
STALL_S: Final = 60.0  # how long the other side may take for one frame


class Stream(Protocol):
    """What a subscription is to the outbox."""

    is_behind: bool  # it lost changes and gets a new snapshot once there is room

    def catch_up(self) -> list[str] | None:
        """The frames that bring it up to date as of now; None when it calls `Outbox.retry`."""


class Outbox:
    """Frames in order. Change frames of a consumer that is too slow are dropped, and its
    subscriptions are reset when it reads again."""

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._send = send
        self._frames: deque[tuple[str, Stream | None]] = deque()
        self._queued = 0  # characters
        self._behind: deque[Stream] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._sending_since: float | None = None
        self.last_sent = time.monotonic()

    @property
    def is_stalled(self) -> bool:
        """Whether the other side has not read for so long that it is as good as gone."""
        since = self._sending_since
        return since is not None and time.monotonic() - since > STALL_S

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

    async def room(self) -> None:
        """Wait until the other side has read some of what is queued."""
        await self._room.wait()

    async def run(self) -> None:
        """Send for ever; raises what `send` raises when the socket is gone."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            sent = await self._drain()
            metrics.FRAMES.inc(sent)

    async def _drain(self) -> int:
        sent = 0
        while True:
            while self._frames:
                frame, _ = self._frames.popleft()
                self._count(-len(frame))
                self._sending_since = self.last_sent = time.monotonic()
                await self._send(frame)
                self._sending_since = None
                sent += 1
            if not self._behind:
                return sent
            stream = self._behind.popleft()
            frames = stream.catch_up()
            if frames is not None:
                stream.is_behind = False
                for frame in frames:
                    self._append(frame, stream)

    def _append(self, frame: str, stream: Stream | None) -> None:
        self._frames.append((frame, stream))
        self._count(len(frame))
        self._wake.set()

    def _count(self, characters: int) -> None:
        self._queued += characters
        if self._queued > BUDGET_CHARACTERS:
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
