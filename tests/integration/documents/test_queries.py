"""Queries through HTTP: filters, order, pages, indexes, and what is refused."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.documents.conftest import Collection


@pytest.fixture
def shop(notes: Collection) -> Collection:
    notes.create(
        [
            {"_id": "1", "name": "apple", "n": 5, "tags": ["fruit", "red"], "s": {"w": 1}},
            {"_id": "2", "name": "bread", "n": 2, "tags": ["food"], "s": {"w": 2}},
            {"_id": "3", "name": "cherry", "n": 9.5, "tags": [], "s": None},
            {"_id": "4", "name": "date", "n": "5", "items": [{"k": 1, "v": 2}, {"k": 3}]},
            {"_id": "5", "name": "Egg", "n": None, "at": {"$date": "2024-05-01T00:00:00Z"}},
        ]
    )
    return notes


CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["1", "2", "3", "4", "5"]),
    ({"name": "apple"}, ["1"]),
    ({"n": 5}, ["1"]),
    ({"n": {"$gt": 2}}, ["1", "3"]),
    ({"n": {"$gte": 2, "$lt": 9}}, ["1", "2"]),
    ({"n": {"$gt": "4"}}, ["4"]),
    ({"n": {"$ne": 5}}, ["2", "3", "4", "5"]),
    ({"n": {"$in": [2, "5", None]}}, ["2", "4", "5"]),
    ({"n": {"$nin": [2, "5"]}}, ["1", "3", "5"]),
    ({"n": {"$not": {"$gt": 2}}}, ["2", "4", "5"]),
    ({"n": None}, ["5"]),
    ({"s": None}, ["3", "4", "5"]),
    ({"s": {"$exists": False}}, ["4", "5"]),
    ({"s.w": None}, ["3", "4", "5"]),
    ({"s": {"w": 2.0}}, ["2"]),
    ({"tags": "red"}, ["1"]),
    ({"tags": ["food"]}, ["2"]),
    ({"tags": []}, ["3"]),
    ({"tags.0": "fruit"}, ["1"]),
    ({"tags": {"$exists": True}}, ["1", "2", "3"]),
    ({"items.k": 3}, ["4"]),
    ({"items.v": None}, ["1", "2", "3", "4", "5"]),
    ({"items.1.k": 3}, ["4"]),
    ({"items": {"k": 3}}, ["4"]),
    ({"at": {"$gt": {"$date": "2024-04-30T23:59:59Z"}}}, ["5"]),
    ({"at": {"$date": "2024-05-01T02:00:00+02:00"}}, ["5"]),
    ({"$or": [{"n": 2}, {"name": "Egg"}]}, ["2", "5"]),
    ({"$and": [{"n": {"$gt": 1}}, {"n": {"$lt": 4}}]}, ["2"]),
    ({"$nor": [{"n": 2}, {"n": 5}]}, ["3", "4", "5"]),
    ({"_id": {"$in": ["1", "5", 7]}}, ["1", "5"]),
    ({"_id": {"$gte": "4"}}, ["4", "5"]),
    ({"_owner": None}, ["1", "2", "3", "4", "5"]),
    ({"_version": {"$gt": 1}}, []),
    ({"_createdAt": {"$gt": "2020-01-01T00:00:00Z"}}, ["1", "2", "3", "4", "5"]),
    ({"_createdAt": {"$lt": {"$date": "2020-01-01T00:00:00Z"}}}, []),
]


@pytest.mark.parametrize(("filter", "ids"), CASES)
def test_filters_mean_what_they_mean_in_mongodb(
    shop: Collection, filter: dict[str, Any], ids: list[str]
) -> None:
    assert shop.ids(filter=filter) == ids
    url = f"{shop.path}/docs?filter={quote(json.dumps(filter), safe='')}"
    reply = shop.client.get(url, token=shop.project.secret_key)
    assert [document["_id"] for document in reply.json["items"]] == ids
    total = shop.client.post(
        f"{shop.path}/count", {"filter": filter}, token=shop.project.secret_key
    )
    assert total.json == {"total": len(ids)}


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        (["n"], ["5", "2", "1", "3", "4"]),
        (["-n"], ["4", "3", "1", "2", "5"]),
        ({"name": 1}, ["5", "1", "2", "3", "4"]),
        (["tags"], ["3", "4", "5", "2", "1"]),
        (["-tags"], ["1", "2", "5", "4", "3"]),
        (["-s.w", "name"], ["2", "1", "5", "3", "4"]),
        (["-_createdAt", "_id"], ["1", "2", "3", "4", "5"]),
        ("-_id", ["5", "4", "3", "2", "1"]),
        (["_owner", "-_version", "-_id"], ["5", "4", "3", "2", "1"]),
        (["items.k"], ["1", "2", "3", "5", "4"]),
    ],
)
def test_pages_follow_the_order_across_types(
    shop: Collection, sort: Any, ids: list[str], indexed: bool
) -> None:
    if indexed:
        fields = [["n"], ["-n"], ["name"], ["s.w", "-name"], ["tags"], ["items.k"]]
        reply = shop.declare(indexes=[{"fields": names} for names in fields])
        assert reply.status == 200, reply
    assert shop.ids(sort=sort) == ids
    for limit in (1, 2):
        seen: list[str] = []
        cursor = None
        while True:
            reply = shop.query(sort=sort, limit=limit, **({"cursor": cursor} if cursor else {}))
            assert reply.status == 200, reply
            seen += [document["_id"] for document in reply.json["items"]]
            cursor = reply.json["next_cursor"]
            if cursor is None:
                break
        assert seen == ids


def test_lists_skip_count_and_project(shop: Collection) -> None:
    reply = shop.query(
        filter={"n": {"$gt": 0}}, sort=["n"], skip=1, limit=1, count=True, fields=["name"]
    )
    assert reply.json["items"] == [{"_id": "1", "name": "apple"}]
    assert reply.json["total"] == 3
    assert reply.json["next_cursor"]
    by_url = shop.client.get(
        f"{shop.path}/docs?sort=-n,name&limit=2&skip=1&fields=-name,-_createdAt&count=true",
        token=shop.project.secret_key,
    )
    assert [document["_id"] for document in by_url.json["items"]] == ["3", "1"]
    assert by_url.json["total"] == 5
    assert "name" not in by_url.json["items"][0]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"filter": {"a": {"$gibberish": 1}}}, 400, "unsupported_operator"),
        ({"filter": {"$where": "1"}}, 400, "unsupported_operator"),
        ({"filter": {"a": {"$not": {"$nope": 1}}}}, 400, "unsupported_operator"),
        ({"filter": {"a": {"$in": [{"$regex": "x"}]}}}, 400, "unsupported_operator"),
        ({"filter": []}, 400, "invalid_query"),
        ({"filter": {"a": {"$in": 1}}}, 400, "invalid_query"),
        ({"filter": {"$or": []}}, 400, "invalid_query"),
        ({"filter": {"$and": {"a": 1}}}, 400, "invalid_query"),
        ({"filter": {"a": {"$gt": 1, "b": 2}}}, 400, "invalid_query"),
        ({"filter": {"a": {"$gt": [1]}}}, 400, "invalid_query"),
        ({"filter": {"a..b": 1}}, 400, "invalid_query"),
        ({"filter": {"a": {"$exists": "x"}}}, 400, "invalid_query"),
        ({"filter": {"_createdAt": {"$gt": "yesterday"}}}, 400, "invalid_query"),
        ({"filter": {"a": "x\0"}}, 400, "invalid_query"),
        ({"filter": {"$or": [{"a": 1}] * 3000}}, 400, "invalid_query"),
        ({"sort": [["a"]]}, 400, "invalid_query"),
        ({"sort": {"a": 2}}, 400, "invalid_query"),
        ({"sort": ["a", "-a"]}, 400, "invalid_query"),
        ({"skip": -1}, 400, "invalid_query"),
        ({"fields": {"a": 1, "b": 0}}, 400, "invalid_query"),
        ({"fields": {"a": {"$slice": 1}}}, 400, "unsupported_operator"),
        ({"cursor": "nonsense"}, 400, "invalid_cursor"),
        ({"cursor": "WzEsMiwzXQ"}, 400, "invalid_query"),
        ({"limit": 0}, 422, "invalid_limit"),
        ({"limit": 1001}, 422, "invalid_limit"),
        ({"wat": 1}, 400, "invalid_query"),
    ],
)
def test_it_refuses_queries_that_make_no_sense(
    notes: Collection, query: dict[str, Any], status: int, code: str
) -> None:
    notes.create({})
    reply = notes.query(**query)
    assert (reply.status, reply.code) == (status, code)


def test_privileged_callers_find_nothing_in_collections_that_are_not_there(
    notes: Collection,
) -> None:
    assert notes.query(count=True).json == {"items": [], "next_cursor": None, "total": 0}
