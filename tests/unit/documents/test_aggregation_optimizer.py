"""What narrows a pipeline comes first, where that changes nothing."""

from typing import Any

import pytest

from documents.aggregation import parse
from documents.aggregation.ast import GeoNear
from documents.aggregation.optimizer import optimized

LOOKUP = {"$lookup": {"from": "b", "localField": "x", "foreignField": "y", "as": "found.it"}}
MATCH = {"$match": {"a.b": 1, "$or": [{"c": {"$gt": 1}}, {"d": {"$not": {"$in": [1]}}}]}}
MOVES: list[tuple[list[Any], list[Any]]] = [
    ([LOOKUP, MATCH], [MATCH, LOOKUP]),
    ([LOOKUP, {"$addFields": {"z": 1}}, {"$unwind": "$items"}, MATCH],
     [MATCH, LOOKUP, {"$addFields": {"z": 1}}, {"$unwind": "$items"}]),
    ([{"$project": {"a": 1, "z": "$y"}}, {"$match": {"a.b": 1}}],
     [{"$match": {"a.b": 1}}, {"$project": {"a": 1, "z": "$y"}}]),
    ([LOOKUP, {"$sort": {"a": -1}}, {"$skip": 2}, {"$limit": 3}],
     [{"$sort": {"a": -1}}, {"$skip": 2}, {"$limit": 3}, LOOKUP]),
    ([{"$unset": "z"}, {"$match": {"$expr": {"$gt": ["$a.b", 1]}}}],
     [{"$match": {"$expr": {"$gt": ["$a.b", 1]}}}, {"$unset": "z"}]),
    ([{"$replaceWith": "$a"}, {"$limit": 1}], [{"$limit": 1}, {"$replaceWith": "$a"}]),
]  # fmt: skip
STAYS: list[list[Any]] = [
    [LOOKUP, {"$match": {"found": []}}],
    [LOOKUP, {"$match": {"$or": [{"a": 1}, {"found.it": 1}]}}],
    [LOOKUP, {"$match": {"$expr": {"$eq": ["$$ROOT", 1]}}}],
    [LOOKUP, {"$sort": {"found": 1}}],
    [{"$addFields": {"a.z": 1}}, {"$match": {"a.b": 1}}],
    [{"$unset": "a.b"}, {"$match": {"a": 1}}],
    [{"$project": {"a.b": 1}}, {"$match": {"a.c": 1}}],
    [{"$project": {"a": "$b"}}, {"$match": {"a": 1}}],
    [{"$project": {"_id": 0, "a": 1}}, {"$sort": {"a": 1}}],
    [{"$unwind": "$a"}, {"$match": {"a": 1}}],
    [{"$unwind": {"path": "$x", "includeArrayIndex": "a"}}, {"$match": {"a": 1}}],
    [{"$unwind": "$x"}, {"$sort": {"a": 1}}],
    [{"$unwind": "$x"}, {"$limit": 1}],
    [{"$replaceWith": "$a"}, {"$match": {"b": 1}}],
    [{"$group": {"_id": "$a"}}, {"$match": {"_id": 1}}],
    [{"$limit": 5}, {"$match": {"a": 1}}],
    [{"$skip": 5}, {"$sort": {"a": 1}}],
    [{"$sample": {"size": 5}}, {"$match": {"a": 1}}],
    [{"$sort": {"a": 1}}, {"$limit": 5}, {"$match": {"a": 1}}],
    [{"$limit": 5}, {"$skip": 2}],
]


@pytest.mark.parametrize(
    ("behind", "enough"),
    [
        ([{"$limit": 5}], 5),
        ([{"$addFields": {"a": 1}}, {"$skip": 2}, {"$limit": 5}], 7),
        ([{"$limit": 5}, {"$skip": 2}], 5),
        ([{"$match": {"a": 1}}, {"$limit": 5}], None),
        ([{"$sort": {"a": 1}}, {"$limit": 5}], None),
        ([], None),
    ],
)
def test_the_nearest_know_how_many_are_wanted(behind: list[Any], enough: int | None) -> None:
    near = {"$geoNear": {"near": [0, 0], "distanceField": "d"}}
    stage = optimized(parse([near, *behind]))[0]
    assert isinstance(stage, GeoNear)
    assert stage.enough == enough


@pytest.mark.parametrize(("before", "after"), MOVES, ids=str)
def test_it_moves(before: list[Any], after: list[Any]) -> None:
    assert optimized(parse(before)) == parse(after)


@pytest.mark.parametrize("pipeline", STAYS, ids=str)
def test_it_stays(pipeline: list[Any]) -> None:
    assert optimized(parse(pipeline)) == parse(pipeline)
