"""Live queries over a collection with hidden fields: Alice sees her own phone, nobody else does."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.realtime.conftest import Connect, Notes, ids, steps

SignUp = Callable[[str], dict[str, Any]]
OWN = "auth != null && doc._owner == auth.uid"


@pytest.fixture
def alice(sign_up: SignUp) -> dict[str, Any]:
    return sign_up("alice")


@pytest.fixture
def bob(sign_up: SignUp) -> dict[str, Any]:
    return sign_up("bob")


def declare(notes: Notes, rule: str = OWN) -> None:
    reply = notes.client.put(
        f"{notes.project.path}/collections/notes",
        {"rules": {"read": "public", "fields": {"phone": rule, "card.number": "closed"}}},
        token=notes.project.secret_key,
    )
    assert reply.status in (200, 201), reply


def test_snapshots_and_changes_are_without_what_is_hidden(
    open_socket: Connect, notes: Notes, alice: dict[str, Any], bob: dict[str, Any]
) -> None:
    declare(notes)
    uid = alice["user"]["id"]
    notes.create("a", _owner=uid, phone="+1", card={"number": 7, "kind": "x"})
    a, b = open_socket(alice["access_token"]), open_socket(bob["access_token"])
    (hers,), (his,) = a.watch(), b.watch()
    assert (hers["phone"], hers["card"]) == ("+1", {"kind": "x"})
    assert "phone" not in his
    assert his["card"] == {"kind": "x"}
    notes.patch("a", phone="+2")
    (hers,), (his,) = a.changes(), b.changes()
    assert hers["doc"]["phone"] == "+2"
    assert "phone" not in his["doc"]
    assert his["doc"]["card"] == {"kind": "x"}


def test_no_filter_and_no_sort_tells_of_it(
    open_socket: Connect, notes: Notes, alice: dict[str, Any], bob: dict[str, Any]
) -> None:
    declare(notes)
    uid = alice["user"]["id"]
    notes.create("a", _owner=uid, phone="9")
    notes.create("b", _owner=uid, phone="1")
    hers, his = open_socket(alice["access_token"]), open_socket(bob["access_token"])
    assert ids(hers.watch(filter={"phone": {"$exists": True}})) == ["a", "b"]
    assert ids(his.watch(filter={"phone": {"$exists": True}})) == []
    sorted_by_it = open_socket(bob["access_token"])
    assert ids(sorted_by_it.watch(sort=["phone"])) == ["a", "b"]
    notes.patch("a", phone="0")
    assert steps(sorted_by_it.changes()) == [("modified", "a", 0, 0)]
    notes.create("c", _owner=uid, phone="5")
    assert steps(sorted_by_it.changes()) == [("added", "c", -1, 2)]
    his.expect_silence()


def test_a_changed_rule_of_a_field_is_in_force_at_once(
    open_socket: Connect, notes: Notes, bob: dict[str, Any]
) -> None:
    declare(notes, "public")
    notes.create("a", phone="+1")
    socket = open_socket(bob["access_token"])
    assert socket.watch()[0]["phone"] == "+1"
    declare(notes, "closed")
    frame = socket.receive()
    assert frame["type"] == "reset"
    snapshot = socket.receive()
    assert snapshot["type"] == "snapshot"
    assert "phone" not in snapshot["docs"][0]
