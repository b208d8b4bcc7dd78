"""Which views a change is shown to: all that it may matter to, and few others."""

import json
from typing import Any

import pytest

from baas.kernel.events import Position
from realtime.changes import DocumentChange
from realtime.register import Views
from realtime.view import View
from tests.unit.realtime.live import caller, document, event, query


def view(**of: Any) -> View:
    async def load(_: Any) -> Any:
        raise AssertionError("nothing is loaded here")

    return View(query(**of), load, lambda: Position(0, 0))


def moved(before: str | None, after: str | None) -> DocumentChange:
    """A document whose owner was the one and is the other; None: it was not there, or is not."""
    states = {
        name: document("d") | {"_owner": owner}
        for name, owner in (("before", before), ("document", after))
        if owner is not None
    }
    return DocumentChange(event(1, "d", None, data=json.dumps(states)))


@pytest.mark.parametrize(
    ("before", "after", "concerned"),
    [
        (None, "alice", {"alice", "anybody"}),
        ("alice", "alice", {"alice", "anybody"}),
        ("alice", "bob", {"alice", "bob", "anybody"}),
        ("bob", None, {"bob", "anybody"}),
        ("charlie", "charlie", {"anybody"}),
    ],
)
def test_owners_views_hear_of_what_is_or_was_theirs(
    before: str | None, after: str | None, concerned: set[str]
) -> None:
    views = Views()
    names = {
        view(rule="owner", by=caller("alice")): "alice",
        view(filter={"_owner": "bob", "n": 1}): "bob",
        view(rule="doc.public == true || doc._owner == auth.uid", by=caller("bob")): "anybody",
    }
    for one in names:
        views.add(one)
    change = moved(before, after)
    assert {names[one] for one, _ in views.concerned([change])} == concerned
    for one in names:
        views.remove(one)
    assert len(views) == 0
    assert list(views.concerned([change])) == []


def test_changes_come_in_their_order_and_once() -> None:
    views = Views()
    hers = view(rule="owner", by=caller("alice"))
    views.add(hers)
    changes = [moved("alice", "alice"), moved("alice", "bob"), moved("bob", "bob")]
    assert list(views.concerned(changes)) == [(hers, changes[:2])]


@pytest.mark.parametrize(
    ("of", "owner"),
    [
        ({"rule": "owner", "by": caller("a")}, "a"),
        ({"rule": "doc.n > 1 && auth.uid == doc._owner", "by": caller("a")}, "a"),
        ({"rule": "doc._owner != auth.uid", "by": caller("a")}, None),
        ({"rule": "doc._owner == auth.role", "by": caller("a")}, None),
        ({"rule": "doc._owner == auth.uid || doc.n == 1", "by": caller("a")}, None),
        ({"rule": "!(doc._owner == auth.uid)", "by": caller("a")}, None),
        ({"filter": {"_owner": "b"}}, "b"),
        ({"filter": {"$and": [{"n": 1}, {"_owner": {"$eq": "b"}}]}}, "b"),
        ({"filter": {"$or": [{"n": 1}, {"_owner": "b"}]}}, None),
        ({"filter": {"_owner": {"$ne": "b"}}}, None),
        ({"filter": {"_owner": None}}, None),
        ({}, None),
    ],
)
def test_it_knows_when_only_one_users_documents_can_be_shown(
    of: dict[str, Any], owner: str | None
) -> None:
    assert query(**of).owner == owner
