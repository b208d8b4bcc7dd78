"""Snapshots and changes of a collection, over a real websocket."""

from typing import Any

import pytest

from tests.integration.realtime.conftest import Connect, Notes, ids, steps


def test_it_sends_a_snapshot_and_then_each_change(open_socket: Connect, notes: Notes) -> None:
    notes.create("b", n=2)
    notes.create("a", n=1)
    socket = open_socket()
    documents = socket.watch()
    assert ids(documents) == ["a", "b"]
    assert documents[0] == {
        "_id": "a",
        "n": 1,
        "_version": 1,
        "_owner": None,
        "_createdAt": documents[0]["_createdAt"],
        "_updatedAt": documents[0]["_updatedAt"],
    }
    notes.create("c", n=3)
    (added,) = socket.changes()
    assert added["doc"]["n"] == 3
    assert steps([added]) == [("added", "c", -1, 2)]
    notes.patch("a", n=9)
    (modified,) = socket.changes()
    assert (modified["doc"]["n"], modified["doc"]["_version"]) == (9, 2)
    assert steps([modified]) == [("modified", "a", 0, 0)]
    notes.delete("b")
    (removed,) = socket.changes()
    assert steps([removed]) == [("removed", "b", 1, -1)]
    assert "doc" not in removed


def test_a_change_has_the_document_as_a_read_has_it(open_socket: Connect, notes: Notes) -> None:
    """Numbers keep every digit, in snapshots and in changes."""
    socket = open_socket()
    socket.watch()
    big = 2**80 + 1
    notes.create("n", big=big, deep={"list": [1, {"é": "ü"}]})
    (added,) = socket.changes()
    path = f"{notes.project.path}/db/notes/docs/n"
    assert added["doc"] == notes.client.get(path, token=notes.token).json
    assert added["doc"]["big"] == big
    assert open_socket().watch() == [added["doc"]]


def test_a_filter_decides_what_is_added_and_removed(open_socket: Connect, notes: Notes) -> None:
    notes.create("a", n=1)
    notes.create("b", n=5)
    socket = open_socket()
    assert ids(socket.watch(filter={"n": {"$gt": 3}})) == ["b"]
    notes.create("c", n=2)  # not in the result: no frame
    notes.patch("a", n=4)
    assert steps(socket.changes()) == [("added", "a", -1, 0)]
    notes.patch("b", n=0)
    assert steps(socket.changes()) == [("removed", "b", 1, -1)]
    socket.expect_silence()


def test_a_sort_decides_where(open_socket: Connect, notes: Notes) -> None:
    for id, n in (("a", 1), ("b", 2), ("c", 3)):
        notes.create(id, n=n)
    socket = open_socket()
    assert ids(socket.watch(sort=["-n"])) == ["c", "b", "a"]
    notes.patch("a", n=10)
    assert steps(socket.changes()) == [("modified", "a", 2, 0)]


def test_the_next_document_comes_in_when_one_leaves_the_limit(
    open_socket: Connect, notes: Notes
) -> None:
    for id in "abcd":
        notes.create(id)
    socket = open_socket()
    assert ids(socket.watch(limit=2)) == ["a", "b"]
    notes.delete("a")
    assert steps(socket.changes()) == [("removed", "a", 0, -1), ("added", "c", -1, 1)]
    notes.create("a")
    assert steps(socket.changes()) == [("removed", "c", 1, -1), ("added", "a", -1, 0)]


def test_a_window_whose_margin_is_used_up_is_filled_from_the_database(
    open_socket: Connect, notes: Notes
) -> None:
    everything = [f"d{n:03}" for n in range(60)]
    _write(
        notes, [{"op": "create", "collection": "notes", "id": i, "data": {}} for i in everything]
    )
    socket = open_socket()
    shown = ids(socket.watch(limit=3))
    _write(notes, [{"op": "delete", "collection": "notes", "id": i} for i in everything[:50]])
    while shown != everything[50:53]:
        for change in socket.changes():
            if change["old_index"] >= 0:
                assert shown.pop(change["old_index"]) == change["id"]
            if change["new_index"] >= 0:
                shown.insert(change["new_index"], change["id"])


def _write(notes: Notes, writes: list[dict[str, Any]]) -> None:
    reply = notes.client.post(
        f"{notes.project.path}/db/commit", {"writes": writes}, token=notes.token
    )
    assert reply.status == 200, reply


def test_one_transaction_is_one_frame(open_socket: Connect, notes: Notes) -> None:
    socket = open_socket()
    socket.watch()
    _write(
        notes,
        [{"op": "create", "collection": "notes", "id": i, "data": {}} for i in ("x", "y", "z")],
    )
    assert [change["id"] for change in socket.changes()] == ["x", "y", "z"]


def test_several_subscriptions_of_a_socket_have_their_own_names(
    open_socket: Connect, notes: Notes
) -> None:
    socket = open_socket()
    first = socket.subscribe(filter={"kind": "a"})
    assert socket.receive()["sub"] == first
    second = socket.subscribe(filter={"kind": "b"})
    assert socket.receive()["sub"] == second
    notes.create("1", kind="b")
    frame = socket.receive()
    assert (frame["sub"], frame["changes"][0]["id"]) == (second, "1")
    assert socket.ask(op="unsubscribe", sub=second)["ok"] is True
    notes.create("2", kind="b")
    notes.create("3", kind="a")
    frame = socket.receive()
    assert (frame["sub"], frame["changes"][0]["id"]) == (first, "3")


def test_whoever_joins_later_sees_what_was_committed_before(
    open_socket: Connect, notes: Notes
) -> None:
    sockets = [open_socket()]
    assert sockets[0].watch() == []
    for n in range(20):
        notes.create(f"d{n:02}")
        sockets.append(open_socket())
        assert len(sockets[-1].watch()) == n + 1


def test_other_projects_and_collections_are_not_heard(
    open_socket: Connect, notes: Notes, make_project: Any, client: Any
) -> None:
    socket = open_socket()
    socket.watch()
    other = Notes(client, make_project())
    other.declare()
    other.create("theirs")
    notes.declare(name="others")
    notes.create("elsewhere", name="others")
    socket.expect_silence()


def test_a_key_may_watch_a_collection_before_its_first_document(
    open_socket: Connect, notes: Notes
) -> None:
    socket = open_socket(notes.token)
    assert socket.watch("drafts") == []
    notes.create("first", name="drafts")
    # The write makes the collection: the socket may be told by a change, or by a reset before it.
    shown: list[dict[str, Any]] = []
    while not shown:
        frame = socket.receive()
        shown = frame.get("docs", []) + [change["doc"] for change in frame.get("changes", [])]
    assert ids(shown) == ["first"]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"filter": {"$where": "1"}}, "unsupported_operator"),
        ({"filter": [1]}, "invalid_query"),
        ({"sort": {"a": 7}}, "invalid_query"),
        ({"limit": 0}, "invalid_frame"),
        ({"limit": 5001}, "invalid_frame"),
        ({"limit": True}, "invalid_frame"),
        ({"collection": "no spaces"}, "invalid_collection_name"),
        ({"collection": 5}, "invalid_frame"),
        ({"since": 5}, "invalid_frame"),
        ({"channel": "room", "name": "lobby"}, "unsupported_channel"),
        ({"channel": None}, "unsupported_channel"),
    ],
)
def test_it_refuses_subscriptions_that_make_no_sense(
    open_socket: Connect, notes: Notes, frame: dict[str, Any], code: str
) -> None:
    socket = open_socket()
    reply = socket.ask(**{"op": "subscribe", "channel": "db", "collection": "notes", **frame})
    assert reply["problem"]["code"] == code, reply
    assert reply["problem"]["request_id"]
    assert socket.ask(op="ping")["ok"] is True


def test_who_comes_after_nobody_was_there_misses_nothing(
    open_socket: Connect, notes: Notes
) -> None:
    """Without subscribers the log is not read; the first one to come gets all from there on."""
    socket = open_socket()
    for round_ in range(3):
        sub = socket.subscribe()
        assert len(socket.receive()["docs"]) == 2 * round_
        notes.create(f"seen{round_}")
        (added,) = socket.changes()
        assert added["doc"]["_id"] == f"seen{round_}"
        assert socket.ask(op="unsubscribe", sub=sub)["ok"]
        notes.create(f"unseen{round_}")
