"""The contract, "Documents": what issue 2 has of it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .conftest import Stack
from .contract import App, code

OWNED = {"read": "owner", "create": "authenticated", "update": "owner", "delete": "owner"}


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        made = app("PUT", "/collections/tasks", app.key, {"rules": OWNED})
        assert made.status_code == 201
        numbers = [{"_id": f"d{n}", "n": n, "o": {"a": n % 3}, "l": [n, n + 1]} for n in range(10)]
        assert app("POST", "/db/numbers/docs", app.key, numbers).status_code == 201
        yield app


@pytest.fixture(scope="module")
def alice(app: App) -> str:
    return app.token("alice")


@pytest.fixture(scope="module")
def bob(app: App) -> str:
    return app.token("bob")


def create(app: App, token: str, **fields: Any) -> dict[str, Any]:
    reply = app("POST", "/db/tasks/docs", token, fields)
    assert reply.status_code == 201, reply.text
    document: dict[str, Any] = reply.json()
    return document


def test_a_new_document(app: App, alice: str) -> None:
    reply = app("POST", "/db/tasks/docs", alice, {"title": "t", "_owner": "me", "_version": 9})
    assert (reply.status_code, reply.headers["etag"]) == (201, '"1"')
    document = reply.json()
    assert document.keys() == {"_id", "_createdAt", "_updatedAt", "_version", "_owner", "title"}
    assert len(document["_id"]) >= 24
    assert document["_owner"] == app("GET", "/auth/me", alice).json()["id"]
    assert len(document["_createdAt"]) == len("2026-01-01T00:00:00.000Z")
    later = create(app, alice)
    assert later["_id"] > document["_id"]  # time-ordered


def test_ids(app: App, alice: str, bob: str) -> None:
    create(app, alice, _id="chosen")
    for token in (alice, bob):
        taken = app("POST", "/db/tasks/docs", token, {"_id": "chosen"})
        assert (taken.status_code, code(taken)) == (409, "document_exists")
    for wrong in ("x y", "a" * 129, "", 5, "a/b"):
        reply = app("POST", "/db/tasks/docs", alice, {"_id": wrong})
        assert (reply.status_code, code(reply)) == (422, "invalid_id")


def test_an_array_is_created_as_a_whole(app: App, alice: str) -> None:
    reply = app("POST", "/db/tasks/docs", alice, [{"_id": "b1"}, {"_id": "b2"}])
    assert (reply.status_code, [item["_id"] for item in reply.json()["items"]]) == (
        201,
        ["b1", "b2"],
    )
    before = app.events()
    assert code(app("POST", "/db/tasks/docs", alice, [{"_id": "b3"}, {"_id": "b1"}]))
    assert app("GET", "/db/tasks/docs/b3", alice).status_code == 404
    many = app("POST", "/db/tasks/docs", alice, [{}] * 501)
    assert (many.status_code, code(many)) == (413, "batch_too_large")
    assert app.events() == before


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"$a": 1}, "invalid_field_name"),
        ({"a.b": 1}, "invalid_field_name"),
        ({"": 1}, "invalid_field_name"),
        ({"a\0": 1}, "invalid_field_name"),
        ({"a": [{"$b": 1}]}, "invalid_field_name"),
        ({"a": "\0"}, "invalid_value"),
        ({"a": {"$date": "yesterday"}}, "invalid_value"),
    ],
)
def test_what_cannot_be_stored(app: App, alice: str, document: Any, expected: str) -> None:
    reply = app("POST", "/db/tasks/docs", alice, document)
    assert (reply.status_code, code(reply)) == (422, expected)


def test_numbers_are_exact(app: App, alice: str) -> None:
    body = b'{"_id":"exact","big":123456789012345678901234567890,"dec":0.10,"one":1.0,'
    body += b'"long":{"$numberLong":"9007199254740993"}}'
    json = {"Content-Type": "application/json"}
    assert app("POST", "/db/tasks/docs", alice, body, json).status_code == 201
    update = {"$inc": {"big": 1}}
    text = app("PATCH", "/db/tasks/docs/exact", alice, update).text
    assert "123456789012345678901234567891" in text
    assert "9007199254740993" in text
    found = app("POST", "/db/tasks/query", alice, {"filter": {"one": 1, "dec": 0.1}}).json()
    assert [item["_id"] for item in found["items"]] == ["exact"]


def test_reading(app: App, alice: str) -> None:
    address = f"/db/tasks/docs/{create(app, alice, a=1, b={'c': 2, 'd': 3})['_id']}"
    assert app("GET", address, alice).headers["etag"] == '"1"'
    unchanged = app("GET", address, alice, headers={"If-None-Match": '"1"'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert app("GET", address, alice, headers={"If-None-Match": '"2"'}).status_code == 200
    part = app("GET", f"{address}?fields=a,b.c", alice).json()
    assert part == {"_id": part["_id"], "a": 1, "b": {"c": 2}}
    assert "a" not in app("GET", f"{address}?fields=-a", alice).json()
    assert code(app("GET", f"{address}?fields=a,-b", alice)) == "invalid_query"


def test_what_may_not_be_read_is_not_there(app: App, alice: str, bob: str) -> None:
    theirs = f"/db/tasks/docs/{create(app, alice)['_id']}"
    hidden, missing = app("GET", theirs, bob), app("GET", "/db/tasks/docs/none", bob)
    assert (hidden.status_code, code(hidden)) == (404, "document_not_found")
    assert (missing.status_code, code(missing)) == (404, "document_not_found")
    before = app.events()
    for method, body in (("PUT", {}), ("PATCH", {"a": 1}), ("DELETE", None)):
        assert code(app(method, theirs, bob, body)) == "document_not_found"
    for closed in ("/db/tasks/docs/none", "/db/never-declared/docs/x"):
        assert code(app("GET", closed)) == "rule_denied"
    assert code(app("POST", "/db/tasks/docs", None, {})) == "rule_denied"
    assert app.events() == before


def test_a_readable_document_that_may_not_be_written(app: App, alice: str, bob: str) -> None:
    rules = {**OWNED, "read": "public"}
    app("PUT", "/collections/posts", app.key, {"rules": rules})
    address = f"/db/posts/docs/{app('POST', '/db/posts/docs', alice, {}).json()['_id']}"
    before = app.events()
    for method, body in (("PUT", {}), ("PATCH", {"a": 1}), ("DELETE", None)):
        reply = app(method, address, bob, body)
        assert (reply.status_code, code(reply)) == (403, "rule_denied")
    assert app.events() == before


def test_put_replaces_or_creates(app: App, alice: str) -> None:
    made = app("PUT", "/db/tasks/docs/put1", alice, {"a": 1})
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    replaced = app("PUT", "/db/tasks/docs/put1", alice, {"b": 1})
    assert (replaced.status_code, replaced.headers["etag"]) == (200, '"2"')
    assert "a" not in replaced.json()
    again = app("PUT", "/db/tasks/docs/put1", alice, replaced.json())  # as it was read
    assert again.json()["_version"] == 2
    for headers in ({"If-Match": '"1"'}, {"If-None-Match": "*"}):
        assert app("PUT", "/db/tasks/docs/put1", alice, {}, headers).status_code == 412
    other = app("PUT", "/db/tasks/docs/put1", alice, {"_id": "other"})
    assert code(other) == "invalid_id"


def test_patch(app: App, alice: str) -> None:
    address = f"/db/tasks/docs/{create(app, alice, n=1, gone=1, deep={'a': 1})['_id']}"
    operators = {"$set": {"deep.b": 2}, "$inc": {"n": 2}, "$unset": {"gone": ""}}
    changed = app("PATCH", address, alice, {**operators, "$push": {"l": {"$each": [1, 2]}}})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    document = changed.json()
    assert (document["n"], document["deep"], document["l"]) == (3, {"a": 1, "b": 2}, [1, 2])
    assert "gone" not in document
    merged = app("PATCH", address, alice, {"deep": {"a": None}, "x": 1}).json()
    assert (merged["deep"], merged["x"], merged["_version"]) == ({"b": 2}, 1, 3)
    before = app.events()
    same = app("PATCH", address, alice, {"n": 3.0}).json()
    assert (same["_version"], app.events()) == (3, before)
    stale = app("PATCH", address, alice, {"n": 0}, {"If-Match": '"1"'})
    assert (stale.status_code, code(stale)) == (412, "version_mismatch")
    fresh = app("PATCH", address, alice, {"n": 0}, {"If-Match": '"3"'})
    assert fresh.json()["_version"] == 4


@pytest.mark.parametrize(
    ("update", "status", "expected"),
    [
        ({"$no": {"n": 1}}, 400, "unsupported_operator"),
        ({"$inc": {"text": 1}}, 422, "invalid_update"),
        ({"$push": {"n": 1}}, 422, "invalid_update"),
        ({"$set": {"a": 1, "a.b": 2}}, 422, "invalid_update"),
        ({"$set": {"_owner": "x"}}, 422, "invalid_update"),
        ({"$set": {"n": 1}, "m": 2}, 422, "invalid_update"),
        ({"$set": {"$x": 1}}, 422, "invalid_field_name"),
    ],
)
def test_updates_that_cannot_be(
    app: App, alice: str, update: Any, status: int, expected: str
) -> None:
    document = create(app, alice, n=1, text="t")
    before = app.events()
    reply = app("PATCH", f"/db/tasks/docs/{document['_id']}", alice, update)
    assert (reply.status_code, code(reply)) == (status, expected)
    assert app.events() == before


def test_delete(app: App, alice: str) -> None:
    address = f"/db/tasks/docs/{create(app, alice)['_id']}"
    assert code(app("DELETE", address, alice, headers={"If-Match": '"2"'})) == "version_mismatch"
    gone = app("DELETE", address, alice)
    assert (gone.status_code, gone.content) == (204, b"")
    assert code(app("DELETE", address, alice)) == "document_not_found"


def query(app: App, **body: Any) -> httpx.Response:
    return app("POST", "/db/numbers/query", app.key, body)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"n": 3}, "3"),
        ({"n": {"$eq": 3}}, "3"),
        ({"n": {"$ne": 3, "$lt": 5}}, "0124"),
        ({"n": {"$gt": 6, "$lte": 8}}, "78"),
        ({"n": {"$gte": 8}}, "89"),
        ({"n": {"$in": [1, 2, 99]}}, "12"),
        ({"n": {"$nin": [0, 1, 2, 3, 4, 5, 6, 7]}}, "89"),
        ({"$and": [{"n": {"$gt": 1}}, {"o.a": 0}]}, "369"),
        ({"$or": [{"n": 1}, {"n": 2}]}, "12"),
        ({"$nor": [{"n": {"$gt": 1}}, {"n": 0}]}, "1"),
        ({"n": {"$not": {"$gt": 1}}}, "01"),
        ({"none": {"$exists": True}}, ""),
        ({"none": None, "n": {"$lt": 2}}, "01"),
        ({"l": 3}, "23"),
        ({"l": [3, 4]}, "3"),
        ({"l.0": 3}, "3"),
        ({"n": {"$gt": "a"}}, ""),
        ({"_id": "d4"}, "4"),
        ({"_version": 1, "n": 5}, "5"),
        ({"_createdAt": {"$lt": "2020-01-01T00:00:00Z"}}, ""),
        ({"_createdAt": {"$gt": {"$date": "2020-01-01T00:00:00Z"}}, "n": 7}, "7"),
        ({"n": {"$type": "int", "$lt": 2}}, "01"),
        ({"n": {"$mod": [4, 1]}}, "159"),
        ({"l": {"$size": 2}, "n": 9}, "9"),
        ({"l": {"$all": [3, 4]}}, "3"),
        ({"l": {"$elemMatch": {"$gt": 8, "$lt": 10}}}, "89"),
        ({"l": {"$gte": [8]}}, "89"),
        ({"_id": {"$regex": "^d[12]$"}}, "12"),
        ({"_id": {"$in": [{"$regex": "^D3", "$options": "i"}, "d4"]}}, "34"),
        ({"$expr": {"$lt": ["$n", 2]}, "$comment": "the first"}, "01"),
    ],
)
def test_filters(app: App, condition: Any, found: str) -> None:
    items = query(app, filter=condition).json()["items"]
    assert "".join(sorted(item["_id"][1] for item in items)) == found


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"filter": {"n": {"$foo": 1}}}, "unsupported_operator"),
        ({"filter": {"$where": "1"}}, "unsupported_operator"),
        ({"filter": [1]}, "invalid_query"),
        ({"filter": {"n": {"$in": 5}}}, "invalid_query"),
        ({"filter": {"$or": []}}, "invalid_query"),
        ({"filter": {"n": {"$gt": 1, "x": 2}}}, "invalid_query"),
        ({"sort": [5]}, "invalid_query"),
        ({"skip": -1}, "invalid_query"),
        ({"fields": {"n": 1, "o": 0}}, "invalid_query"),
        ({"filters": {}}, "invalid_query"),
        ({"cursor": "zzz"}, "invalid_cursor"),
        ({"limit": 0}, "invalid_limit"),
        ({"limit": 1001}, "invalid_limit"),
    ],
)
def test_queries_that_cannot_be(app: App, body: Any, expected: str) -> None:
    reply = query(app, **body)
    assert (reply.status_code, code(reply)) == (422 if "limit" in body else 400, expected)


def test_sort_pages_and_fields(app: App) -> None:
    for sort in (["-o.a", "n"], {"o.a": -1, "n": 1}):
        items = query(app, sort=sort, fields=["n"]).json()["items"]
        assert [item["n"] for item in items] == [2, 5, 8, 1, 4, 7, 0, 3, 6, 9]
        assert all(item.keys() == {"_id", "n"} for item in items)
    seen: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = query(app, sort=["-n"], limit=3, count=True, **cursor).json()
        assert page["total"] == 10
        seen += [item["n"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == list(range(9, -1, -1))
    by_url = app("GET", '/db/numbers/docs?filter={"n":{"$lt":3}}&sort=-n&limit=2', app.key)
    assert [item["n"] for item in by_url.json()["items"]] == [2, 1]
    skipped = query(app, sort=["n"], skip=8, fields={"n": 1}).json()["items"]
    assert [item["n"] for item in skipped] == [8, 9]
    assert len(query(app).json()["items"]) == 10
    total = app("POST", "/db/numbers/count", app.key, {"filter": {"n": {"$gte": 5}}})
    assert total.json() == {"total": 5}


def test_lists_show_what_rules_allow(app: App, alice: str, bob: str) -> None:
    create(app, alice, mark="list")
    create(app, bob, mark="list")
    for token, total in ((alice, 1), (bob, 1), (app.key, 2)):
        mine = {"filter": {"mark": "list"}}
        page = app("POST", "/db/tasks/query", token, {**mine, "count": True}).json()
        assert (len(page["items"]), page["total"]) == (total, total)
        assert app("POST", "/db/tasks/count", token, mine).json() == {"total": total}
    assert code(app("POST", "/db/tasks/query", None, {})) == "rule_denied"


class TestCommit:
    def commit(self, app: App, token: str, *writes: dict[str, Any]) -> httpx.Response:
        return app("POST", "/db/commit", token, {"writes": list(writes)})

    def test_all_writes_happen(self, app: App, alice: str) -> None:
        create(app, alice, _id="cm0", n=1)
        there = {"collection": "tasks"}
        reply = self.commit(
            app,
            alice,
            {"op": "create", "id": "cm1", "data": {"x": 1}, **there},
            {"op": "set", "id": "cm2", "data": {"y": 1}, **there},
            {"op": "update", "id": "cm0", "update": {"$inc": {"n": 1}}, "if_version": 1, **there},
            {"op": "delete", "id": "cm2", **there},
        )
        assert reply.status_code == 200, reply.text
        assert [item["_id"] for item in reply.json()["results"]] == ["cm1", "cm2", "cm0", "cm2"]
        assert [item["_version"] for item in reply.json()["results"][:3]] == [1, 1, 2]

    @pytest.mark.parametrize(
        ("write", "status", "expected"),
        [
            ({"op": "create", "id": "cf1", "data": {}}, 409, "document_exists"),
            ({"op": "set", "id": "cf1", "data": {}, "if_version": 9}, 409, None),
            (
                {"op": "set", "id": "cf2", "data": {}, "if_exists": True},
                409,
                "transaction_conflict",
            ),
            ({"op": "update", "id": "none", "update": {"$set": {"a": 1}}}, 409, None),
            ({"op": "set", "id": "cf1", "collection": "closed", "data": {}}, 403, "rule_denied"),
            ({"op": "frobnicate", "id": "cf1"}, 422, "invalid_write"),
            ({"op": "create", "id": "cf3", "data": {"$a": 1}}, 422, "invalid_field_name"),
        ],
    )
    def test_one_failure_undoes_all(
        self, app: App, alice: str, write: Any, status: int, expected: str | None
    ) -> None:
        app("PUT", "/db/tasks/docs/cf1", alice, {})
        before = app.events()
        first = {"op": "create", "collection": "tasks", "id": "undone", "data": {}}
        reply = self.commit(app, alice, first, {"collection": "tasks", **write})
        assert reply.status_code == status
        assert code(reply) == (expected or "transaction_conflict")
        assert reply.json()["errors"][0]["field"].startswith("writes[1]")
        assert app("GET", "/db/tasks/docs/undone", alice).status_code == 404
        assert app.events() == before

    def test_limits(self, app: App, alice: str) -> None:
        write = {"op": "create", "collection": "tasks", "data": {}}
        assert code(self.commit(app, alice, *[write] * 501)) == "batch_too_large"
        assert self.commit(app, alice).json() == {"results": []}


def test_an_unknown_transaction_is_not_ignored(app: App, alice: str) -> None:
    reply = app("POST", "/db/tasks/docs", alice, {}, {"X-Transaction": "none"})
    assert (reply.status_code, code(reply)) == (404, "transaction_not_found")


class TestCollections:
    def test_declared_and_dropped(self, app: App) -> None:
        body = {
            "rules": {"read": "public"},
            "schema": {"type": "object", "required": ["title"]},
            "indexes": [{"fields": ["title"], "unique": True}],
        }
        assert app("PUT", "/collections/decl", app.key, body).status_code == 201
        assert app("PUT", "/collections/decl", app.key, body).status_code == 200
        shown = app("GET", "/collections/decl", app.operator).json()
        assert (shown["name"], shown["schema"]) == ("decl", body["schema"])
        reply = app("POST", "/db/decl/docs", app.key, {"x": 1})
        assert (reply.status_code, code(reply)) == (422, "schema_violation")
        assert app("POST", "/db/decl/docs", app.key, {"title": "t"}).status_code == 201
        reply = app("POST", "/db/decl/docs", app.key, {"title": "t"})
        assert (reply.status_code, code(reply)) == (409, "unique_violation")
        assert app("DELETE", "/collections/decl", app.key).status_code == 204
        assert code(app("GET", "/collections/decl", app.key)) == "collection_not_found"

    @pytest.mark.parametrize(
        ("name", "body", "expected"),
        [
            ("1a", {}, "invalid_collection_name"),
            ("_a", {}, "invalid_collection_name"),
            ("a" * 65, {}, "invalid_collection_name"),
            ("x", {"rules": {"read": "(("}}, "invalid_rule"),
            ("x", {"rules": {"read": "auth.nothing == 1"}}, "invalid_rule"),
            ("x", {"rules": {"reed": "public"}}, "invalid"),
            ("x", {"rulez": {}}, "invalid"),
            ("x", {"schema": {"type": "no-such"}}, "invalid_schema"),
        ],
    )
    def test_refused(self, app: App, name: str, body: Any, expected: str) -> None:
        reply = app("PUT", f"/collections/{name}", app.key, body)
        assert (reply.status_code, code(reply)) == (422, expected)
        assert code(app("GET", "/collections/x", app.key)) == "collection_not_found"

    def test_for_the_privileged_only(self, app: App, alice: str) -> None:
        for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
            assert code(app(method, "/collections/tasks", alice, body)) == "rule_denied"
            anonymous = app(method, "/collections/tasks", None, body)
            assert (anonymous.status_code, code(anonymous)) == (401, "authentication_required")
