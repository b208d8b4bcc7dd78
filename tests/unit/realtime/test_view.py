"""A view between its database and its log: nothing lost, nothing doubled."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from baas.kernel.events import Position
from baas.kernel.problems import Problem, Unavailable
from realtime.queries import LiveQuery
from realtime.snapshots import Snapshot
from realtime.tokens import Token
from realtime.view import View
from tests.unit.realtime.live import change, document, query, snapshot


class Watcher:
    name = "s1"

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []

    def changed(self, frame: str) -> None:
        self.frames.append(json.loads(frame))

    @property
    def steps(self) -> list[tuple[str, str]]:
        return [(c["op"], c["id"]) for frame in self.frames for c in frame["changes"]]


class Database:
    """Answers a load when the test says so."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[asyncio.Future[Snapshot]] = asyncio.Queue()
        self.position = Position(0, 0)

    async def load(self, query: LiveQuery) -> Snapshot:
        answer: asyncio.Future[Snapshot] = asyncio.get_running_loop().create_future()
        await self.asked.put(answer)
        return await answer

    async def answer(self, with_: Snapshot | Problem) -> None:
        async with asyncio.timeout(5):
            answer = await self.asked.get()
        if isinstance(with_, Problem):
            answer.set_exception(with_)
        else:
            answer.set_result(with_)
        for _ in range(5):
            await asyncio.sleep(0)

    def is_idle(self) -> bool:
        return self.asked.empty()


Story = Callable[[Database, View, Watcher], Awaitable[None]]


def play(story: Story, of: LiveQuery) -> None:
    async def run() -> None:
        database = Database()
        view = View(of, database.load, lambda: database.position)
        view.holders = 1
        watcher = Watcher()
        await story(database, view, watcher)
        view.close()

    asyncio.run(run())


async def begin(database: Database, view: View, watcher: Watcher, first: Snapshot) -> None:
    joining = asyncio.create_task(view.ready())
    await database.answer(first)
    await joining
    view.watchers.add(watcher)


def shown(view: View) -> list[str]:
    return [entry.id for entry in view.visible]


def test_what_comes_while_it_loads_is_applied_once() -> None:
    of = query()

    async def story(database: Database, view: View, watcher: Watcher) -> None:
        joining = asyncio.create_task(view.ready())
        while database.is_idle():
            await asyncio.sleep(0)
        view.apply([change(10, "a", document("a", 1))])  # the snapshot sees it
        view.apply([change(12, "b", document("b", 1))])  # and this one it does not
        await database.answer(snapshot(of, document("a", 1), seen="11:13:12"))
        await joining
        assert shown(view) == ["a", "b"]

    play(story, of)


def test_an_event_that_the_snapshot_saw_does_not_go_back_in_time() -> None:
    of = query()

    async def story(database: Database, view: View, watcher: Watcher) -> None:
        # Transaction 20 deleted `a` before the snapshot; its events are delivered only now.
        await begin(database, view, watcher, snapshot(of, seen="15:21:15"))
        view.apply([change(18, "a", document("a"))])
        view.apply([change(20, "a", None)])
        assert (shown(view), watcher.frames) == ([], [])
        view.apply([change(15, "late", document("late"))])
        assert watcher.steps == [("added", "late")]

    play(story, of)


def test_several_writes_of_a_batch_are_one_step() -> None:
    of = query(filter={"n": {"$gt": 0}})

    async def story(database: Database, view: View, watcher: Watcher) -> None:
        await begin(database, view, watcher, snapshot(of, document("a", n=1)))
        view.apply([change(5, "a", document("a", 2, n=0)), change(6, "a", document("a", 3, n=7))])
        assert watcher.steps == [("modified", "a")]

    play(story, of)


def test_the_token_of_a_frame_has_seen_all_that_was_delivered() -> None:
    of = query()

    async def story(database: Database, view: View, watcher: Watcher) -> None:
        await begin(database, view, watcher, snapshot(of, seen="3:3:"))
        database.position = Position(9, 9)
        view.apply([change(9, "a", document("a"))])
        token = Token.decode(watcher.frames[0]["token"])
        assert token is not None
        assert token.seen.has(Position(9, 9))
        assert not token.seen.has(Position(9, 10))
        assert token.fingerprint == of.fingerprint

    play(story, of)


def test_a_short_window_is_loaded_anew_and_told_in_one_frame() -> None:
    of = query(limit=2)

    async def story(database: Database, view: View, watcher: Watcher) -> None:
        first = snapshot(of, document("a"), document("b"), has_more=True, seen="2:2:")
        await begin(database, view, watcher, first)
        view.apply([change(5, "a", None)])
        assert (watcher.frames, view.is_ready) == ([], False)
        view.apply([change(6, "c", document("c", 2))])  # comes while it loads
        await database.answer(snapshot(of, document("b"), document("c", 2), seen="7:7:"))
        assert view.is_ready
        assert len(watcher.frames) == 1
        assert watcher.steps == [("removed", "a"), ("added", "c")]

    play(story, of)


def test_a_load_that_fails_is_told_to_who_waits() -> None:
    of = query()

    async def story(database: Database, view: View, watcher: Watcher) -> None:
        joining = asyncio.create_task(view.ready())
        await database.answer(Unavailable("no database"))
        with pytest.raises(Unavailable):
            await joining
        # The next one may have more luck.
        await begin(database, view, watcher, snapshot(of, document("a")))
        assert shown(view) == ["a"]

    play(story, of)


def test_a_reload_that_fails_is_tried_again_for_who_watches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("realtime.view._RETRY_S", 0.01)
    of = query()

    async def story(database: Database, view: View, watcher: Watcher) -> None:
        await begin(database, view, watcher, snapshot(of, document("a")))
        view.reload()
        await database.answer(Unavailable("no database"))
        view.apply([change(4, "b", document("b"))])
        await database.answer(snapshot(of, document("b"), seen="9:9:"))
        assert watcher.steps == [("removed", "a"), ("added", "b")]

    play(story, of)


def test_a_document_that_breaks_the_filter_does_not_break_the_view() -> None:
    of = query(order=["n"])

    async def story(database: Database, view: View, watcher: Watcher) -> None:
        await begin(database, view, watcher, snapshot(of))
        broken = document("bad", n=1)
        del broken["_version"]
        view.apply([change(5, "ok", document("ok", n=2)), change(5, "bad", broken)])
        assert not view.is_ready  # the database decides
        await database.answer(snapshot(of, document("ok", n=2), document("bad", n=1)))
        assert shown(view) == ["bad", "ok"]
        assert {id for _, id in watcher.steps} == {"ok", "bad"}

    play(story, of)


def test_a_rule_that_reads_other_documents_is_asked_in_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("realtime.view._PAUSE_S", 0.0)
    of = query(rule='get("teams", doc.team).open == true', filter={"n": 1})

    async def story(database: Database, view: View, watcher: Watcher) -> None:
        await begin(database, view, watcher, snapshot(of, document("a", n=1)))
        view.apply([change(4, "x", document("x", n=2))])  # no business of this query
        await asyncio.sleep(0.01)
        assert database.is_idle()
        view.apply([change(5, "b", document("b", n=1))])
        await asyncio.sleep(0.01)
        await database.answer(snapshot(of, document("b", n=1), seen="6:6:"))
        assert watcher.steps == [("removed", "a"), ("added", "b")]

    play(story, of)


def test_watchers_of_one_name_get_the_same_text() -> None:
    of = query()

    async def story(database: Database, view: View, watcher: Watcher) -> None:
        got: list[str] = []

        class Other(Watcher):
            def changed(self, frame: str) -> None:
                got.append(frame)

        await begin(database, view, watcher, snapshot(of))
        view.watchers |= {Other(), Other()}
        view.apply([change(4, "a", document("a"))])
        assert len(got) == 2
        assert got[0] is got[1]

    play(story, of)
