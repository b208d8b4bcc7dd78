"""The budget of one socket."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from realtime.outbox import BUDGET_CHARACTERS, Outbox

BIG = "x" * (BUDGET_CHARACTERS // 2)


class Stream:
    def __init__(self, name: str) -> None:
        self.name = name
        self.is_behind = False
        self.is_ready = True

    def catch_up(self) -> list[str] | None:
        return [f"{self.name}:reset", f"{self.name}:snapshot"] if self.is_ready else None


class Peer:
    """The other side: reads only as long as its gate is open."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.gate = asyncio.Event()

    async def send(self, frame: str) -> None:
        await self.gate.wait()
        self.got.append(frame)


def play(story: Callable[[Outbox, Peer], Awaitable[None]]) -> None:
    async def run() -> None:
        peer = Peer()
        outbox = Outbox(peer.send)
        writer = asyncio.create_task(outbox.run())
        await asyncio.sleep(0)
        await story(outbox, peer)
        writer.cancel()

    asyncio.run(run())


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_frames_go_out_in_order() -> None:
    async def story(outbox: Outbox, peer: Peer) -> None:
        peer.gate.set()
        stream = Stream("s1")
        outbox.push("reply")
        outbox.push_change(stream, "one")
        outbox.push_change(stream, "two")
        await settle()
        assert peer.got == ["reply", "one", "two"]

    play(story)


def test_changes_beyond_the_budget_become_a_reset() -> None:
    async def story(outbox: Outbox, peer: Peer) -> None:
        first, second = Stream("s1"), Stream("s2")
        outbox.push_change(first, "in flight")
        await settle()
        outbox.push("reply")
        for _ in range(50):
            outbox.push_change(first, BIG)
        assert first.is_behind
        outbox.push_change(second, "small")
        assert not second.is_behind
        peer.gate.set()
        await settle()
        assert peer.got == ["in flight", "reply", "small", "s1:reset", "s1:snapshot"]
        outbox.push_change(first, "after")
        await settle()
        assert peer.got[-1] == "after"

    play(story)


def test_a_single_frame_may_be_larger_than_the_budget() -> None:
    async def story(outbox: Outbox, peer: Peer) -> None:
        peer.gate.set()
        outbox.push_change(Stream("s1"), BIG * 3)
        await settle()
        assert peer.got == [BIG * 3]

    play(story)


def test_there_is_no_room_until_the_other_side_reads() -> None:
    async def story(outbox: Outbox, peer: Peer) -> None:
        for _ in range(4):
            outbox.push(BIG)
        waiting = asyncio.create_task(outbox.room())
        await settle()
        assert not waiting.done()
        peer.gate.set()
        await settle()
        assert waiting.done()

    play(story)


def test_a_dropped_stream_sends_nothing_more() -> None:
    async def story(outbox: Outbox, peer: Peer) -> None:
        gone, stays = Stream("s1"), Stream("s2")
        outbox.push_change(gone, "first")
        await settle()  # in flight: too late for this one
        outbox.push_change(gone, "second")
        outbox.push_change(stays, "third")
        outbox.push_behind(gone)
        outbox.drop(gone)
        peer.gate.set()
        await settle()
        assert peer.got == ["first", "third"]

    play(story)


def test_a_stream_that_is_not_ready_is_asked_again() -> None:
    async def story(outbox: Outbox, peer: Peer) -> None:
        peer.gate.set()
        stream = Stream("s1")
        stream.is_ready = False
        outbox.push_behind(stream)
        await settle()
        outbox.push_change(stream, "refers to what it does not have")
        await settle()
        assert peer.got == []
        stream.is_ready = True
        outbox.retry(stream)
        await settle()
        assert peer.got == ["s1:reset", "s1:snapshot"]

    play(story)


def test_a_frame_that_the_socket_does_not_take_is_finished_before_the_next() -> None:
    async def story(outbox: Outbox, peer: Peer) -> None:
        outbox.push("first")
        outbox.push("second")
        assert peer.got == []
        peer.gate.set()
        await settle()
        assert peer.got == ["first", "second"]
        outbox.push("third")  # goes out at once, no task has to wake up
        assert peer.got == ["first", "second", "third"]
        assert outbox.take_sent() == 3
        assert outbox.take_sent() == 0

    play(story)


def test_a_socket_that_is_gone_ends_the_writer_and_not_who_pushes() -> None:
    async def run() -> None:
        async def send(frame: str) -> None:
            raise OSError("gone")

        outbox = Outbox(send)
        writer = asyncio.create_task(outbox.run())
        outbox.push_change(Stream("s1"), "one")
        outbox.push_change(Stream("s1"), "two")
        with pytest.raises(OSError, match="gone"):
            await writer

    asyncio.run(run())


def test_nothing_is_sent_after_the_end() -> None:
    async def story(outbox: Outbox, peer: Peer) -> None:
        outbox.push("in flight")
        outbox.push("queued")
        outbox.close()
        outbox.push("late")
        peer.gate.set()
        await settle()
        assert "queued" not in peer.got
        assert "late" not in peer.got

    play(story)


def test_it_knows_a_stalled_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.outbox.STALL_S", 0.01)

    async def story(outbox: Outbox, peer: Peer) -> None:
        await asyncio.sleep(0.03)
        assert not outbox.is_stalled  # there is nothing that it should have read
        outbox.push("one")
        await asyncio.sleep(0.03)
        assert outbox.is_stalled
        peer.gate.set()
        await settle()
        assert not outbox.is_stalled

    play(story)


def test_nobody_waits_for_room_in_a_closed_outbox() -> None:
    async def story(outbox: Outbox, peer: Peer) -> None:
        for _ in range(4):
            outbox.push(BIG)
        waiting = asyncio.create_task(outbox.room())
        await settle()
        assert not waiting.done()
        outbox.close()
        await settle()
        assert waiting.done()

    play(story)
