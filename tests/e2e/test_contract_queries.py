"""The contract, "Documents": filters, sorts and aggregates with MongoDB's meaning, over HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Stack
from .contract import App, code

MAY = "2024-05-01T10:00:00.000Z"
JUNE = "2024-06-01T10:00:00.000Z"
DOCS: list[dict[str, Any]] = [
    {"_id": "a", "n": 1, "s": "apple", "tags": ["red", "blue"], "o": {"k": 1, "z": [1, 2]}},
    {"_id": "b", "n": 2.5, "s": "Banana", "tags": [], "o": None, "at": {"$date": MAY}},
    {"_id": "c", "n": 10, "s": "cherry\npie", "items": [{"p": 5, "q": 1}, {"p": 9, "q": 2}]},
    {"_id": "d", "n": None, "tags": "red", "items": [{"p": 7, "q": 2}], "at": {"$date": JUNE}},
    {"_id": "e", "s": "", "nested": [[1, 2], [3]], "flag": True, "tags": ["blue"]},
    {"_id": "f", "n": [1, 20], "flag": False, "big": 123456789012345678901234567890},
    {"_id": "g", "bin": {"$binary": {"base64": "aGk=", "subType": "00"}}, "n": "1"},
]


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        assert app("POST", "/db/things/docs", app.key, DOCS).status_code == 201
        sales = [
            {"_id": f"s{n}", "item": "xyz"[n % 3], "price": n, "qty": n % 4, "at": {"$date": MAY}}
            for n in range(1, 13)
        ]
        assert app("POST", "/db/sales/docs", app.key, sales).status_code == 201
        stock = [{"_id": "x", "left": 3}, {"_id": "y", "left": 0}, {"_id": "q", "left": 7}]
        assert app("POST", "/db/stock/docs", app.key, stock).status_code == 201
        yield app


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"n": 1}, "af"),
        ({"n": {"$eq": 2.5}}, "b"),
        ({"n": {"$ne": 1}}, "bcdeg"),
        ({"n": {"$gt": 2}}, "bcf"),
        ({"n": {"$gte": 1, "$lt": 10}}, "abf"),  # f: 1 is >= 1 and < 10; each may be met anywhere
        ({"n": {"$gt": 2, "$lt": 10}}, "bf"),  # f: 20 > 2, 1 < 10
        ({"n": {"$elemMatch": {"$gt": 2, "$lt": 10}}}, ""),
        ({"n": {"$elemMatch": {"$gt": 2}}}, "f"),
        ({"n": None}, "de"),
        ({"n": {"$exists": False}}, "e"),
        ({"n": {"$exists": True, "$eq": None}}, "d"),
        ({"n": {"$in": [1, "1", None]}}, "adefg"),
        ({"n": {"$nin": [1, None]}}, "bcg"),
        ({"n": {"$type": "number"}}, "abcf"),
        ({"n": {"$type": "string"}}, "g"),
        ({"n": {"$type": "null"}}, "d"),
        ({"n": {"$type": 10}}, "d"),
        ({"tags": {"$type": "array"}}, "abe"),
        ({"at": {"$type": "date"}}, "bd"),
        ({"flag": {"$type": "bool"}}, "ef"),
        ({"o": {"$type": "object"}}, "a"),
        ({"bin": {"$type": "binData"}}, "g"),
        ({"n": {"$type": ["string", "null"]}}, "dg"),
        ({"n": {"$mod": [5, 0]}}, "cf"),
        ({"s": {"$regex": "^a"}}, "a"),
        ({"s": {"$regex": "^b", "$options": "i"}}, "b"),
        ({"s": {"$regex": "^pie", "$options": "m"}}, "c"),
        ({"s": {"$regex": "^pie"}}, ""),
        ({"s": {"$regex": "y.p"}}, ""),
        ({"s": {"$regex": "y.p", "$options": "s"}}, "c"),
        ({"s": {"$not": {"$regex": "a"}}}, "cdefg"),
        ({"s": {"$in": [{"$regex": "^ch"}, "apple"]}}, "ac"),
        ({"tags": "red"}, "ad"),
        ({"tags": ["red", "blue"]}, "a"),
        ({"tags": {"$all": ["red"]}}, "ad"),
        ({"tags": {"$all": ["blue", "red"]}}, "a"),
        ({"tags": {"$size": 0}}, "b"),
        ({"tags": {"$size": 2}}, "a"),
        ({"tags.0": "red"}, "a"),
        ({"tags": []}, "b"),
        ({"items.p": {"$gt": 8}}, "c"),
        ({"items.p": 5, "items.q": 2}, "c"),
        ({"items": {"$elemMatch": {"p": 5, "q": 2}}}, ""),
        ({"items": {"$elemMatch": {"p": {"$gte": 7}, "q": 2}}}, "cd"),
        ({"items": {"$all": [{"$elemMatch": {"p": 5}}, {"$elemMatch": {"p": 9}}]}}, "c"),
        ({"items.1.p": 9}, "c"),
        ({"items": {"p": 7, "q": 2}}, "d"),
        ({"items": {"$not": {"$elemMatch": {"p": 5}}}}, "abdefg"),
        ({"nested": [1, 2]}, "e"),
        ({"nested": {"$elemMatch": {"$elemMatch": {"$gt": 2}}}}, "e"),
        ({"nested.0": [1, 2]}, "e"),
        ({"nested.0.1": 2}, "e"),
        ({"o.k": 1}, "a"),
        ({"o.z": 2}, "a"),
        ({"o": {"z": [1, 2], "k": 1}}, "a"),
        ({"o.missing": None}, "abcdefg"),
        ({"o": None}, "bcdefg"),
        ({"at": {"$gt": {"$date": MAY}}}, "d"),
        ({"at": {"$gte": {"$date": "2024-05-01T12:00:00+02:00"}}}, "bd"),
        ({"at": {"$lt": {"$date": JUNE}}}, "b"),
        ({"big": 123456789012345678901234567890}, "f"),
        ({"big": {"$gt": 123456789012345678901234567889}}, "f"),
        ({"bin": {"$binary": {"base64": "aGk=", "subType": "00"}}}, "g"),
        ({"flag": {"$gt": False}}, "e"),
        ({"tags": {"$gt": ["a"]}}, "ae"),
        ({"$or": [{"n": 1}, {"flag": True}]}, "aef"),
        ({"$nor": [{"n": 1}, {"flag": True}]}, "bcdg"),
        ({"$and": [{"tags": "red"}, {"tags": "blue"}]}, "a"),
        ({"n": {"$not": {"$gt": 2}}}, "adeg"),
        ({"$expr": {"$gt": ["$n", 2]}}, "bcfg"),  # across types: text and arrays are greater
        ({"$expr": {"$eq": [{"$size": {"$ifNull": ["$items", []]}}, 2]}}, "c"),
        ({"_id": {"$in": ["a", "zz"]}}, "a"),
        ({"_id": {"$gt": "f"}}, "g"),
        ({"_createdAt": {"$gt": "2020-01-01T00:00:00Z"}, "n": 10}, "c"),
        ({"_createdAt": {"$lt": {"$date": "2020-01-01T00:00:00Z"}}}, ""),
        ({"$comment": "nothing", "n": 10}, "c"),
    ],
)
def test_a_filter_finds(app: App, filter: Any, expected: str) -> None:
    reply = app("POST", "/db/things/query", app.key, {"filter": filter, "count": True})
    assert reply.status_code == 200, reply.text
    assert "".join(item["_id"] for item in reply.json()["items"]) == expected
    assert reply.json()["total"] == len(expected)
    counted = app("POST", "/db/things/count", app.key, {"filter": filter})
    assert counted.json() == {"total": len(expected)}


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (["n", "_id"], "deafbcg"),
        (["-n", "_id"], "gfcbade"),
        ({"s": 1, "_id": 1}, "dfgebac"),
        (["tags", "_id"], "bcfgaed"),
        (["o", "_id"], "bcdefga"),
        (["-at", "-_id"], "dbgfeca"),
        (["flag", "_id"], "abcdgfe"),
    ],
)
def test_a_sort_orders_all_types(app: App, sort: Any, expected: str) -> None:
    seen, cursor = "", None
    while True:
        body = {"sort": sort, "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = app("POST", "/db/things/query", app.key, body).json()
        seen += "".join(item["_id"] for item in page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == expected


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"n": {"$nonsense": 1}}, "unsupported_operator"),
        ({"$where": "1"}, "unsupported_operator"),
        ({"n": {"$in": 1}}, "invalid_query"),
        ({"n": {"$mod": [0, 1]}}, "invalid_query"),
        ({"n": {"$mod": [1]}}, "invalid_query"),
        ({"n": {"$size": -1}}, "invalid_query"),
        ({"n": {"$size": "1"}}, "invalid_query"),
        ({"n": {"$type": "nonsense"}}, "invalid_query"),
        ({"s": {"$regex": "("}}, "invalid_query"),
        ({"s": {"$regex": "a", "$options": "q"}}, "invalid_query"),
        ({"s": {"$options": "i"}}, "invalid_query"),
        ({"n": {"$elemMatch": 1}}, "invalid_query"),
        ({"n": {"$all": 1}}, "invalid_query"),
        ({"$and": []}, "invalid_query"),
        ({"$expr": {"$nonsense": 1}}, "unsupported_operator"),
        ({"n": {"$near": [1]}}, "invalid_query"),
        ([], "invalid_query"),
    ],
)
def test_a_wrong_filter_is_refused(app: App, filter: Any, expected: str) -> None:
    for route in ("query", "count"):
        reply = app("POST", f"/db/things/{route}", app.key, {"filter": filter})
        assert (reply.status_code, code(reply)) == (400, expected)


def items(app: App, collection: str, *pipeline: dict[str, Any]) -> Any:
    reply = app("POST", f"/db/{collection}/aggregate", app.key, {"pipeline": pipeline})
    assert reply.status_code == 200, reply.text
    return reply.json()["items"]


def test_a_group_sums(app: App) -> None:
    revenue = {"$sum": {"$multiply": ["$price", "$qty"]}}
    group = {"_id": "$item", "n": {"$count": {}}, "revenue": revenue, "top": {"$max": "$price"}}
    found = items(app, "sales", {"$group": group}, {"$sort": {"_id": 1}})
    assert found == [
        {"_id": "x", "n": 4, "revenue": 3 * 3 + 6 * 2 + 9 * 1 + 0, "top": 12},
        {"_id": "y", "n": 4, "revenue": 1 + 0 + 7 * 3 + 10 * 2, "top": 10},
        {"_id": "z", "n": 4, "revenue": 2 * 2 + 5 * 1 + 0 + 11 * 3, "top": 11},
    ]


def test_accumulators(app: App) -> None:
    group = {
        "_id": None,
        "avg": {"$avg": "$price"},
        "min": {"$min": "$price"},
        "first": {"$first": "$_id"},
        "last": {"$last": "$_id"},
        "all": {"$push": "$qty"},
        "set": {"$addToSet": "$item"},
        "dev": {"$stdDevPop": "$qty"},
        "merged": {"$mergeObjects": {"k": "$item"}},
    }
    match = {"$match": {"price": {"$lte": 4}}}
    [found] = items(app, "sales", match, {"$sort": {"price": -1}}, {"$group": group})
    assert found["avg"] == 2.5
    assert (found["min"], found["first"], found["last"]) == (1, "s4", "s1")
    assert found["all"] == [0, 3, 2, 1]
    assert sorted(found["set"]) == ["x", "y", "z"]
    assert abs(found["dev"] - 1.118033988749895) < 1e-9
    assert found["merged"] == {"k": "y"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"$add": [1, 2.5]}, 3.5),
        ({"$subtract": [5, 7]}, -2),
        ({"$divide": [1, 4]}, 0.25),
        ({"$mod": [-7, 3]}, -1),
        ({"$round": [2.345, 2]}, 2.34),
        ({"$trunc": -2.7}, -2),
        ({"$ceil": 1.2}, 2),
        ({"$concat": ["a", "b", "c"]}, "abc"),
        ({"$concat": ["a", None]}, None),
        ({"$toUpper": "é1"}, "é1"),
        ({"$substrCP": ["héllo", 1, 3]}, "éll"),
        ({"$strLenCP": "héllo"}, 5),
        ({"$strLenBytes": "héllo"}, 6),
        ({"$split": ["a,b,,c", ","]}, ["a", "b", "", "c"]),
        ({"$indexOfCP": ["banana", "na", 3]}, 4),
        ({"$trim": {"input": "  x "}}, "x"),
        ({"$replaceAll": {"input": "aXbX", "find": "X", "replacement": "-"}}, "a-b-"),
        ({"$regexMatch": {"input": "Apple", "regex": "^a", "options": "i"}}, True),
        ({"$cond": [{"$gt": [2, 1]}, "yes", "no"]}, "yes"),
        ({"$ifNull": ["$missing", None, "x"]}, "x"),
        (
            {
                "$switch": {
                    "branches": [{"case": False, "then": 1}, {"case": 1, "then": 2}],
                    "default": 3,
                }
            },
            2,
        ),
        ({"$arrayElemAt": [[1, 2, 3], -1]}, 3),
        ({"$slice": [[1, 2, 3, 4], 1, 2]}, [2, 3]),
        ({"$concatArrays": [[1], [2, 3]]}, [1, 2, 3]),
        ({"$filter": {"input": [1, 5, 9], "as": "v", "cond": {"$gt": ["$$v", 4]}}}, [5, 9]),
        ({"$map": {"input": [1, 2], "as": "v", "in": {"$multiply": ["$$v", 10]}}}, [10, 20]),
        (
            {
                "$reduce": {
                    "input": [1, 2, 3],
                    "initialValue": 0,
                    "in": {"$add": ["$$value", "$$this"]},
                }
            },
            6,
        ),
        ({"$range": [0, 10, 3]}, [0, 3, 6, 9]),
        ({"$zip": {"inputs": [[1, 2], ["a"]]}}, [[1, "a"]]),
        ({"$setUnion": [[1, 2], [2, 3]]}, [1, 2, 3]),
        ({"$setIsSubset": [[1], [1, 2]]}, True),
        ({"$objectToArray": {"a": 1}}, [{"k": "a", "v": 1}]),
        ({"$arrayToObject": [[["a", 1], ["b", 2]]]}, {"a": 1, "b": 2}),
        ({"$mergeObjects": [{"a": 1}, {"a": 2, "b": 3}]}, {"a": 2, "b": 3}),
        ({"$let": {"vars": {"x": 2}, "in": {"$multiply": ["$$x", "$$x"]}}}, 4),
        ({"$toInt": "42"}, 42),
        ({"$toString": 1.5}, "1.5"),
        ({"$toBool": 0}, False),
        ({"$type": "$missing"}, "missing"),
        ({"$cmp": [1, "a"]}, -1),
        ({"$literal": "$x"}, "$x"),
        ({"$year": {"$toDate": MAY}}, 2024),
        ({"$hour": {"date": {"$toDate": MAY}, "timezone": "Asia/Shanghai"}}, 18),
        (
            {"$dateToString": {"date": {"$toDate": MAY}, "format": "%Y-%m-%d %H:%M"}},
            "2024-05-01 10:00",
        ),
        (
            {"$dateAdd": {"startDate": {"$toDate": MAY}, "unit": "month", "amount": 1}},
            {"$date": JUNE},
        ),
        (
            {
                "$dateDiff": {
                    "startDate": {"$toDate": MAY},
                    "endDate": {"$toDate": JUNE},
                    "unit": "day",
                }
            },
            31,
        ),
        (
            {"$dateTrunc": {"date": {"$toDate": MAY}, "unit": "month"}},
            {"$date": "2024-05-01T00:00:00.000Z"},
        ),
    ],
)
def test_an_expression_is_computed(app: App, expression: Any, expected: Any) -> None:
    match = {"$match": {"_id": "a"}}
    [found] = items(app, "things", match, {"$project": {"_id": 0, "v": expression}})
    assert found["v"] == expected
    assert type(found["v"]) is type(expected)


def test_expressions_walk_through_arrays(app: App) -> None:
    match = {"$match": {"_id": "c"}}
    project = {"p": "$items.p", "sum": {"$sum": "$items.p"}, "first": {"$first": "$items.q"}}
    assert items(app, "things", match, {"$project": project}) == [
        {"_id": "c", "p": [5, 9], "sum": 14, "first": 1}
    ]


def test_unwind_and_lookup(app: App) -> None:
    unwind = {"$unwind": {"path": "$tags", "includeArrayIndex": "at"}}
    keep = {"$project": {"tags": 1, "at": 1}}
    found = items(app, "things", unwind, {"$sort": {"_id": 1, "at": 1}}, keep)
    assert [(item["_id"], item["tags"], item["at"]) for item in found] == [
        ("a", "red", 0),
        ("a", "blue", 1),
        ("d", "red", None),
        ("e", "blue", 0),
    ]
    lookup = {"from": "stock", "localField": "item", "foreignField": "_id", "as": "stock"}
    limit = ({"$sort": {"price": 1}}, {"$limit": 3}, {"$lookup": lookup})
    found = items(app, "sales", *limit)
    assert [[s["left"] for s in item["stock"]] for item in found] == [[0], [], [3]]
    assert found[0]["stock"][0]["_version"] == 1
    piped = {
        "from": "stock",
        "let": {"wanted": "$item"},
        "pipeline": [
            {"$match": {"$expr": {"$eq": ["$_id", "$$wanted"]}}},
            {"$project": {"_id": 0, "left": 1}},
        ],
        "as": "stock",
    }
    found = items(app, "sales", {"$sort": {"price": 1}}, {"$limit": 3}, {"$lookup": piped})
    assert [item["stock"] for item in found] == [[{"left": 0}], [], [{"left": 3}]]


def test_the_other_stages(app: App) -> None:
    assert items(app, "sales", {"$match": {"item": "x"}}, {"$count": "n"}) == [{"n": 4}]
    assert items(app, "sales", {"$match": {"item": "none"}}, {"$count": "n"}) == []
    counted = items(app, "sales", {"$sortByCount": "$qty"})
    assert {item["_id"]: item["count"] for item in counted} == {0: 3, 1: 3, 2: 3, 3: 3}
    bucket = {"groupBy": "$price", "boundaries": [1, 5, 10], "default": "more"}
    assert items(app, "sales", {"$bucket": bucket}) == [
        {"_id": 1, "count": 4},
        {"_id": 5, "count": 5},
        {"_id": "more", "count": 3},
    ]
    auto = items(app, "sales", {"$bucketAuto": {"groupBy": "$price", "buckets": 3}})
    assert [item["count"] for item in auto] == [4, 4, 4]
    assert auto[0]["_id"] == {"min": 1, "max": 5}
    [facet] = items(
        app,
        "sales",
        {"$facet": {"n": [{"$count": "n"}], "top": [{"$sort": {"price": -1}}, {"$limit": 1}]}},
    )
    assert (facet["n"], facet["top"][0]["_id"]) == ([{"n": 12}], "s12")
    assert len(items(app, "sales", {"$sample": {"size": 5}})) == 5
    [root] = items(app, "things", {"$match": {"_id": "a"}}, {"$replaceRoot": {"newRoot": "$o"}})
    assert root == {"k": 1, "z": [1, 2]}
    [unset] = items(app, "things", {"$match": {"_id": "a"}}, {"$unset": ["o.z", "tags"]})
    assert unset["o"] == {"k": 1}
    assert "tags" not in unset
    [added] = items(app, "things", {"$match": {"_id": "a"}}, {"$addFields": {"o.new": "$n"}})
    assert added["o"] == {"k": 1, "z": [1, 2], "new": 1}
    assert added["_createdAt"] == app("GET", "/db/things/docs/a", app.key).json()["_createdAt"]


@pytest.mark.parametrize(
    ("pipeline", "expected"),
    [
        ([{"$nonsense": {}}], "unsupported_operator"),
        ([{"$out": "other"}], "unsupported_operator"),
        ([{"$match": {}, "$limit": 1}], "invalid_query"),
        ([{"$limit": 0}], "invalid_query"),
        ([{"$limit": "1"}], "invalid_query"),
        ([{"$skip": -1}], "invalid_query"),
        ([{"$group": {"n": {"$sum": 1}}}], "invalid_query"),
        ([{"$group": {"_id": None, "n": {"$nonsense": 1}}}], "unsupported_operator"),
        ([{"$project": {}}], "invalid_query"),
        ([{"$project": {"a": 1, "b": 0}}], "invalid_query"),
        ([{"$unwind": "tags"}], "invalid_query"),
        ([{"$sort": {}}], "invalid_query"),
        ([{"$count": ""}], "invalid_query"),
        ([{"$project": {"v": {"$add": ["$s", 1]}}}], "invalid_query"),
        ([{"$lookup": {"from": "stock"}}], "invalid_query"),
        ("not a list", "invalid_query"),
        ([1], "invalid_query"),
    ],
)
def test_a_wrong_pipeline_is_refused(app: App, pipeline: Any, expected: str) -> None:
    reply = app("POST", "/db/things/aggregate", app.key, {"pipeline": pipeline})
    assert (reply.status_code, code(reply)) == (400, expected)


def test_distinct(app: App) -> None:
    def distinct(field: str, filter: Any = None) -> Any:
        body = {"field": field, **({"filter": filter} if filter else {})}
        return app("POST", "/db/things/distinct", app.key, body).json()["items"]

    assert sorted(distinct("tags")) == ["blue", "red"]
    assert sorted(distinct("items.p")) == [5, 7, 9]
    assert distinct("tags", {"_id": "e"}) == ["blue"]
    assert code(app("POST", "/db/things/distinct", app.key, {})) == "invalid_query"


def test_geometry(app: App) -> None:
    places = [
        {"_id": "paris", "at": {"type": "Point", "coordinates": [2.3522, 48.8566]}},
        {"_id": "london", "at": {"type": "Point", "coordinates": [-0.1276, 51.5072]}},
        {"_id": "tokyo", "at": {"type": "Point", "coordinates": [139.6917, 35.6895]}},
    ]
    made = {"indexes": [{"fields": ["at"], "type": "geo"}]}
    assert app("PUT", "/collections/places", app.key, made).status_code == 201
    assert app("POST", "/db/places/docs", app.key, places).status_code == 201

    def found(condition: Any) -> list[str]:
        reply = app("POST", "/db/places/query", app.key, {"filter": {"at": condition}})
        assert reply.status_code == 200, reply.text
        return [item["_id"] for item in reply.json()["items"]]

    lille = {"type": "Point", "coordinates": [3.0573, 50.6292]}
    assert found({"$near": {"$geometry": lille}}) == ["paris", "london", "tokyo"]
    assert found({"$near": {"$geometry": lille, "$maxDistance": 210_000}}) == ["paris"]
    near = {"$geometry": lille, "$minDistance": 210_000, "$maxDistance": 300_000}
    assert found({"$near": near}) == ["london"]
    box = [[-5, 45], [10, 45], [10, 55], [-5, 55], [-5, 45]]
    europe = {"type": "Polygon", "coordinates": [box]}
    assert sorted(found({"$geoWithin": {"$geometry": europe}})) == ["london", "paris"]
    assert sorted(found({"$geoIntersects": {"$geometry": europe}})) == ["london", "paris"]
    stage = {"near": lille, "distanceField": "m", "maxDistance": 400_000, "spherical": True}
    near_them = items(app, "places", {"$geoNear": stage})
    assert [item["_id"] for item in near_them] == ["paris", "london"]
    assert 200_000 < near_them[0]["m"] < 206_000


def test_text_search(app: App) -> None:
    made = {"indexes": [{"fields": ["title", "body"], "type": "text"}]}
    assert app("PUT", "/collections/articles", app.key, made).status_code == 201
    articles = [
        {"_id": "1", "title": "Running a cafe", "body": "Coffee and cake, served daily"},
        {"_id": "2", "title": "Coffee machines", "body": "How they run"},
        {"_id": "3", "title": "小程序云开发", "body": "云函数和数据库"},
    ]
    assert app("POST", "/db/articles/docs", app.key, articles).status_code == 201

    def found(search: str) -> list[str]:
        body = {"filter": {"$text": {"$search": search}}}
        reply = app("POST", "/db/articles/query", app.key, body)
        assert reply.status_code == 200, reply.text
        return sorted(item["_id"] for item in reply.json()["items"])

    assert found("coffee") == ["1", "2"]
    assert found("coffee -machines") == ["1"]
    assert found('"served daily"') == ["1"]
    assert found("云函数") == ["3"]
    assert found("nothing") == []
    reply = app("POST", "/db/things/query", app.key, {"filter": {"$text": {"$search": "x"}}})
    assert reply.status_code == 400
