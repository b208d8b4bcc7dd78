"""Indexes of large collections: built in the background while everybody goes on writing."""

import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.integration.documents.conftest import Collection
from tests.integration.documents.indexing import index_name, plan, shown, stored
from tests.integration.documents.test_capacity import run_all


@pytest.fixture
def large(notes: Collection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collection]:
    """A collection that counts as large whatever is in it; nobody builds but the test."""
    from documents.indexes import changes, hints

    monkeypatch.setattr(changes, "AT_ONCE_DOCUMENTS", -1)
    monkeypatch.setattr(changes, "AT_ONCE_OTHERS", -1)
    monkeypatch.setattr(hints, "send", lambda: None)
    yield notes
    build()


def build() -> None:
    from documents.indexes import builder

    builder.run()


def indexes_in_postgres(notes: Collection) -> dict[str, bool]:
    """Name -> whether it is valid."""
    from baas.kernel import db

    rows = db.fetch_all(
        "SELECT c.relname, i.indisvalid FROM pg_index AS i JOIN pg_class AS c"
        " ON c.oid = i.indexrelid WHERE i.indrelid = %s::regclass AND NOT i.indisprimary",
        (stored(notes).table.as_string(None),),
    )
    return dict(rows)


def fill(notes: Collection, count: int) -> None:
    """Many documents, past the product."""
    from baas.kernel import db

    table = stored(notes).table.as_string(None)
    db.execute(
        f"INSERT INTO {table} (_id, doc) SELECT lpad(n::text, 7, '0'), jsonb_build_object('n', n,"
        " 'k', n % 100, 'text', 'some words ' || n || ' and 云函数 ' || repeat('more of them ', 9))"
        f" FROM generate_series(1, {count}) AS g(n)".encode()
    )


def test_an_index_is_declared_then_built_then_used(large: Collection) -> None:
    large.create([{"_id": str(n), "a": n} for n in range(50)])
    declared = large.declare(indexes=[{"fields": ["a"]}])
    assert declared.status == 200
    (index,) = declared.json["indexes"]
    assert index["state"] == "building"
    assert index["progress"] == {"phase": "waiting", "done": 0, "total": 0}
    assert indexes_in_postgres(large) == {}
    assert large.ids(filter={"a": 7}) == ["7"]
    build()
    (index,) = shown(large)["indexes"]
    assert (index["state"], "progress" in index, "error" in index) == ("ready", False, False)
    name = index_name(large, "a_1")
    assert indexes_in_postgres(large) == {name: True}
    assert name in plan(large, filter={"a": 7})
    assert large.ids(filter={"a": 7}) == ["7"]
    assert large.declare(indexes=[{"fields": ["a"]}]).json["indexes"][0]["state"] == "ready"


def test_an_index_that_is_declared_no_more_goes_in_the_background(large: Collection) -> None:
    large.create([{"a": 1}, {"a": 2}])
    large.declare(indexes=[{"fields": ["a"]}, {"fields": ["b"], "unique": True, "sparse": True}])
    build()
    assert len(indexes_in_postgres(large)) == 2
    assert large.declare(indexes=[]).json["indexes"] == []
    # The unique one must not refuse anything any more.
    assert len(indexes_in_postgres(large)) == 1
    assert large.create({"a": [1]}).status == 201
    build()
    assert indexes_in_postgres(large) == {}
    assert stored(large).is_settled


def test_an_index_that_is_declared_again_before_it_went_is_built_anew(large: Collection) -> None:
    large.create([{"_id": "1", "a": 1}, {"_id": "2", "a": 2}])
    large.declare(indexes=[{"fields": ["a"]}])
    build()
    large.declare(indexes=[])
    large.create({"_id": "3", "a": [1, 5]})
    large.declare(indexes=[{"fields": ["a"]}])
    build()
    assert shown(large)["indexes"][0]["state"] == "ready"
    assert large.ids(filter={"a": 1}) == ["1", "3"]
    assert stored(large).indexes[0].multikey


def test_what_was_declared_again_during_its_build_is_there_in_the_end(
    large: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from documents.indexes import builder

    declared = {"indexes": [{"fields": ["t"], "type": "text"}]}
    large.create({"_id": "1", "t": "words"})
    large.declare(**declared)
    note = builder._note

    def note_late(*args: Any) -> None:
        monkeypatch.setattr(builder, "_note", note)
        large.declare()
        large.declare(**declared)
        note(*args)

    monkeypatch.setattr(builder, "_note", note_late)
    build()
    assert shown(large)["indexes"][0]["state"] == "ready"
    assert indexes_in_postgres(large) == {index_name(large, "t_text"): True}
    assert large.ids(filter={"$text": {"$search": "words"}}) == ["1"]


def test_a_unique_index_that_meets_duplicates_has_failed_and_says_why(large: Collection) -> None:
    large.create([{"_id": "1", "a": 1}, {"_id": "2", "a": 1}])
    large.declare(indexes=[{"fields": ["a"], "unique": True}, {"fields": ["b"]}])
    build()
    failed, other = shown(large)["indexes"]
    assert (failed["state"], other["state"]) == ("failed", "ready")
    assert "same value in a" in failed["error"]
    assert list(indexes_in_postgres(large)) == [index_name(large, "b_1")]
    assert large.create({"_id": "3", "a": [1]}).status == 201
    large.delete("3")
    large.delete("2")
    # The same declaration once more is another try.
    again = large.declare(indexes=[{"fields": ["a"], "unique": True}, {"fields": ["b"]}])
    assert [index["state"] for index in again.json["indexes"]] == ["building", "ready"]
    build()
    assert shown(large)["indexes"][0]["state"] == "ready"
    assert large.create({"a": 1}).code == "unique_violation"


def test_a_unique_index_over_arrays_fails(large: Collection) -> None:
    large.create({"a": [1, 2]})
    large.declare(indexes=[{"fields": ["a"], "unique": True}])
    build()
    (index,) = shown(large)["indexes"]
    assert index["state"] == "failed"
    assert "arrays" in index["error"]


def test_fields_with_arrays_get_an_index_of_the_members(large: Collection) -> None:
    large.create([{"_id": str(n), "tags": [f"t{n}", "all"]} for n in range(50)])
    large.declare(indexes=[{"fields": ["tags"]}])
    build()
    (index,) = stored(large).indexes
    assert (index.multikey, index.members) == (True, "ready")
    assert index.members_name in plan(large, filter={"tags": "t7"})
    assert large.ids(filter={"tags": "t7"}) == ["7"]


def test_the_first_array_asks_for_an_index_of_members(large: Collection) -> None:
    large.create([{"_id": "1", "a": 1}, *[{"a": f"x{n}"} for n in range(100)]])
    large.declare(indexes=[{"fields": ["a"]}])
    build()
    assert large.create({"_id": "2", "a": [1, 2]}).status == 201
    (index,) = stored(large).indexes
    assert (index.state, index.multikey, index.members) == ("ready", True, "building")
    assert large.ids(filter={"a": 1}) == ["1", "2"]
    build()
    assert stored(large).indexes[0].members == "ready"
    assert large.ids(filter={"a": 1}) == ["1", "2"]
    assert stored(large).indexes[0].members_name in plan(large, filter={"a": 1})


def test_an_invalid_index_of_a_builder_that_died_is_built_anew(large: Collection) -> None:
    from baas.kernel import db

    large.create([{"_id": "1", "a": 1}, {"_id": "2", "a": 1}])
    large.declare(indexes=[{"fields": ["a"]}])
    name = index_name(large, "a_1")
    # What a build leaves that was killed: an index of that name that is not valid.
    with pytest.raises(Exception, match="could not create unique index"):
        db.execute(
            f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {stored(large).table.as_string(None)}"
            " ((doc -> 'a'))".encode()
        )
    assert indexes_in_postgres(large) == {name: False}
    build()
    assert indexes_in_postgres(large) == {name: True}
    assert shown(large)["indexes"][0]["state"] == "ready"


def test_writes_and_events_go_on_while_an_index_is_built(large: Collection) -> None:
    from baas.kernel import events

    large.declare()
    fill(large, 12_000)
    large.declare(indexes=[{"fields": ["text"], "type": "text"}, {"fields": ["n"]}])
    failures: list[BaseException] = []
    builder = threading.Thread(target=in_thread, args=(failures,))
    start = events.head()
    builder.start()
    slowest, written, phases = 0.0, 0, set()
    while builder.is_alive():
        began = time.monotonic()
        assert large.create({"n": 1, "text": "written meanwhile"}).status == 201
        slowest = max(slowest, time.monotonic() - began)
        written += 1
        for index in shown(large)["indexes"]:
            if index["state"] == "building" and index["progress"]["total"]:
                assert 0 <= index["progress"]["done"] <= index["progress"]["total"]
                phases.add(index["progress"]["phase"])
    builder.join()
    assert not failures
    assert written > 5
    assert any(phase.startswith("building index") for phase in phases), phases
    assert {index["state"] for index in shown(large)["indexes"]} == {"ready"}
    assert large.query(filter={"$text": {"$search": "meanwhile"}}, count=True).json["total"] == (
        written
    )
    # Every write came out of the log too: the build held back no reader.
    read = [event for event in events.read(start, 10_000) if event.project_id == large.project.id]
    assert len(read) == written


def in_thread(failures: list[BaseException]) -> None:
    from django.db import connection

    try:
        build()
    except BaseException as error:
        failures.append(error)
        raise
    finally:
        connection.close()


@pytest.mark.parametrize("change", ["array", "rename", "drop", "redeclare", "delete project"])
def test_a_build_gives_way_to_a_change_of_the_table(
    large: Collection, operator_token: str, change: str
) -> None:
    large.declare(indexes=[{"fields": ["k"]}])
    build()
    fill(large, 15_000)
    large.declare(indexes=[{"fields": ["k"]}, {"fields": ["text"], "type": "text"}])
    failures: list[BaseException] = []
    builder = threading.Thread(target=in_thread, args=(failures,))
    builder.start()
    wait_for_progress(large)
    began = time.monotonic()
    path, key = f"{large.project.path}/collections/notes", large.project.secret_key
    if change == "array":
        assert large.create({"_id": "x", "k": [-7]}).status == 201
    elif change == "rename":
        assert large.client.post(f"{path}:rename", {"to": "new"}, token=key).status == 200
        large = Collection(large.client, large.project, "new")
    elif change == "drop":
        assert large.client.delete(path, token=key).status == 204
    elif change == "delete project":
        slug = large.project.slug
        address = f"/v1/admin/projects/{slug}?confirm={slug}"
        assert large.client.delete(address, token=operator_token).status == 204
    else:
        assert large.declare(indexes=[]).status == 200
    took = time.monotonic() - began
    builder.join()
    assert took < 20  # not "as long as the build": only that it did not wait in vain
    assert not failures
    if change in ("drop", "delete project"):
        assert large.client.get(path, token=key).status in (401, 404)
        return
    build()
    states = [index["state"] for index in shown(large)["indexes"]]
    assert states == ([] if change == "redeclare" else ["ready", "ready"])
    if change == "array":
        assert large.ids(filter={"k": -7}) == ["x"]
    if change != "redeclare":
        assert large.ids(filter={"$text": {"$search": '"words 77 and"'}}) == ["0000077"]


def wait_for_progress(notes: Collection) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = [index.get("progress", {"total": 0}) for index in shown(notes)["indexes"]]
        if any(progress["total"] for progress in found):
            return
        time.sleep(0.01)
    raise AssertionError("no build has begun")


def test_commits_that_bring_the_first_arrays_at_once_all_succeed(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": [f"f{n}"]} for n in range(6)])
    arrays = {f"f{n}": [1, n] for n in range(6)}

    def commit(number: int) -> int:
        writes = [
            {"op": "create", "collection": "notes", "id": f"{number}-{n}", "data": data}
            for n, data in enumerate(({"a": 1}, arrays, {"a": 2}))
        ]
        reply = notes.client.post(
            f"{notes.project.path}/db/commit", {"writes": writes}, token=notes.project.secret_key
        )
        return reply.status

    writers = [partial(commit, number) for number in range(6)]
    single = [partial(lambda n: notes.create({"_id": f"s{n}", "f0": [n]}).status, n)
              for n in range(4)]  # fmt: skip
    assert sorted(run_all([*writers, *single])) == [200] * 6 + [201] * 4
    assert len(notes.ids(filter={"f3": 1})) == 6
    assert all(index.multikey for index in stored(notes).indexes)
    assert not any(stored(notes).scalars)


def test_one_builder_works_at_a_time(large: Collection) -> None:
    import psycopg
    from django.db import connection

    from documents.indexes import running

    large.create({"a": 1})
    large.declare(indexes=[{"fields": ["a"]}])
    params: dict[str, Any] = connection.get_connection_params()
    for name in ("cursor_factory", "context"):
        params.pop(name, None)
    with psycopg.Connection.connect(**params, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s, 0)", (running.LOCK,))
        build()
        assert shown(large)["indexes"][0]["state"] == "building"
    build()
    assert shown(large)["indexes"][0]["state"] == "ready"


def test_the_sweep_asks_a_worker_only_while_there_is_something_to_build(
    large: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from documents.indexes import builder, hints

    build()
    sent: list[int] = []
    monkeypatch.setattr(hints, "send", lambda: sent.append(1))
    builder.sweep()
    assert sent == []
    large.create({"a": 1})
    large.declare(indexes=[{"fields": ["a"]}])
    sent.clear()
    builder.sweep()
    assert sent == [1]


def test_the_worker_knows_the_task() -> None:
    from baas.celery import app
    from documents.indexes import hints

    app.loader.import_default_modules()
    assert hints.TASK in app.tasks
