"""Arrays, sets, objects, variables and accumulators: values by MongoDB's manual."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from baas.kernel.problems import Malformed
from documents import values
from tests.integration.documents.expressions_table import MISSING, value


@pytest.fixture(autouse=True)
def database(migrated: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


DOC: dict[str, Any] = {
    "n": None,
    "t": "text",
    "l": [3, 1, 2],
    "e": [],
    "m": [1, None, "x", False],
    "people": [{"name": "Ann", "age": 41}, {"name": "Bob", "age": 17}, {"name": "Cid"}],
    "o": {"b": 2, "a": 1},
    "dotted": {"k": 1},
}
X = {"$date": "2024-05-01T10:00:00.000Z"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"$arrayElemAt": ["$l", 0]}, 3),
        ({"$arrayElemAt": ["$l", -1]}, 2),
        ({"$arrayElemAt": ["$l", 7]}, MISSING),
        ({"$arrayElemAt": ["$n", 0]}, None),
        ({"$first": "$l"}, 3),
        ({"$last": "$l"}, 2),
        ({"$first": "$e"}, MISSING),
        ({"$last": "$nothing"}, None),
        ({"$firstN": {"n": 2, "input": "$l"}}, [3, 1]),
        ({"$lastN": {"n": 2, "input": "$l"}}, [1, 2]),
        ({"$lastN": {"n": 9, "input": "$l"}}, [3, 1, 2]),
        ({"$maxN": {"n": 2, "input": "$l"}}, [3, 2]),
        ({"$minN": {"n": 5, "input": "$m"}}, [1, "x", False]),
        ({"$slice": ["$l", 2]}, [3, 1]),
        ({"$slice": ["$l", -2]}, [1, 2]),
        ({"$slice": ["$l", 1, 5]}, [1, 2]),
        ({"$slice": ["$l", -2, 1]}, [1]),
        ({"$slice": ["$l", -9, 2]}, [3, 1]),
        ({"$slice": ["$l", 9, 2]}, []),
        ({"$slice": ["$l", 0]}, []),
        ({"$slice": ["$n", 1]}, None),
        ({"$concatArrays": ["$l", [9], "$e"]}, [3, 1, 2, 9]),
        ({"$concatArrays": ["$l", "$n"]}, None),
        ({"$concatArrays": []}, []),
        ({"$size": "$l"}, 3),
        ({"$in": [2, "$l"]}, True),
        ({"$in": ["$t", ["a", "text"]]}, True),
        ({"$in": ["$nothing", ["a", None]]}, False),
        ({"$in": [Decimal("2.0"), "$l"]}, True),
        ({"$in": [{"a": 1, "b": 2}, [{"b": 2, "a": 1}]]}, True),
        ({"$indexOfArray": ["$l", 2]}, 2),
        ({"$indexOfArray": ["$l", 3, 1]}, -1),
        ({"$indexOfArray": ["$l", 2, 0, 2]}, -1),
        ({"$indexOfArray": ["$n", 2]}, None),
        ({"$isArray": ["$l"]}, True),
        ({"$isArray": "$nothing"}, False),
        ({"$reverseArray": "$l"}, [2, 1, 3]),
        ({"$reverseArray": "$n"}, None),
        ({"$range": [0, 5, 2]}, [0, 2, 4]),
        ({"$range": [3, 0, -1]}, [3, 2, 1]),
        ({"$range": [3, 0]}, []),
        ({"$range": [0, 4, 2]}, [0, 2]),
        ({"$zip": {"inputs": ["$l", ["a", "b"]]}}, [[3, "a"], [1, "b"]]),
        (
            {"$zip": {"inputs": ["$l", ["a"]], "useLongestLength": True, "defaults": [0, "-"]}},
            [[3, "a"], [1, "-"], [2, "-"]],
        ),
        ({"$zip": {"inputs": ["$l", "$n"]}}, None),
        ({"$zip": {"inputs": [[1], "$e"], "useLongestLength": True}}, [[1, None]]),
        ({"$arrayToObject": [[["a", 1], ["b", "$l"]]]}, {"a": 1, "b": [3, 1, 2]}),
        ({"$arrayToObject": {"$literal": [{"k": "a", "v": 1}, {"k": "a", "v": 2}]}}, {"a": 2}),
        ({"$arrayToObject": "$n"}, None),
        ({"$arrayToObject": "$e"}, {}),
        ({"$objectToArray": "$o"}, [{"k": "a", "v": 1}, {"k": "b", "v": 2}]),
        ({"$objectToArray": "$nothing"}, None),
        ({"$allElementsTrue": ["$m"]}, False),
        ({"$allElementsTrue": ["$e"]}, True),
        ({"$allElementsTrue": [[1, "x", []]]}, True),
        ({"$anyElementTrue": ["$m"]}, True),
        ({"$anyElementTrue": [[0, None, False]]}, False),
        ({"$setEquals": [["a", "b", "a"], ["b", "a"]]}, True),
        ({"$setEquals": ["$l", [1, 2]]}, False),
        ({"$setIntersection": ["$l", [2, 3, 4]]}, [3, 2]),
        ({"$setIntersection": ["$l", "$n"]}, None),
        ({"$setIntersection": []}, []),
        ({"$setUnion": [[1, 2, 1], [3, 2]]}, [1, 2, 3]),
        ({"$setDifference": ["$l", [1]]}, [3, 2]),
        ({"$setIsSubset": [[1, 1], "$l"]}, True),
        ({"$setIsSubset": [[None], "$m"]}, True),
        ({"$mergeObjects": ["$o", {"b": 3}, "$n"]}, {"a": 1, "b": 3}),
        ({"$mergeObjects": "$people"}, {"name": "Cid", "age": 17}),
        ({"$mergeObjects": ["$nothing"]}, {}),
        ({"$getField": "t"}, "text"),
        ({"$getField": {"field": "a", "input": "$o"}}, 1),
        ({"$getField": {"field": "a", "input": "$l"}}, MISSING),
        ({"$getField": {"field": "a.b", "input": {"$setField": {
            "field": "a.b", "input": "$o", "value": 5}}}}, 5),
        ({"$setField": {"field": "a", "input": "$o", "value": "$$REMOVE"}}, {"b": 2}),
        ({"$unsetField": {"field": "b", "input": "$o"}}, {"a": 1}),
        ({"$setField": {"field": "a", "input": "$nothing", "value": 1}}, None),
        ({"$sum": "$l"}, 6),
        ({"$sum": ["$l", 5, "$t"]}, 5),
        ({"$sum": "$t"}, 0),
        ({"$sum": ["$people.age"]}, 58),
        ({"$avg": "$l"}, 2),
        ({"$avg": ["$t", "$n"]}, None),
        ({"$avg": [1, 2]}, Decimal("1.5")),
        ({"$min": "$m"}, 1),
        ({"$max": "$m"}, False),
        ({"$max": ["$n", "$nothing"]}, None),
        ({"$max": [X, True, "z"]}, X),
        ({"$stdDevPop": [1, 3]}, 1),
        ({"$stdDevSamp": [1]}, None),
        ({"$stdDevSamp": [[2, 4, 6]]}, 2),
        ({"$let": {"vars": {"x": "$l", "y": 2}, "in": {"$sum": ["$$x.n", "$$y"]}}}, 2),
        ({"$let": {"vars": {"x": "$o"}, "in": "$$x.a"}}, 1),
        (
            {"$let": {"vars": {"x": 1}, "in": {"$let": {"vars": {"x": 2, "y": "$$x"},
             "in": ["$$x", "$$y"]}}}},
            [2, 1],
        ),
        ({"$map": {"input": "$l", "as": "i", "in": {"$add": ["$$i", 1]}}}, [4, 2, 3]),
        ({"$map": {"input": "$l", "in": "$$this"}}, [3, 1, 2]),
        ({"$map": {"input": "$people", "as": "p", "in": "$$p.age"}}, [41, 17, None]),
        ({"$map": {"input": "$n", "in": 1}}, None),
        ({"$map": {"input": "$e", "in": 1}}, []),
        ({"$filter": {"input": "$l", "as": "i", "cond": {"$gt": ["$$i", 1]}}}, [3, 2]),
        ({"$filter": {"input": "$l", "cond": {"$gt": ["$$this", 0]}, "limit": 2}}, [3, 1]),
        ({"$filter": {"input": "$l", "cond": True, "limit": None}}, [3, 1, 2]),
        ({"$filter": {"input": "$nothing", "cond": True}}, None),
        (
            {"$reduce": {"input": "$l", "initialValue": 0, "in": {"$add": ["$$value", "$$this"]}}},
            6,
        ),
        (
            {"$reduce": {"input": [["a"], ["b", "c"]], "initialValue": [],
             "in": {"$concatArrays": ["$$value", "$$this"]}}},
            ["a", "b", "c"],
        ),
        ({"$reduce": {"input": "$n", "initialValue": 0, "in": 1}}, None),
        ({"$reduce": {"input": "$e", "initialValue": {"a": 1}, "in": 1}}, {"a": 1}),
        (
            {"$reduce": {"input": [[1, 2], [3]], "initialValue": 0, "in": {"$add": ["$$value",
             {"$reduce": {"input": "$$this", "initialValue": 0,
              "in": {"$add": ["$$value", "$$this"]}}}]}}},
            6,
        ),
        (
            {"$reduce": {"input": "$l", "initialValue": {"s": 0, "p": 1}, "in": {
             "s": {"$add": ["$$value.s", "$$this"]},
             "p": {"$multiply": ["$$value.p", "$$this"]}}}},
            {"s": 6, "p": 6},
        ),
        ({"$sortArray": {"input": "$l", "sortBy": 1}}, [1, 2, 3]),
        ({"$sortArray": {"input": "$m", "sortBy": -1}}, [False, "x", 1, None]),
        (
            {"$map": {"input": {"$sortArray": {"input": "$people", "sortBy": {"age": 1}}},
             "as": "p", "in": "$$p.name"}},
            ["Cid", "Bob", "Ann"],
        ),
        (
            {"$map": {"input": {"$sortArray": {"input": "$people", "sortBy": {"age": -1,
             "name": 1}}}, "as": "p", "in": "$$p.name"}},
            ["Ann", "Bob", "Cid"],
        ),
        ({"$sortArray": {"input": "$n", "sortBy": 1}}, None),
    ],
)  # fmt: skip
def test_an_expression_has_the_value_of_the_manual(expression: Any, expected: Any) -> None:
    found = value(expression, DOC)
    assert values.equal(found, expected), found


@pytest.mark.parametrize(
    "expression",
    [
        {"$arrayElemAt": ["$t", 0]},
        {"$arrayElemAt": ["$l", Decimal("0.5")]},
        {"$first": "$t"},
        {"$slice": ["$l", 0, 0]},
        {"$slice": ["$t", 1]},
        {"$concatArrays": ["$l", "$t"]},
        {"$size": "$n"},
        {"$in": [1, "$n"]},
        {"$in": [1, "$t"]},
        {"$indexOfArray": ["$l", 1, -1]},
        {"$range": [0, 5, 0]},
        {"$range": [0, 10**8]},
        {"$range": [-(2**31), 2**31 - 1]},
        {"$range": ["$n", 1]},
        {"$zip": {"inputs": ["$l"], "defaults": [1]}},
        {"$arrayToObject": [[["a"]]]},
        {"$arrayToObject": [[["$date", "2024"]]]},
        {"$objectToArray": "$l"},
        {"$objectToArray": X},
        {"$allElementsTrue": ["$n"]},
        {"$setUnion": ["$l", "$t"]},
        {"$setEquals": ["$l", "$n"]},
        {"$mergeObjects": ["$o", 5]},
        {"$mergeObjects": [X]},
        {"$setField": {"field": {"$literal": "$date"}, "input": {}, "value": "2024"}},
        {"$setField": {"field": 1, "input": {}, "value": 1}},
        {"$firstN": {"n": 0, "input": "$l"}},
        {"$map": {"input": "$t", "in": 1}},
        {"$filter": {"input": "$o", "cond": 1}},
        {"$filter": {"input": "$l", "cond": 1, "limit": 0}},
        {"$reduce": {"input": 5, "initialValue": 0, "in": 1}},
        {"$sortArray": {"input": "$t", "sortBy": 1}},
    ],
)
def test_a_wrong_argument_is_refused(expression: Any) -> None:
    with pytest.raises(Malformed) as refused:
        value(expression, DOC)
    assert refused.value.code == "invalid_query"
