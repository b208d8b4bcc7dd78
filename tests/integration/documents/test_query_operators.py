"""Filter operators through HTTP: what they find, and what they refuse."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.documents.conftest import Collection

DOCUMENTS: list[dict[str, Any]] = [
    {"_id": "1", "n": 5, "s": "Straße 12", "a": [1, 5, 9], "o": {"x": 1}, "b": True},
    {"_id": "2", "n": 5.5, "s": "line one\nline two", "a": [{"k": 1, "v": 9}, {"k": 5, "v": 2}]},
    {"_id": "3", "n": -7, "s": "ABC", "a": [[1, 2], [3]], "o": {"x": 2}, "b": False},
    {"_id": "4", "n": None, "s": ["xyz", "abc"], "a": [], "o": {"x": 1, "y": 0}},
    {"_id": "5", "d": {"$date": "2024-05-01T00:00:00Z"}, "bin": {"$binary": "AAEC"}, "a": 5},
    {"_id": "6", "n": 10**30, "s": "a.b", "a": [{"k": [1, 2]}, {"k": 7, "v": None}], "o": [1]},
]

CASES: list[tuple[dict[str, Any], list[str]]] = [
    # $type: names, numbers, several; arrays by their elements and as a whole
    ({"n": {"$type": "number"}}, ["1", "2", "3", "6"]),
    ({"n": {"$type": "int"}}, ["1", "3", "6"]),
    ({"n": {"$type": 16}}, ["1", "3", "6"]),
    ({"n": {"$type": "double"}}, ["1", "2", "3", "6"]),
    ({"n": {"$type": ["null", 2]}}, ["4"]),
    ({"a": {"$type": "array"}}, ["1", "2", "3", "4", "6"]),
    ({"a": {"$type": "object"}}, ["2", "6"]),
    ({"d": {"$type": "date"}}, ["5"]),
    ({"d": {"$type": "object"}}, []),
    ({"bin": {"$type": "binData"}}, ["5"]),
    ({"_id": {"$type": "objectId"}}, []),
    ({"_id": {"$type": "string"}}, ["1", "2", "3", "4", "5", "6"]),
    ({"_createdAt": {"$type": "date"}}, ["1", "2", "3", "4", "5", "6"]),
    ({"b": {"$not": {"$type": "bool"}}}, ["2", "4", "5", "6"]),
    # $regex
    ({"s": {"$regex": "abc"}}, ["4"]),
    ({"s": {"$regex": "abc", "$options": "i"}}, ["3", "4"]),
    ({"s": {"$regex": "STRASSE|STRAßE", "$options": "i"}}, ["1"]),
    ({"s": {"$regex": "^line two$"}}, []),
    ({"s": {"$regex": "^line two$", "$options": "m"}}, ["2"]),
    ({"s": {"$regex": "one.line"}}, []),
    ({"s": {"$regex": "one.line", "$options": "s"}}, ["2"]),
    ({"s": {"$regex": "one[^x]line"}}, ["2"]),
    ({"s": {"$regex": "o n e  # a comment", "$options": "x"}}, ["2"]),
    ({"s": {"$regex": "(?i)^abc$"}}, ["3", "4"]),
    ({"s": {"$regex": r"a\.b"}}, ["6"]),
    ({"s": {"$regex": r"\bline\b.*\btwo\b", "$options": "s"}}, ["2"]),
    ({"s": {"$regex": r"(\w)\w*\n\1"}}, []),
    ({"s": {"$regex": r"(?<=line )two"}}, ["2"]),
    ({"s": {"$not": {"$regex": "a"}}}, ["2", "3", "5"]),
    ({"s": {"$in": [{"$regex": "^x"}, "ABC"]}}, ["3", "4"]),
    ({"s": {"$nin": [{"$regex": "^[xa]"}, {"$regex": "^A"}]}}, ["1", "2", "5"]),
    ({"s": {"$all": [{"$regex": "^x"}, "abc"]}}, ["4"]),
    ({"s": {"$regex": "", "$ne": "ABC"}}, ["1", "2", "4", "6"]),
    ({"_id": {"$regex": "^[1-3]$"}}, ["1", "2", "3"]),
    ({"_id": {"$regex": "^2"}}, ["2"]),
    ({"n": {"$regex": "5"}}, []),
    # $mod: numbers are cut to whole ones
    ({"n": {"$mod": [5, 0]}}, ["1", "2", "6"]),
    ({"n": {"$mod": [4, -3]}}, ["3"]),
    ({"n": {"$mod": [2.9, 1.9]}}, ["1", "2"]),
    ({"a": {"$mod": [3, 0]}}, ["1"]),
    # $size
    ({"a": {"$size": 2}}, ["2", "3", "6"]),
    ({"a": {"$size": 0.0}}, ["4"]),
    ({"a.0": {"$size": 2}}, ["3"]),
    ({"a.k": {"$size": 2}}, ["6"]),
    ({"n": {"$size": 1}}, []),
    # $all
    ({"a": {"$all": [1, 9]}}, ["1"]),
    ({"a": {"$all": [5]}}, ["1", "5"]),
    ({"a": {"$all": []}}, []),
    ({"a": {"$all": [[1, 2]]}}, ["3"]),
    ({"a.k": {"$all": [1, 5]}}, ["2"]),
    ({"a": {"$all": [{"$elemMatch": {"k": 1}}, {"$elemMatch": {"v": 2}}]}}, ["2"]),
    ({"z": {"$all": [None]}}, ["1", "2", "3", "4", "5", "6"]),
    # $elemMatch: one element fulfils all
    ({"a": {"$elemMatch": {"k": 1, "v": {"$gt": 5}}}}, ["2"]),
    ({"a": {"$elemMatch": {"k": 1, "v": {"$lt": 5}}}}, []),
    ({"a.k": 1, "a.v": {"$lt": 5}}, ["2"]),
    ({"a": {"$elemMatch": {"$gt": 4, "$lt": 6}}}, ["1"]),
    ({"a": {"$elemMatch": {"$elemMatch": {"$gte": 3}}}}, ["3"]),
    ({"a": {"$elemMatch": {"0": 3}}}, ["3"]),
    ({"a": {"$elemMatch": {"k": 2}}}, ["6"]),
    ({"a": {"$elemMatch": {"v": None}}}, ["3", "6"]),
    ({"a": {"$elemMatch": {"v": {"$exists": False}}}}, ["3", "6"]),
    ({"a": {"$elemMatch": {"$or": [{"k": 7}, {"v": 2}]}}}, ["2", "6"]),
    ({"a": {"$elemMatch": {"$not": {"$gt": 1}}}}, ["1", "2", "3", "6"]),
    ({"a": {"$elemMatch": {"$in": [9, [3]]}}}, ["1", "3"]),
    ({"a": {"$elemMatch": {}}}, ["2", "3", "6"]),
    ({"a": {"$not": {"$elemMatch": {"$type": "number"}}}}, ["2", "3", "4", "5", "6"]),
    ({"a": {"$elemMatch": {"k": {"$elemMatch": {"$eq": 2}}}}}, ["6"]),
    # Order of arrays, objects, booleans, binary
    ({"a": {"$gt": [1, 5]}}, ["1", "2", "3", "6"]),
    ({"a": {"$lt": [1, 5, 9]}}, ["3", "4"]),
    ({"a": {"$gte": [1, 5, 9]}}, ["1", "2", "3", "6"]),
    ({"a": {"$lte": []}}, ["4"]),
    ({"o": {"$gt": {"x": 1}}}, ["3", "4"]),
    ({"o": {"$lte": {"x": 1}}}, ["1"]),
    ({"o": {"$gte": []}}, ["6"]),
    ({"b": {"$gte": False}}, ["1", "3"]),
    ({"b": {"$lt": True}}, ["3"]),
    ({"bin": {"$binary": {"base64": "AAEC", "subType": "0"}}}, ["5"]),
    ({"bin": {"$gt": {"$binary": "AAE="}}}, ["5"]),
    ({"n": {"$gt": {"$numberLong": "6"}}}, ["6"]),
    ({"d": {"$date": {"$numberLong": "1714521600000"}}}, ["5"]),
    # What only describes
    ({"$comment": "for the log", "n": {"$eq": 5, "$comment": 1}}, ["1"]),
]


@pytest.fixture
def some(notes: Collection) -> Collection:
    assert notes.create(DOCUMENTS).status == 201
    return notes


def test_operators_mean_what_they_mean_in_mongodb(some: Collection) -> None:
    for filter, ids in CASES:
        assert some.ids(filter=filter) == ids, filter


def test_they_mean_the_same_with_an_index_and_with_a_multikey_index(notes: Collection) -> None:
    indexes = [{"fields": [field]} for field in ("n", "s", "a", "a.k", "o", "b", "d", "bin")]
    assert notes.declare(indexes=indexes).status == 201
    assert notes.create(DOCUMENTS).status == 201
    for filter, ids in CASES:
        assert notes.ids(filter=filter) == ids, filter


@pytest.mark.parametrize(
    "condition",
    [
        {"$type": "text"},
        {"$type": []},
        {"$type": 99},
        {"$type": None},
        {"$regex": 5},
        {"$regex": "("},
        {"$regex": "a{2,1}"},
        {"$regex": "x\0"},
        {"$regex": "x" * 2001},
        {"$regex": "a", "$options": "g"},
        {"$options": "i"},
        {"$regex": "***=a"},
        # PCRE's, not PostgreSQL's: never taken for something else
        {"$regex": "(?<name>a)"},
        {"$regex": "a++"},
        {"$regex": r"\Qa.b\E"},
        {"$regex": r"\h"},
        {"$regex": r"\R"},
        {"$regex": r"\K"},
        {"$regex": r"\p{L}"},
        {"$regex": "(?i:a)"},
        {"$regex": "a(?i)b"},
        {"$regex": r"\z"},
        {"$regex": "(?>a)"},
        {"$regex": r"\G"},
        {"$mod": 5},
        {"$mod": [5]},
        {"$mod": [0, 1]},
        {"$mod": [0.5, 1]},
        {"$mod": ["5", 1]},
        {"$mod": [5, 1, 0]},
        {"$size": -1},
        {"$size": 1.5},
        {"$size": "1"},
        {"$all": 5},
        {"$all": [{"$elemMatch": {"a": 1}}, 5]},
        {"$elemMatch": 5},
        {"$elemMatch": {"a": 1, "$gt": 5, "b": {"$size": -1}}},
        {"$elemMatch": {"$expr": True}},
        {"$not": {"$mod": [0, 0]}},
        {"$gt": {"$date": "soon"}},
    ],
)
def test_wrong_arguments_are_refused_even_where_there_is_nothing(
    notes: Collection, condition: dict[str, Any]
) -> None:
    assert notes.declare().status == 201
    reply = notes.query(filter={"a": condition})
    assert reply.status == 400
    assert reply.code in ("invalid_query", "unsupported_operator")
    assert reply.code == "invalid_query" or "$gt" in condition.get("$elemMatch", {})


@pytest.mark.parametrize(
    "filter",
    [
        {"$jsonSchema": {}},
        {"$where": "true"},
        {"a": {"$eq": {"$regex": "x"}}},
        {"a": {"$gt": {"$maxKey": 1}}},
        {"a": {"$bitsAllSet": 1}},
        {"a": {"$elemMatch": {"$nope": 1}}},
        {"a": {"$all": [{"$gt": 1}]}},
        {"a": {"$in": [{"$gt": 1}]}},
    ],
)
def test_operators_that_are_not_there_are_refused(
    notes: Collection, filter: dict[str, Any]
) -> None:
    reply = notes.query(filter=filter)
    assert (reply.status, reply.code) == (400, "unsupported_operator")


def test_an_expression_is_a_condition(some: Collection) -> None:
    assert some.ids(filter={"$expr": {"$gt": ["$n", 5]}}) == ["2", "6"]
    assert some.ids(filter={"$expr": {"$eq": ["$o.x", 1]}, "n": 5}) == ["1"]
    assert some.ids(filter={"$or": [{"$expr": "$b"}, {"_id": "6"}]}) == ["1", "6"]
    total = some.client.post(
        f"{some.path}/count",
        {"filter": {"$expr": {"$lt": ["$n", 0]}}},
        token=some.project.secret_key,
    )
    # Missing and null come before numbers.
    assert total.json == {"total": 3}


def test_an_expression_that_fails_says_so_but_not_about_what_may_not_be_read(
    notes: Collection, sign_up: Callable[[str], tuple[str, str]]
) -> None:
    charlie, _ = sign_up("charlie")
    assert notes.declare(rules={"read": "doc.open == true"}).status == 201
    notes.create([{"_id": "1", "open": True, "n": 1}, {"_id": "2", "open": False, "n": 0}])
    failing = {"$expr": {"$gt": [{"$divide": [1, "$n"]}, 0]}}
    refused = notes.query(filter=failing)
    assert (refused.status, refused.code) == (400, "invalid_query")
    before = notes.project.events()
    for filter in (failing, {"n": {"$gte": 0}, **failing}, {"$or": [{"x": 1}, failing]}):
        assert notes.ids(charlie, filter=filter) == ["1"], filter
        total = notes.client.post(f"{notes.path}/count", {"filter": filter}, token=charlie)
        assert total.json == {"total": 1}
        found = notes.client.post(
            f"{notes.path}/aggregate", {"pipeline": [{"$match": filter}]}, token=charlie
        )
        assert [document["_id"] for document in found.json["items"]] == ["1"]
    assert notes.project.events() == before


def test_deep_and_long_values_have_their_place(notes: Collection) -> None:
    def nested(depth: int, value: Any) -> Any:
        for level in range(depth):
            value = {"k": value} if level % 2 else [value]
        return value

    assert notes.declare(indexes=[{"fields": ["a"]}]).status == 201
    notes.create([{"_id": str(n), "a": nested(90, n), "b": nested(90, n)} for n in (2, 1, 3)])
    assert notes.ids(sort=["a"]) == ["1", "2", "3"]
    assert notes.ids(sort=["-b"]) == ["3", "2", "1"]
    assert notes.ids(filter={"a": {"$gt": nested(90, 1)}}) == ["2", "3"]
    assert notes.ids(filter={"a": nested(90, 2.0)}) == ["2"]
    before = notes.project.events()
    refused = notes.create({"_id": "long", "a": {"k": secrets.token_hex(3000)}})
    assert (refused.status, refused.code) == (422, "index_value_too_long")
    assert notes.project.events() == before
    # An index of members has no such limit.
    assert notes.create({"_id": "4", "a": ["x", "y"]}).status == 201
    long = {"k": secrets.token_hex(3000)}
    created = notes.create({"_id": "long", "a": [long, 1]})
    assert created.status == 201, created
    assert notes.ids(filter={"a": long}) == ["long"]
    assert notes.ids(filter={"a": {"$in": ["y", long]}}) == ["4", "long"]
