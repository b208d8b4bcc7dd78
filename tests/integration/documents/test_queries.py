"""Queries through HTTP: filters, order, pages, indexes, and what is refused."""

import json
import secrets
from typing import Any
from urllib.parse import quote

import pytest

from tests.installation import Client, TestProject
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


def test_fields_take_the_element_that_the_filter_matched(shop: Collection) -> None:
    def items(**query: Any) -> Any:
        reply = shop.query(**query)
        assert reply.status == 200, reply
        return reply.json["items"]

    by_key = {"items.k": {"$gt": 2}}
    assert items(filter=by_key, fields={"items.$": 1}) == [{"_id": "4", "items": [{"k": 3}]}]
    assert items(filter={"tags": {"$regex": "^r"}}, fields=["tags.$", "name"]) == [
        {"_id": "1", "name": "apple", "tags": ["red"]}
    ]
    assert items(filter={"_id": "5"}, fields={"tags.$": 1, "_id": 0}) == [{}]
    refused = shop.query(filter={"_id": "1"}, fields={"tags.$": 1})
    assert (refused.status, refused.code) == (400, "invalid_query")
    by_id = shop.client.get(f"{shop.path}/docs/1?fields=tags.$", token=shop.project.secret_key)
    assert (by_id.status, by_id.code) == (400, "unsupported_operator")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"filter": {"a": {"$gibberish": 1}}}, 400, "unsupported_operator"),
        ({"filter": {"$where": "1"}}, 400, "unsupported_operator"),
        ({"filter": {"a": {"$not": {"$nope": 1}}}}, 400, "unsupported_operator"),
        ({"filter": {"a": {"$in": [{"$regex": "("}]}}}, 400, "invalid_query"),
        ({"filter": {"a": {"$ne": {"$regex": "x"}}}}, 400, "unsupported_operator"),
        ({"filter": []}, 400, "invalid_query"),
        ({"filter": {"a": {"$in": 1}}}, 400, "invalid_query"),
        ({"filter": {"$or": []}}, 400, "invalid_query"),
        ({"filter": {"$and": {"a": 1}}}, 400, "invalid_query"),
        ({"filter": {"a": {"$gt": 1, "b": 2}}}, 400, "invalid_query"),
        ({"filter": {"a": {"$gt": {"$minKey": 1}}}}, 400, "unsupported_operator"),
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
        ({"fields": {"a.$": 1, "b.$": 1}}, 400, "invalid_query"),
        ({"fields": {"a.$": 1, "a": 1}}, 400, "invalid_query"),
        ({"fields": {"a.$": 0}}, 400, "invalid_query"),
        ({"fields": {"a": {"$slice": "x"}}}, 400, "invalid_query"),
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


def plan(collection: Collection, query: dict[str, Any]) -> str:
    """PostgreSQL's plan of the very statement that the list runs."""
    from baas.kernel import db
    from baas.kernel.principals import Principal
    from baas.kernel.projects import by_slug
    from documents import listing
    from documents.access import Caller

    caller = Caller(by_slug(collection.project.slug), Principal(kind="key"))
    statement, values = listing.statement(caller, collection.name, listing.parse_query(query))
    # Tables of a test are so small that reading them whole is cheapest.
    db.execute("SET enable_seqscan = off")
    try:
        rows = db.fetch_all(b"EXPLAIN " + statement, values)
    finally:
        db.execute("RESET enable_seqscan")
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize(
    ("query", "sorts"),
    [
        ({"filter": {"a": "x"}}, True),
        ({"filter": {"a": "x"}, "sort": ["-b"]}, False),
        ({"filter": {"a": None}, "sort": ["-b"]}, False),
        ({"filter": {"a": 5}, "sort": ["-b"]}, False),
        ({"filter": {"a": True}, "sort": {"b": 1}}, False),
        ({"filter": {"a": {"$date": "2024-01-01T00:00:00Z"}}, "sort": ["-b"]}, False),
        ({"filter": {"a": {"$in": ["x", "y"]}}}, True),
        ({"filter": {"a": {"$in": [1, 2.5]}}}, True),
        ({"filter": {"a": "x", "b": {"$gt": 3, "$lte": 7}}, "sort": ["-b"]}, False),
        ({"filter": {"a": {"$gt": "x", "$lt": "z"}}, "sort": ["a"]}, True),
        ({"filter": {"a": {"$gt": 5}}, "sort": ["a", "-b"]}, False),
        ({"sort": ["-a", "b"]}, False),
        ({"filter": {"c.d": "x"}}, False),
        ({"sort": ["c.d"]}, False),
        ({"sort": ["-c.d"]}, False),
        ({"filter": {"per%cent": 1}}, False),
        ({"filter": {"a": {"$regex": "^x1"}}}, True),
        ({"filter": {"a": {"$regex": "^x1.*[02]$"}}, "sort": ["a", "-b"]}, False),
        ({"filter": {"a": {"$gt": {"k": 1}}}}, True),
        ({"filter": {"a": {"k": 1}}, "sort": ["-b"]}, False),
        ({"filter": {"$or": [{"a": "x1"}, {"c.d": "v7"}]}}, True),
    ],
)
def test_declared_indexes_are_used(notes: Collection, query: dict[str, Any], sorts: bool) -> None:
    from baas.kernel import db

    reply = notes.declare(
        indexes=[
            {"fields": ["a", "-b"]},
            {"fields": ["c.d"]},
            {"fields": ["per%cent"]},
        ]
    )
    assert reply.status == 201, reply
    for start in range(0, 2000, 500):
        notes.create(
            [
                {"a": f"x{n % 50}", "b": n, "c": {"d": f"v{n}"}, "per%cent": n}
                for n in range(start, start + 500)
            ]
        )
    db.execute("ANALYZE")
    found = plan(notes, query)
    assert "Index" in found
    assert "pkey" not in found, found
    assert ("Sort Key" in found) == sorts, found


@pytest.mark.parametrize(
    "filter",
    [
        {"tags": "t7"},
        {"tags": {"$in": ["t7", "t8", 5]}},
        {"tags": {"$all": ["t7", "t8"]}},
        {"tags": {"$elemMatch": {"$eq": "t7"}}},
        {"tags": ["t7", "t8"]},
        {"items.k": 7},
        {"items": {"$elemMatch": {"k": 7, "v": {"$gt": 0}}}},
        {"items": {"$all": [{"$elemMatch": {"k": 7}}]}},
        {"$or": [{"tags": "t7"}, {"items.k": 9}]},
    ],
)
def test_members_of_arrays_are_found_by_an_index(notes: Collection, filter: dict[str, Any]) -> None:
    from baas.kernel import db

    notes.declare(indexes=[{"fields": ["tags"]}, {"fields": ["items.k"]}])
    notes.create(
        [
            {"_id": f"{n:03}", "tags": [f"t{n}", f"t{n + 1}"], "items": [{"k": n, "v": n}]}
            for n in range(500)
        ]
    )
    db.execute("ANALYZE")
    found = plan(notes, {"filter": filter})
    assert "Bitmap Index Scan" in found, found
    assert "documents_keys" in found
    # What is found so is what is found by looking at every document.
    expected = notes.ids(filter=filter, limit=1000)
    notes.declare(indexes=[])
    assert notes.ids(filter=filter, limit=1000) == expected
    assert 0 < len(expected) < 5


def test_an_array_in_an_indexed_field_is_found_and_others_still_are(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["tag"]}, {"fields": ["tag", "n"]}, {"fields": ["o.k"]}])
    notes.create([{"_id": "1", "tag": "a", "n": 1}, {"_id": "2", "tag": "b", "o": {"k": 1}}])
    assert notes.create({"_id": "3", "tag": ["a", "c"], "n": 2}).status == 201
    assert notes.ids(filter={"tag": "a"}) == ["1", "3"]
    assert notes.ids(sort=["-tag"]) == ["3", "2", "1"]
    assert notes.patch("2", {"$set": {"o": [{"k": 1}, {"k": 2}]}}).status == 200
    assert notes.ids(filter={"o.k": 2}) == ["2"]
    many = notes.create([{"_id": "4", "o": {"k": 2}}, {"_id": "5", "o": {"k": [2]}}])
    assert many.status == 201
    assert notes.ids(filter={"o.k": 2}) == ["2", "4", "5"]
    declared = notes.client.get(
        f"{notes.project.path}/collections/notes", token=notes.project.secret_key
    ).json
    assert len(declared["indexes"]) == 3


def test_indexes_declared_over_arrays_are_right_too(notes: Collection) -> None:
    notes.create([{"_id": "1", "tag": ["a", "b"]}, {"_id": "2", "tag": "b"}])
    assert notes.declare(indexes=[{"fields": ["tag"]}]).status == 200
    assert notes.ids(filter={"tag": "b"}) == ["1", "2"]
    refused = notes.declare(indexes=[{"fields": ["tag"], "unique": True}])
    assert (refused.status, refused.code) == (422, "index_not_possible")


def test_unique_indexes_hold(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["email"], "unique": True}])
    assert notes.create({"_id": "1", "email": "a"}).status == 201
    assert notes.create({"_id": "2", "email": "b"}).status == 201
    before = notes.project.events()
    for reply in (
        notes.create({"email": "a"}),
        notes.patch("2", {"email": "a"}),
        notes.put("2", {"email": "a"}),
        notes.create([{"email": "c"}, {"email": "a"}]),
    ):
        assert (reply.status, reply.code) == (409, "unique_violation")
        assert reply.json["errors"][0]["field"] == "email"
    assert notes.create({"email": ["x"]}).status == 422
    assert notes.create({"email": secrets.token_hex(3000)}).code == "index_value_too_long"
    assert notes.project.events() == before
    assert notes.create({"email": 1}).status == 201
    assert notes.create({"email": 1.0}).status == 409
    notes.declare(indexes=[])
    assert notes.create({"email": "a"}).status == 201
    twice = notes.declare(indexes=[{"fields": ["email"], "unique": True}])
    assert (twice.status, twice.code) == (409, "unique_violation")


HOSTILE = [
    "'; DROP TABLE kernel_event; --",
    '"',
    "a'b",
    "%s",
    "%(id)s",
    "\\",
    "$v",
    "x\ny",
    "é",
    "?",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_and_values_stay_data(notes: Collection, name: str) -> None:
    notes.create([{"_id": "1", name: {"x" + name: name}}, {"_id": "2", name: {"x" + name: 1}}])
    field = f"{name}.x{name}"
    refused = "$" in name
    for indexes in ([], [{"fields": [field]}, {"fields": ["-" + field, name]}]):
        reply = notes.declare(indexes=indexes)
        assert reply.status == (422 if refused and indexes else 200), reply
        for query, ids in (
            ({"filter": {field: name}}, ["1"]),
            ({"filter": {field: {"$in": [name, 1]}}}, ["1", "2"]),
            ({"filter": {name: {"x" + name: name}}}, ["1"]),
            ({"sort": ["-" + field]}, ["1", "2"]),
            ({"sort": [field], "filter": {field: {"$exists": True}}}, ["2", "1"]),
        ):
            reply = notes.query(**query)
            if refused:
                assert reply.status in (400, 422), reply
            else:
                assert [document["_id"] for document in reply.json["items"]] == ids, query
    if not refused:
        assert notes.query(sort=[field], limit=1).json["next_cursor"]
        assert notes.patch("1", {"$set": {field: 2}}).json[name] == {"x" + name: 2}
    for path in (f"{name}/docs", f"notes/docs/{name}"):
        reply = notes.client.get(f"{notes.project.path}/db/{path}", token=notes.project.secret_key)
        assert reply.status in (404, 422), reply


def test_a_page_ends_before_it_is_too_large_to_hold(client: Client, project: TestProject) -> None:
    docs, key = f"{project.path}/db/c/docs", project.secret_key
    for n in range(30):
        client.put(f"{docs}/{n:02}", {"text": "x" * 1_000_000}, token=key)
    found, cursor, pages = [], "", 0
    while cursor is not None:
        page = client.get(f"{docs}?limit=1000&fields=_id&sort=-_id{cursor}", token=key).json
        found += [item["_id"] for item in page["items"]]
        assert len(page["items"]) <= 17
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        pages += 1
    assert found == [f"{n:02}" for n in reversed(range(30))]
    assert pages == 2
