"""When subscriptions share a window."""

from typing import Any

import pytest

from realtime.queries import LiveQuery
from tests.unit.realtime.live import caller, change, document, query


def test_the_same_question_has_the_same_key() -> None:
    a = query(filter={"a": 1, "b": {"$gt": 2}}, order=["-n"])
    b = query(filter={"b": {"$gt": 2}, "a": 1}, order={"n": -1})
    assert (a.key, a.fingerprint) == (b.key, b.fingerprint)


@pytest.mark.parametrize(
    "other",
    [
        {"filter": {"a": 2}},
        {"filter": {"a": "1"}},
        {"filter": {"a": 1}, "order": ["n"]},
        {"filter": {"a": 1}, "limit": 11},
        {"filter": {"a": 1}, "rule": "public"},
        {"filter": {"a": 1}, "rule": "owner", "by": caller("alice")},
    ],
)
def test_another_question_has_another_key(other: dict[str, Any]) -> None:
    assert query(filter={"a": 1}).key != query(**other).key
    assert query(filter={"a": 1}).fingerprint != query(**other).fingerprint


def test_a_change_is_judged_once_for_all_windows_of_a_class() -> None:
    judged: list[str] = []
    first, second = query(filter={"n": 1}), query(filter={"n": 1}, limit=3, order=["-n"])

    def counting(of: LiveQuery) -> None:
        selects = of.selects
        object.__setattr__(of, "selects", lambda d: judged.append(d["_id"]) or selects(d))

    counting(first)
    counting(second)
    found = change(1, "a", document("a", n=1))
    entries = first.entry_of(found), second.entry_of(found)
    assert entries[0] is not None
    assert entries[1] is not None
    assert entries[0].json is entries[1].json
    assert judged == ["a"]


def test_the_order_is_that_of_the_sort() -> None:
    of = query(order=["-n", "_id"])
    documents = [document(i, n=n) for i, n in (("a", 1), ("b", 5), ("c", 5), ("d", None))]
    ordered = sorted(documents, key=of.place)
    assert [d["_id"] for d in ordered] == ["b", "c", "a", "d"]
