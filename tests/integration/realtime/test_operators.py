"""Live queries with operators beyond comparisons."""

from typing import Any

import pytest

from tests.integration.realtime.conftest import Connect, Notes, ids, steps


def test_elements_patterns_and_types_are_watched(open_socket: Connect, notes: Notes) -> None:
    notes.create("a", tags=["red", "blue"], items=[{"k": 1, "v": 5}])
    notes.create("b", tags="Reddish", items=[{"k": 1}, {"v": 5}])
    socket = open_socket()
    asked = {
        "tags": {"$regex": "^red", "$options": "i"},
        "items": {"$elemMatch": {"k": 1, "v": {"$type": "int"}}},
    }
    assert ids(socket.watch(filter=asked)) == ["a"]
    notes.patch("b", items=[{"k": 1, "v": 7}])
    assert steps(socket.changes()) == [("added", "b", -1, 1)]
    notes.patch("a", tags=["blue"])
    assert steps(socket.changes()) == [("removed", "a", 0, -1)]
    socket.expect_silence()


@pytest.mark.parametrize(
    "filter",
    [
        {"$expr": {"$gt": ["$n", 1]}},
        {"$text": {"$search": "red"}},
        {"tags": {"$regex": "(?<=a)b"}},
        {"tags": {"$in": [{"$regex": r"(a)\1"}]}},
    ],
)
def test_what_only_the_database_can_tell_is_refused(
    open_socket: Connect, notes: Notes, filter: dict[str, Any]
) -> None:
    notes.create("a", n=2)
    socket = open_socket()
    refused = socket.ask(op="subscribe", channel="db", collection="notes", filter=filter)
    assert refused["problem"]["code"] == "unsupported_operator"
    socket.expect_silence()
