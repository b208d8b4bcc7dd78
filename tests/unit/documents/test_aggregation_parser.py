"""Pipelines are read strictly: what is not known or not complete is refused, size is bounded."""

from typing import Any

import pytest

from baas.kernel.problems import Malformed
from documents.aggregation import parse
from documents.aggregation.ast import AddFields, Count, Exclude, Group, Limit, Project, SortBy
from documents.costs import fields_for
from documents.query import parse as parse_filter
from documents.query import sort

INVALID: list[Any] = [
    None,
    {},
    "x",
    [1],
    [{}],
    [{"$match": {}, "$limit": 1}],
    [{"$match": 1}],
    [{"$match": {"a": {"$near": [0, 0]}}}],
    [{"$project": {}}],
    [{"$project": 1}],
    [{"$project": {"a": {}}}],
    [{"$project": {"a": 1, "b": 0}}],
    [{"$project": {"a": 1, "a.b": 1}}],
    [{"$project": {"a.b": 1, "a": 1}}],
    [{"$project": {"a": {"b.c": 1}}}],
    [{"$project": {"a..b": 1}}],
    [{"$project": {"a": 0, "b": "$c"}}],
    [{"$addFields": {}}],
    [{"$addFields": {"$a": 1}}],
    [{"$unset": []}],
    [{"$unset": {"a": 1}}],
    [{"$group": {}}],
    [{"$group": {"_id": 1, "a": 1}}],
    [{"$group": {"_id": 1, "a": {"$sum": 1, "$avg": 1}}}],
    [{"$group": {"_id": 1, "a": {"$sum": [1, 2]}}}],
    [{"$group": {"_id": 1, "a.b": {"$sum": 1}}}],
    [{"$group": {"_id": 1, "a": {"$firstN": {"input": "$a"}}}}],
    [{"$group": {"_id": 1, "a": {"$firstN": {"input": "$a", "n": 0}}}}],
    [{"$group": {"_id": 1, "a": {"$top": {"output": "$a"}}}}],
    [{"$group": {"_id": 1, "a": {"$count": {"x": 1}}}}],
    [{"$sort": {}}],
    [{"$sort": "a"}],
    [{"$sort": {"a": 2}}],
    [{"$limit": 0}],
    [{"$limit": "1"}],
    [{"$limit": 1.5}],
    [{"$limit": True}],
    [{"$limit": 2**31}],
    [{"$skip": -1}],
    [{"$count": ""}],
    [{"$count": "$a"}],
    [{"$count": "a.b"}],
    [{"$unwind": "a"}],
    [{"$unwind": {"path": "$a", "x": 1}}],
    [{"$unwind": {"path": "$a", "includeArrayIndex": "$i"}}],
    [{"$unwind": {"path": "$a", "preserveNullAndEmptyArrays": 1}}],
    [{"$lookup": {"from": "b"}}],
    [{"$lookup": {"from": "b", "as": "c"}}],
    [{"$lookup": {"from": "b", "as": "c", "localField": "a"}}],
    [{"$lookup": {"from": "b", "as": "c", "pipeline": [], "let": {"A": 1}}}],
    [{"$lookup": {"from": "b", "as": "c", "pipeline": [{"$project": {"x": "$$v"}}]}}],
    [{"$facet": {}}],
    [{"$facet": {"a": [{"$facet": {"b": []}}]}}],
    [{"$facet": {"a": [{"$geoNear": {"near": [0, 0], "distanceField": "d"}}]}}],
    [{"$facet": {"a.b": []}}],
    [{"$bucket": {"groupBy": "$a", "boundaries": [1]}}],
    [{"$bucket": {"groupBy": "$a", "boundaries": [2, 1]}}],
    [{"$bucket": {"groupBy": "$a", "boundaries": [1, "a"]}}],
    [{"$bucket": {"groupBy": "$a", "boundaries": [1, 5], "default": 3}}],
    [{"$bucketAuto": {"groupBy": "$a", "buckets": 0}}],
    [{"$sample": {"size": 0}}],
    [{"$sample": 1}],
    [{"$replaceRoot": "$a"}],
    [{"$sortByCount": "a"}],
    [{"$sortByCount": {"a": "$a"}}],
    [{"$bucket": {"groupBy": 5, "boundaries": [1, 9]}}],
    [{"$bucketAuto": {"groupBy": {"a": "$a"}, "buckets": 2}}],
    [{"$geoNear": {"near": [0, 0]}}],
    [{"$limit": 1}, {"$geoNear": {"near": [0, 0], "distanceField": "d"}}],
]
UNSUPPORTED: list[Any] = [
    [{"$out": "x"}],
    [{"$merge": "x"}],
    [{"$unionWith": "x"}],
    [{"$graphLookup": {}}],
    [{"$setWindowFields": {}}],
    [{"nothing": 1}],
    [{"$group": {"_id": 1, "a": {"$median": 1}}}],
    [{"$group": {"_id": 1, "a": {"$accumulator": {}}}}],
    [{"$project": {"a": {"$function": {}}}}],
    [{"$match": {"$where": "1"}}],
    [{"$bucketAuto": {"groupBy": "$a", "buckets": 2, "granularity": "R5"}}],
]


def code_of(pipeline: Any) -> str:
    with pytest.raises(Malformed) as refused:
        parse(pipeline)
    return refused.value.code


@pytest.mark.parametrize("pipeline", INVALID, ids=str)
def test_wrong_arguments_are_refused(pipeline: Any) -> None:
    assert code_of(pipeline) == "invalid_query"


@pytest.mark.parametrize("pipeline", UNSUPPORTED, ids=str)
def test_what_is_not_known_is_refused(pipeline: Any) -> None:
    assert code_of(pipeline) == "unsupported_operator"


def test_stages_that_are_others_become_those() -> None:
    [grouped, sorted_by] = parse([{"$sortByCount": "$a"}])
    assert isinstance(grouped, Group)
    assert isinstance(sorted_by, SortBy)
    kinds = [{"$set": {"a": 1}}, {"$unset": "a"}, {"$project": {"a": 0}}, {"$project": {"a": 1}}]
    assert [type(stage) for stage in parse(kinds)] == [AddFields, Exclude, Exclude, Project]
    assert parse([{"$count": "n"}, {"$limit": 3}]) == (Count("n"), Limit(3))


def test_a_small_request_has_a_small_cost() -> None:
    assert len(parse([{"$limit": 1}] * 100)) == 100
    assert code_of([{"$limit": 1}] * 101) == "invalid_query"
    assert code_of([{"$facet": {"a": [{"$limit": 1}] * 60, "b": [{"$limit": 1}] * 60}}])
    assert code_of([{"$addFields": {f"f{n}": n for n in range(501)}}]) == "invalid_query"
    nested: list[Any] = []
    for _ in range(6):
        nested = [{"$lookup": {"from": "a", "as": "b", "pipeline": nested}}]
    assert code_of(nested) == "invalid_query"
    assert parse(nested[0]["$lookup"]["pipeline"])
    many = {"$or": [{"a": n} for n in range(100)]}
    assert code_of([{"$match": many}] * 60) == "invalid_query"


def test_the_hint_has_equalities_then_the_order_then_ranges() -> None:
    filter = parse_filter({"z": 1, "$and": [{"r": {"$gt": 1}}, {"b": {"$in": [1]}}], "_id": "x"})
    assert fields_for(filter, sort.parse({"s": -1, "z": 1})) == ["b", "z", "-s", "r"]
    assert fields_for(parse_filter({"$or": [{"a": 1}, {"b": 1}]})) == []
