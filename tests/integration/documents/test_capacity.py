"""`max_docs`: exact, whoever writes at the same moment."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.documents.conftest import Collection


@pytest.fixture
def few(notes: Collection) -> Collection:
    notes.declare(max_docs=3)
    return notes


def test_a_full_collection_takes_no_more(few: Collection) -> None:
    assert few.create([{"_id": "1"}, {"_id": "2"}]).status == 201
    before = few.project.events()
    assert few.create([{}, {}]).code == "collection_full"
    assert few.project.events() == before
    assert few.create({"_id": "3"}).status == 201
    before = few.project.events()
    for reply in (few.create({}), few.put("4", {}), few.create([{}])):
        assert (reply.status, reply.code) == (409, "collection_full")
    assert few.project.events() == before
    assert few.put("3", {"a": 1}).status == 200
    assert few.patch("3", {"a": 2}).status == 200
    assert few.delete("1").status == 204
    assert few.create({"_id": "4"}).status == 201
    few.declare(max_docs=2)
    assert few.create({}).code == "collection_full"
    few.declare()
    assert few.create({}).status == 201


def test_commits_and_upserts_meet_the_limit_too(few: Collection) -> None:
    few.create([{"_id": "1"}, {"_id": "2"}])
    before = few.project.events()
    commit = few.client.post(
        f"{few.project.path}/db/commit",
        {"writes": [
            {"op": "create", "collection": "notes", "id": id, "data": {}} for id in ("3", "4")
        ]},
        token=few.project.secret_key,
    )  # fmt: skip
    assert (commit.status, commit.code) == (409, "collection_full")
    few.create({"_id": "3"})
    upsert = few.client.post(
        f"{few.path}/update-one",
        {"filter": {"k": 1}, "update": {"$set": {"a": 1}}, "upsert": True},
        token=few.project.secret_key,
    )
    assert (upsert.status, upsert.code) == (409, "collection_full")
    assert few.project.events() == [*before, ("baas.db.document.created", "notes/3")]
    assert few.ids() == ["1", "2", "3"]


def run_all(actions: list[Callable[[], Any]]) -> list[Any]:
    from django.db import connection

    found: list[Any] = []
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> None:
        try:
            start.wait()
            found.append(action())
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_the_limit_is_exact_under_races(notes: Collection) -> None:
    notes.declare(max_docs=20)
    notes.create([{} for _ in range(12)])
    writers: list[Callable[[], Any]] = [lambda: notes.create({})] * 12
    writers += [lambda: notes.create([{}, {}])] * 4
    replies = run_all(writers)
    assert {reply.status for reply in replies} == {201, 409}
    assert {reply.code for reply in replies if reply.status == 409} == {"collection_full"}
    assert len(notes.ids(limit=1000)) == 20


def test_far_from_the_limit_nobody_counts_at_each_write(
    notes: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from documents import capacity

    counts = []
    count = capacity._count
    monkeypatch.setattr(capacity, "_count", lambda *args: counts.append(1) or count(*args))
    monkeypatch.setattr(capacity, "TRUSTED_S", 60.0)
    notes.declare(max_docs=5000)
    for _ in range(5):
        assert notes.create({}).status == 201
    assert len(counts) == 1
    # What this process adds itself is known: the limit is not passed unseen.
    monkeypatch.setattr(capacity, "MARGIN", 4994)
    assert notes.create({}).status == 201
    assert len(counts) == 1
    assert notes.create({}).status == 201
    assert len(counts) == 2
