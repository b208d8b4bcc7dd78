from typing import Any

import mongomock

from tests.oracle import Mingo, OracleError

DOCS: list[dict[str, Any]] = [
    {"_id": "1", "tags": ["a", "b"], "n": 2, "at": {"$date": "2024-05-01T10:00:00.000Z"}},
    {"_id": "2", "n": 1, "items": [{"k": 1}, {"k": 5}]},
]


def test_it_finds_aggregates_and_updates(mingo: Mingo) -> None:
    found, sums, updated, refused = mingo.ask(
        DOCS,
        [
            {"op": "find", "filter": {"tags": "a"}},
            {"op": "aggregate", "pipeline": [{"$group": {"_id": None, "n": {"$sum": "$n"}}}]},
            {
                "op": "update",
                "filter": {"_id": "2"},
                "update": {"$inc": {"items.$[x].k": 10}},
                "array_filters": [{"x.k": {"$gt": 2}}],
            },
            {"op": "aggregate", "pipeline": [{"$project": {"v": {"$nonsense": 1}}}]},
        ],
    )
    assert found == [DOCS[0]]
    assert sums == [{"_id": None, "n": 3}]
    assert updated["docs"][1]["items"] == [{"k": 1}, {"k": 15}]
    assert (updated["matched"], updated["modified"]) == (1, 1)
    assert isinstance(refused, OracleError)


def test_a_case_does_not_see_what_another_changed(mingo: Mingo) -> None:
    change = {"op": "update", "filter": {}, "update": {"$set": {"n": 9}}, "many": True}
    _, found = mingo.ask(DOCS, [change, {"op": "find", "filter": {"n": 9}}])
    assert found == []


def test_mongomock_answers_too() -> None:
    notes = mongomock.MongoClient().db.notes
    notes.insert_many([{"_id": "1", "n": [1, 5]}, {"_id": "2", "n": 3}])
    assert [each["_id"] for each in notes.find({"n": {"$gt": 4}})] == ["1"]
