"""Stages of pipelines through HTTP: what each makes, and what is refused.

Where mingo is wrong by MongoDB's manual (disagreements.md) the case stands here.
"""

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.documents.conftest import Collection


@pytest.fixture
def shop(notes: Collection) -> Collection:
    notes.create(
        [
            {"_id": "1", "kind": "a", "n": 5, "tags": ["x", "y"], "o": {"p": 1}},
            {"_id": "2", "kind": "b", "n": 2, "tags": [], "o": [{"p": 2}, 7, {"q": 3}]},
            {"_id": "3", "kind": "a", "n": 2.5, "tags": None, "o": 4},
            {"_id": "4", "kind": None, "n": "9", "tags": "z"},
            {"_id": "5", "n": 1, "at": {"$date": "2024-05-01T12:00:00+02:00"}},
        ]
    )
    Collection(notes.client, notes.project, "kinds").create(
        [
            {"_id": "a", "name": "Apple", "sizes": [5, 2]},
            {"_id": "b", "name": "Bread", "sizes": [1]},
            {"_id": "c", "name": "Cherry"},
        ]
    )
    return notes


def run(collection: Collection, *stages: dict[str, Any]) -> Any:
    reply = collection.client.post(
        f"{collection.path}/aggregate",
        {"pipeline": list(stages)},
        token=collection.project.secret_key,
    )
    assert reply.status == 200, reply
    return json.loads(reply.body, parse_float=Decimal)["items"]


def refused(collection: Collection, *stages: Any) -> str:
    reply = collection.client.post(
        f"{collection.path}/aggregate",
        {"pipeline": list(stages)},
        token=collection.project.secret_key,
    )
    assert reply.status == 400, reply
    return reply.code


ID = {"$project": {"_id": 1}}
LAST = {"$match": {"_id": "5"}}
SECOND = {"$match": {"_id": "2"}}
CASES: list[tuple[list[dict[str, Any]], list[Any]]] = [
    # $project
    ([LAST, {"$project": {"n": 1}}], [{"_id": "5", "n": 1}]),
    ([LAST, {"$project": {"_id": 0, "at": True}}],
     [{"at": {"$date": "2024-05-01T10:00:00.000Z"}}]),
    ([LAST, {"$project": {"_id": 0, "kind": 1}}], [{}]),
    ([LAST, {"$project": {"_id": 0, "v": {"$literal": 1}, "m": "$missing", "t": "text"}}],
     [{"v": 1, "t": "text"}]),
    ([LAST, {"$project": {"_id": "$n", "a": {"b": {"c": "$n"}}}}],
     [{"_id": 1, "a": {"b": {"c": 1}}}]),
    ([SECOND, {"$project": {"_id": 0, "o.p": 1}}], [{"o": [{"p": 2}, {}]}]),
    ([SECOND, {"$project": {"_id": 0, "o.p": "$n"}}], [{"o": [{"p": 2}, {"p": 2}, {"p": 2}]}]),
    ([SECOND, {"$project": {"_id": 0, "n": 0, "o.p": 0, "_createdAt": 0, "_updatedAt": 0,
                            "_version": 0, "_owner": 0}}],
     [{"kind": "b", "tags": [], "o": [{}, 7, {"q": 3}]}]),
    # $addFields, $set, $unset
    ([SECOND, {"$set": {"o.p": "$n"}}, {"$project": {"_id": 0, "o": 1}}],
     [{"o": [{"p": 2}, {"p": 2}, {"q": 3, "p": 2}]}]),
    ([SECOND, {"$addFields": {"o": {"p": 1}}}, {"$project": {"_id": 0, "o": 1}}],
     [{"o": [{"p": 1}, {"p": 1}, {"q": 3, "p": 1}]}]),
    ([{"$match": {"_id": "3"}}, {"$addFields": {"o.p": 1, "new.a": "$missing", "n": "$$REMOVE"}},
      {"$unset": ["_createdAt", "_updatedAt", "_owner", "_version"]}],
     [{"_id": "3", "kind": "a", "tags": None, "o": {"p": 1}, "new": {}}]),
    ([LAST, {"$addFields": {"_version": "mine"}}, {"$project": {"_version": 1}}],
     [{"_id": "5", "_version": "mine"}]),
    # $group
    ([{"$group": {"_id": "$kind", "n": {"$sum": "$n"}, "ids": {"$push": "$_id"}}},
      {"$sort": {"_id": 1}}],
     [{"_id": None, "n": 1, "ids": ["4", "5"]},
      {"_id": "a", "n": Decimal("7.5"), "ids": ["1", "3"]},
      {"_id": "b", "n": 2, "ids": ["2"]}]),
    ([{"$group": {"_id": {"k": "$kind"}, "c": {"$count": {}}}}, {"$sort": {"_id": 1}}],
     [{"_id": {}, "c": 1}, {"_id": {"k": None}, "c": 1}, {"_id": {"k": "a"}, "c": 2},
      {"_id": {"k": "b"}, "c": 1}]),
    ([{"$match": {"_id": "nothing"}}, {"$group": {"_id": None, "n": {"$sum": 1}}}], []),
    ([{"$group": {"_id": None, "push": {"$push": "$kind"}, "set": {"$addToSet": "$missing"},
                  "first": {"$first": "$at"}, "last": {"$last": "$at"}}}],
     [{"_id": None, "push": ["a", "b", "a", None], "set": [], "first": None,
       "last": {"$date": "2024-05-01T10:00:00.000Z"}}]),
    ([{"$group": {"_id": None, "min": {"$min": "$n"}, "max": {"$max": "$n"},
                  "least": {"$min": "$o"}, "most": {"$max": "$at"}, "none": {"$max": "$missing"}}}],
     [{"_id": None, "min": 1, "max": "9", "least": 4,
       "most": {"$date": "2024-05-01T10:00:00.000Z"}, "none": None}]),
    ([{"$match": {"n": {"$type": "number"}}},
      {"$group": {"_id": None, "avg": {"$avg": "$n"}, "pop": {"$stdDevPop": "$n"},
                  "samp": {"$stdDevSamp": "$n"}}},
      {"$project": {"_id": 0, "avg": 1, "pop": {"$round": ["$pop", 6]},
                    "samp": {"$round": ["$samp", 6]}}}],
     [{"avg": Decimal("2.625"), "pop": Decimal("1.473728"), "samp": Decimal("1.701715")}]),
    ([LAST, {"$group": {"_id": None, "pop": {"$stdDevPop": "$n"}, "samp": {"$stdDevSamp": "$n"},
                        "no": {"$stdDevPop": "$kind"}, "sum": {"$sum": "$kind"},
                        "avg": {"$avg": "$kind"}}}],
     [{"_id": None, "pop": 0, "samp": None, "no": None, "sum": 0, "avg": None}]),
    ([{"$match": {"_id": {"$in": ["1", "3"]}}}, {"$sort": {"n": 1}},
      {"$group": {"_id": "$kind", "all": {"$mergeObjects": {"x": "$n", "y": "$_id"}}}}],
     [{"_id": "a", "all": {"x": 5, "y": "1"}}]),
    ([{"$group": {"_id": None, "top": {"$top": {"sortBy": {"_id": -1}, "output": ["$_id", "$n"]}},
                  "bottomN": {"$bottomN": {"n": 2, "sortBy": {"_id": -1}, "output": "$_id"}},
                  "minN": {"$minN": {"n": 2, "input": "$n"}}}}],
     [{"_id": None, "top": ["5", 1], "bottomN": ["2", "1"], "minN": [1, 2]}]),
    # order
    ([{"$sort": {"n": -1}}, {"$limit": 3}, ID], [{"_id": "4"}, {"_id": "1"}, {"_id": "3"}]),
    ([{"$sort": {"n": -1}}, {"$group": {"_id": None, "all": {"$push": "$_id"}}}],
     [{"_id": None, "all": ["4", "1", "3", "2", "5"]}]),
    ([{"$skip": 1}, {"$limit": 3}, {"$skip": 1}, {"$limit": 1}, ID], [{"_id": "3"}]),
    ([{"$limit": 3}, {"$sort": {"_id": -1}}, {"$match": {"n": {"$gt": 2}}}, ID],
     [{"_id": "3"}, {"_id": "1"}]),
    # $unwind
    ([{"$unwind": "$tags"}, {"$project": {"tags": 1}}],
     [{"_id": "1", "tags": "x"}, {"_id": "1", "tags": "y"}, {"_id": "4", "tags": "z"}]),
    ([{"$unwind": {"path": "$tags", "includeArrayIndex": "at.i",
                   "preserveNullAndEmptyArrays": True}},
      {"$project": {"tags": 1, "at.i": 1}}],
     [{"_id": "1", "tags": "x", "at": {"i": 0}}, {"_id": "1", "tags": "y", "at": {"i": 1}},
      {"_id": "2", "at": {"i": None}}, {"_id": "3", "tags": None, "at": {"i": None}},
      {"_id": "4", "tags": "z", "at": {"i": None}}, {"_id": "5", "at": {"i": None}}]),
    # $count, $sortByCount, $bucket
    ([{"$match": {"n": {"$gt": 2}}}, {"$count": "many"}], [{"many": 2}]),
    ([{"$match": {"n": 77}}, {"$count": "many"}], []),
    ([{"$sortByCount": "$kind"}, {"$limit": 1}], [{"_id": "a", "count": 2}]),
    ([{"$bucket": {"groupBy": "$n", "boundaries": [0, 2, 5], "default": "other"}}],
     [{"_id": 0, "count": 1}, {"_id": 2, "count": 2}, {"_id": "other", "count": 2}]),
    ([{"$match": {"n": 77}}, {"$bucketAuto": {"groupBy": "$n", "buckets": 3}}], []),
    ([{"$bucketAuto": {"groupBy": "$_id", "buckets": 2, "output": {"ids": {"$push": "$_id"}}}}],
     [{"_id": {"min": "1", "max": "4"}, "ids": ["1", "2", "3"]},
      {"_id": {"min": "4", "max": "5"}, "ids": ["4", "5"]}]),
    # $replaceRoot
    ([{"$match": {"_id": "1"}}, {"$replaceRoot": {"newRoot": "$o"}}], [{"p": 1}]),
    ([LAST, {"$replaceWith": {"$mergeObjects": [{"a": 0}, {"a": "$n"}]}}], [{"a": 1}]),
    # $lookup
    ([{"$lookup": {"from": "kinds", "localField": "kind", "foreignField": "_id", "as": "k"}},
      {"$match": {"k": {"$ne": []}}}, {"$project": {"k.name": 1}}],
     [{"_id": "1", "k": [{"name": "Apple"}]}, {"_id": "2", "k": [{"name": "Bread"}]},
      {"_id": "3", "k": [{"name": "Apple"}]}]),
    ([{"$lookup": {"from": "kinds", "localField": "n", "foreignField": "sizes", "as": "of.k"}},
      {"$match": {"of.k": {"$ne": []}}}, {"$project": {"of.k._id": 1}}],
     [{"_id": "1", "of": {"k": [{"_id": "a"}]}}, {"_id": "2", "of": {"k": [{"_id": "a"}]}},
      {"_id": "5", "of": {"k": [{"_id": "b"}]}}]),
    ([LAST, {"$lookup": {"from": "kinds", "localField": "missing", "foreignField": "sizes",
                         "as": "k"}}, {"$project": {"_id": 0, "k._id": 1}}],
     [{"k": [{"_id": "c"}]}]),
    ([{"$match": {"kind": "a"}},
      {"$lookup": {"from": "kinds", "let": {"kind": "$kind", "n": "$n"}, "as": "k", "pipeline": [
          {"$match": {"$expr": {"$ne": ["$_id", "$$kind"]}}},
          {"$project": {"_id": 1, "n": "$$n"}}, {"$sort": {"_id": -1}}]}},
      {"$project": {"k": 1}}],
     [{"_id": "1", "k": [{"_id": "c", "n": 5}, {"_id": "b", "n": 5}]},
      {"_id": "3", "k": [{"_id": "c", "n": Decimal("2.5")}, {"_id": "b", "n": Decimal("2.5")}]}]),
    ([{"$match": {"kind": "a"}},
      {"$lookup": {"from": "kinds", "localField": "kind", "foreignField": "_id", "as": "k",
                   "let": {"n": "$n"}, "pipeline": [
                       {"$match": {"$expr": {"$in": ["$$n", "$sizes"]}}},
                       {"$lookup": {"from": "notes", "localField": "_id", "foreignField": "kind",
                                    "let": {"m": "$$n"}, "as": "back",
                                    "pipeline": [{"$project": {"n": 1, "m": "$$m"}}]}},
                       {"$project": {"back": 1}}]}},
      {"$project": {"k": 1}}],
     [{"_id": "1", "k": [{"_id": "a", "back": [{"_id": "1", "n": 5, "m": 5},
                                               {"_id": "3", "n": Decimal("2.5"), "m": 5}]}]},
      {"_id": "3", "k": []}]),
    # $facet
    ([{"$match": {"kind": "a"}}, {"$facet": {
        "count": [{"$count": "n"}], "none": [{"$match": {"n": 77}}, {"$count": "n"}],
        "first": [{"$sort": {"n": 1}}, {"$limit": 1}, ID]}}],
     [{"count": [{"n": 2}], "none": [], "first": [{"_id": "3"}]}]),
]  # fmt: skip


@pytest.mark.parametrize(("stages", "items"), CASES, ids=lambda case: str(case)[:80])
def test_stages_mean_what_mongodb_says(
    shop: Collection, stages: list[dict[str, Any]], items: list[Any]
) -> None:
    assert run(shop, *stages) == items


def test_a_sample_is_some_of_the_documents(shop: Collection) -> None:
    found = [item["_id"] for item in run(shop, {"$sample": {"size": 3}})]
    assert len(set(found)) == 3
    assert set(found) < {"1", "2", "3", "4", "5"}
    assert len(run(shop, {"$sample": {"size": 99}})) == 5


def test_documents_look_as_everywhere_and_times_are_dates_inside(shop: Collection) -> None:
    stored = shop.get("1").json
    [item] = run(
        shop,
        {"$match": {"_id": "1"}},
        {"$addFields": {"age": {"$subtract": ["$$NOW", "$_createdAt"]}, "inner": "$$ROOT"}},
    )
    assert 0 <= item.pop("age") < 60_000
    assert item.pop("inner") == stored
    assert item == stored
    [grouped] = run(
        shop, {"$group": {"_id": {"$year": "$_createdAt"}, "t": {"$max": "$_updatedAt"}}}
    )
    assert grouped["_id"] >= 2024
    assert set(grouped["t"]) == {"$date"}  # not a document's own time: a date like any other


def test_a_text_that_looks_like_a_time_stays_as_it_is(shop: Collection) -> None:
    hostile = '"_createdAt": {"$date": "2024"}'
    [item] = run(shop, {"$limit": 1}, {"$project": {"_id": 0, "t": {"$literal": hostile}}})
    assert item == {"t": hostile}
    [item] = run(shop, {"$limit": 1}, {"$replaceWith": {'a"_createdAt': "$_createdAt"}})
    assert set(item['a"_createdAt']) == {"$date"}


def test_numbers_stay_exact(notes: Collection) -> None:
    notes.client.post(
        f"{notes.path}/docs",
        body=b'{"_id": "1", "big": 123456789012345678901234567890, "price": 0.10}',
        token=notes.project.secret_key,
    )
    [item] = run(
        notes,
        {"$group": {"_id": None, "big": {"$sum": "$big"}, "price": {"$sum": "$price"}}},
        {"$project": {"_id": 0, "big": {"$add": ["$big", 1]}, "price": 1}},
    )
    assert item == {"big": 123456789012345678901234567891, "price": Decimal("0.1")}


def test_geo_near_sorts_by_distance(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["place"], "type": "geo"}])
    notes.create(
        [
            {"_id": "far", "place": {"type": "Point", "coordinates": [2, 0]}, "open": True},
            {"_id": "near", "place": {"type": "Point", "coordinates": [1, 0]}, "open": True},
            {"_id": "closed", "place": {"type": "Point", "coordinates": [0.5, 0]}},
            {"_id": "nowhere", "open": True},
        ]
    )
    near = {
        "near": {"type": "Point", "coordinates": [0, 0]},
        "distanceField": "at.metres",
        "query": {"open": True},
        "includeLocs": "at.place",
        "spherical": True,
    }
    found = run(notes, {"$geoNear": near}, {"$project": {"at": 1}})
    assert [item["_id"] for item in found] == ["near", "far"]
    assert float(found[0]["at"]["metres"]) == pytest.approx(111_319, abs=1)
    assert found[0]["at"]["place"] == {"type": "Point", "coordinates": [1, 0]}
    limited = {**near, "maxDistance": 150_000, "distanceMultiplier": 0.001, "key": "place"}
    [item] = run(notes, {"$geoNear": limited})
    assert float(item["at"]["metres"]) == pytest.approx(111.319, abs=0.001)
    assert refused(notes, {"$match": {}}, {"$geoNear": near}) == "invalid_query"
    assert refused(notes, {"$geoNear": {**near, "near": "here"}}) == "invalid_query"
    assert refused(notes, {"$match": {"place": {"$near": [0, 0]}}}) == "invalid_query"


def test_a_lookup_finds_what_a_filter_with_in_finds(notes: Collection) -> None:
    # The server's own tests (lookup_equijoin_semantics) have these.
    others = [
        {"x": 1}, {"x": [1, 2]}, [{"y": 1}, {"x": 1}], [{"x": None}, {"x": 1}], [{"x": [1, None]}],
        [1, 2], [{"x": 1}, {"y": 1}], [{"x": [1, 2]}], [{"$date": "2024-05-01T10:00:00.000Z"}],
    ]  # fmt: skip
    other = Collection(notes.client, notes.project, "other")
    other.create([{"_id": str(n), "a": value} for n, value in enumerate(others)])
    notes.create({"_id": "1"})
    for path, expected in (("a.0.x", "0123467"), ("a.x", "2346")):
        lookup = {"from": "other", "localField": "none", "foreignField": path, "as": "found"}
        [item] = run(notes, {"$lookup": lookup}, {"$project": {"found._id": 1}})
        assert "".join(sorted(each["_id"] for each in item["found"])) == expected
        assert "".join(other.ids(filter={path: {"$in": [None]}})) == expected


def test_a_lookup_by_an_expression_finds_the_same_with_and_without_an_index(
    notes: Collection,
) -> None:
    other = Collection(notes.client, notes.project, "other")
    values = ["a", 1, 1.0, None, True, [1, "a"], {"x": 1}, {"$date": "2024-05-01T10:00:00Z"}]
    other.create([{"_id": f"o{n}", "v": value} for n, value in enumerate(values)])
    other.create([{"_id": "a"}, {"_id": "b", "v": [1]}])
    notes.create([{"_id": f"n{n}", "v": value} for n, value in enumerate(values)])
    notes.create([{"_id": "missing"}, {"_id": "id", "v": "a"}])

    def found(field: str) -> Any:
        matching = {"$match": {"$expr": {"$eq": [f"${field}", "$$mine"]}}}
        lookup = {"from": "other", "let": {"mine": "$v"}, "pipeline": [matching], "as": "found"}
        items = run(notes, {"$lookup": lookup}, {"$project": {"found._id": 1}})
        return {item["_id"]: [each["_id"] for each in item["found"]] for item in items}

    without = found("v")
    assert without == {
        "n0": ["o0"], "n1": ["o1", "o2"], "n2": ["o1", "o2"], "n3": ["o3"], "n4": ["o4"],
        "n5": ["o5"], "n6": ["o6"], "n7": ["o7"], "missing": ["a"], "id": ["o0"],
    }  # fmt: skip
    assert {key for key, ids in found("_id").items() if ids} == {"n0", "id"}
    for id in ("o5", "b"):  # arrays, which a scalar index keeps out
        other.delete(id)
    notes.delete("n5")
    other.declare(indexes=[{"fields": ["v"]}])
    del without["n5"]
    assert found("v") == without


def test_what_narrows_goes_first_and_changes_nothing(shop: Collection) -> None:
    lookup = {"$lookup": {"from": "kinds", "localField": "kind", "foreignField": "_id", "as": "k"}}
    stages: list[dict[str, Any]] = [
        lookup,
        {"$addFields": {"twice": {"$multiply": ["$n", 2]}}},
        {"$match": {"n": {"$type": "number"}, "kind": "a"}},
        {"$sort": {"n": 1}},
        {"$limit": 1},
        {"$project": {"twice": 1, "k.name": 1}},
    ]
    # The text in document 4 is no number: it fails an expression only where it gets to one.
    assert run(shop, *stages) == [{"_id": "3", "twice": 5, "k": [{"name": "Apple"}]}]
    assert refused(shop, *stages[:2]) == "invalid_query"
    unwound = run(
        shop,
        {"$unwind": "$tags"},
        {"$match": {"tags": "y"}},
        {"$match": {"_id": "1"}},
        {"$project": {"tags": 1, "_id": 0}},
        {"$sort": {"tags": -1}},
    )
    assert unwound == [{"tags": "y"}]


def test_the_nearest_few_come_from_the_index(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["at"], "type": "geo"}])
    places = [[(7 * n) % 360 - 180, (11 * n) % 170 - 85] for n in range(400)]
    notes.create(
        [{"_id": f"{n:03}", "at": place, "even": n % 2 == 0} for n, place in enumerate(places)]
    )
    near: dict[str, Any] = {"near": [3, 4], "spherical": True, "distanceField": "d"}
    for query, size in ({}, 400), ({"even": True}, 200), ({"even": 7}, 0):
        stage = {"$geoNear": {**near, "query": query}}
        shown = {"$project": {"d": 1}}
        everything = run(notes, stage, shown)
        assert len(everything) == size
        assert run(notes, stage, {"$limit": 5}, shown) == everything[:5]
        assert run(notes, stage, shown, {"$skip": 3}, {"$limit": 9}) == everything[3:12]
        assert run(notes, stage, {"$limit": 999}, shown) == everything
    asked = {"pipeline": [{"$geoNear": near}, {"$limit": 5}]}
    explained = notes.client.post(f"{notes.path}/explain", asked, token=notes.project.secret_key)
    assert explained.json["plan"]["indexes"] == [{"index": "at_geo", "fields": ["at"]}]


def test_a_text_search_begins_a_pipeline(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["title"], "type": "text"}])
    notes.create([{"_id": "1", "title": "red apple"}, {"_id": "2", "title": "green pear"}])
    search = {"$match": {"$text": {"$search": "apple"}}}
    assert run(notes, search, {"$project": {"_id": 1}}) == [{"_id": "1"}]
    assert run(notes, search, {"$count": "n"}) == [{"n": 1}]
    assert refused(notes, {"$group": {"_id": "$title"}}, search) == "invalid_query"


def test_pipelines_see_what_a_transaction_has_written(shop: Collection) -> None:
    def call(path: str, body: Any, **headers: str) -> Any:
        reply = shop.client.post(
            f"{shop.project.path}/db/{path}", body, token=shop.project.secret_key, headers=headers
        )
        assert reply.status in (200, 201), reply
        return reply.json

    given = {"X-Transaction": call("transactions", {})["id"]}
    call("notes/docs", {"_id": "new", "kind": "new"}, **given)
    counting = {"pipeline": [{"$count": "n"}]}
    assert call("notes/aggregate", counting, **given) == {"items": [{"n": 6}]}
    assert "new" in call("notes/distinct", {"field": "kind"}, **given)["items"]
    assert call("notes/aggregate", counting) == {"items": [{"n": 5}]}


DISTINCT: list[tuple[dict[str, Any], list[Any]]] = [
    ({"field": "kind"}, [None, "a", "b"]),
    ({"field": "n"}, [1, 2, 2.5, 5, "9"]),
    ({"field": "tags"}, [None, "x", "y", "z"]),
    ({"field": "o"}, [4, 7, {"p": 1}, {"p": 2}, {"q": 3}]),
    ({"field": "o.p"}, [1, 2]),
    ({"field": "kind", "filter": {"n": {"$gt": 2}}}, ["a"]),
    ({"field": "missing"}, []),
    ({"field": "at"}, [{"$date": "2024-05-01T10:00:00.000Z"}]),
    ({"field": "_version"}, [1]),
    ({"field": "_owner"}, [None]),
]


@pytest.mark.parametrize(("body", "items"), DISTINCT, ids=str)
def test_distinct_values(shop: Collection, body: dict[str, Any], items: list[Any]) -> None:
    reply = shop.client.post(f"{shop.path}/distinct", body, token=shop.project.secret_key)
    assert reply.json == {"items": items}


def test_distinct_times_look_as_on_the_wire(shop: Collection) -> None:
    reply = shop.client.post(
        f"{shop.path}/distinct", {"field": "_createdAt"}, token=shop.project.secret_key
    )
    assert reply.json["items"] == [shop.get("1").json["_createdAt"]]


@pytest.mark.parametrize("body", [{}, {"field": 1}, {"field": ""}, {"field": "a", "x": 1}])
def test_a_wrong_distinct_is_refused(shop: Collection, body: dict[str, Any]) -> None:
    reply = shop.client.post(f"{shop.path}/distinct", body, token=shop.project.secret_key)
    assert (reply.status, reply.code) == (400, "invalid_query")


def test_evaluation_errors_are_refusals(shop: Collection) -> None:
    assert refused(shop, {"$replaceWith": "$n"}) == "invalid_query"
    assert refused(shop, {"$project": {"x": {"$divide": ["$n", 0]}}}) == "invalid_query"
    assert refused(shop, {"$group": {"_id": None, "x": {"$mergeObjects": "$n"}}}) == "invalid_query"
    assert refused(shop, {"$bucket": {"groupBy": "$n", "boundaries": [0, 1]}}) == "invalid_query"


def test_what_is_gathered_in_one_value_is_bounded(notes: Collection) -> None:
    notes.create([{"t": "x" * 400_000} for _ in range(2)])
    many = [{"$addFields": {"many": {"$range": [0, 200]}}}, {"$unwind": "$many"}]
    for gathering in (
        {"$group": {"_id": 1, "all": {"$push": "$$ROOT"}}},
        {"$group": {"_id": 1, "all": {"$addToSet": {"a": "$many", "t": "$t"}}}},
        {"$facet": {"all": []}},
    ):
        assert refused(notes, *many, gathering, {"$project": {"n": {"$size": "$all"}}})
    joined = {"$lookup": {"from": "notes", "pipeline": many, "as": "all"}}
    assert refused(notes, joined, {"$project": {"n": {"$size": "$all"}}}) == "invalid_query"
    [item] = run(notes, *many, {"$group": {"_id": 1, "n": {"$sum": 1}, "all": {"$push": "$many"}}})
    assert item["n"] == len(item["all"]) == 400


def test_a_result_that_is_too_large_is_refused(notes: Collection) -> None:
    notes.create([{"t": "x" * 400_000} for _ in range(2)])
    copies = {"$addFields": {"many": {"$range": [0, 30]}}}
    reply = notes.client.post(
        f"{notes.path}/aggregate",
        {"pipeline": [copies, {"$unwind": "$many"}]},
        token=notes.project.secret_key,
    )
    assert (reply.status, reply.code) == (413, "result_too_large")
    assert "$limit" in reply.json["detail"]
    assert len(run(notes, copies, {"$unwind": "$many"}, {"$limit": 10})) == 10
