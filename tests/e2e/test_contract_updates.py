"""The contract, "Documents": updates, writes by filter and transactions, over HTTP."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from .conftest import Stack
from .contract import App, code

OWNED = {"read": "owner", "create": "authenticated", "update": "owner", "delete": "owner"}
SYSTEM = {"_id", "_createdAt", "_updatedAt", "_version", "_owner"}
MAY = {"$date": "2024-05-01T10:00:00.000Z"}
JUNE = {"$date": "2024-06-01T10:00:00.000Z"}


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        assert app("PUT", "/collections/tasks", app.key, {"rules": OWNED}).status_code == 201
        yield app


def fields(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in SYSTEM}


def post(app: App, path: str, body: Any, token: str | None = None, **headers: str) -> Any:
    reply = app("POST", path, token or app.key, body, headers or None)
    assert reply.status_code < 300, reply.text
    return reply.json()


@pytest.mark.parametrize(
    ("before", "update", "after"),
    [
        ({"a": 1}, {"$set": {"b.c": 2}}, {"a": 1, "b": {"c": 2}}),
        ({"a": [1, 2]}, {"$set": {"a.1": 9}}, {"a": [1, 9]}),
        ({"a": 1, "b": 2}, {"$unset": {"a": ""}}, {"b": 2}),
        ({"a": [1, 2]}, {"$unset": {"a.0": ""}}, {"a": [None, 2]}),
        ({"a": 1}, {"$inc": {"a": 2, "b": 5}}, {"a": 3, "b": 5}),
        ({"a": 3}, {"$mul": {"a": 2, "b": 5}}, {"a": 6, "b": 0}),
        ({"a": 3, "b": 3}, {"$min": {"a": 2, "c": 1}, "$max": {"b": 9}}, {"a": 2, "b": 9, "c": 1}),
        ({"a": MAY}, {"$max": {"a": JUNE}}, {"a": JUNE}),
        ({"a": {"b": 1}}, {"$rename": {"a.b": "c"}}, {"a": {}, "c": 1}),
        ({"a": [1]}, {"$push": {"a": [2]}}, {"a": [1, [2]]}),
        (
            {"a": [5, 1]},
            {"$push": {"a": {"$each": [3, 9], "$sort": 1, "$slice": -3}}},
            {"a": [3, 5, 9]},
        ),
        ({"a": [1, 4]}, {"$push": {"a": {"$each": [2, 3], "$position": 1}}}, {"a": [1, 2, 3, 4]}),
        (
            {"a": [{"k": 2}, {"k": 1}]},
            {"$push": {"a": {"$each": [], "$sort": {"k": 1}}}},
            {"a": [{"k": 1}, {"k": 2}]},
        ),
        ({"a": [1]}, {"$addToSet": {"a": {"$each": [1, 2, 2]}}}, {"a": [1, 2]}),
        ({"a": [1]}, {"$addToSet": {"a": 1.0}}, {"a": [1]}),
        ({"a": [1, 2, 3]}, {"$pop": {"a": 1}}, {"a": [1, 2]}),
        ({"a": [1, 2, 3]}, {"$pop": {"a": -1}}, {"a": [2, 3]}),
        ({"a": [1, 5, 9]}, {"$pull": {"a": {"$gt": 4}}}, {"a": [1]}),
        (
            {"a": [{"k": 1, "v": 1}, {"k": 2, "v": 2}]},
            {"$pull": {"a": {"k": 1}}},
            {"a": [{"k": 2, "v": 2}]},
        ),
        ({"a": [1, 2, 1, 3]}, {"$pullAll": {"a": [1, 3]}}, {"a": [2]}),
        ({"a": [{"k": 1}, {"k": 2}]}, {"$inc": {"a.$[].k": 10}}, {"a": [{"k": 11}, {"k": 12}]}),
        ({"a": 1}, {"$setOnInsert": {"b": 1}}, {"a": 1}),
    ],
)
def test_an_update(app: App, before: Any, update: Any, after: Any) -> None:
    made = post(app, "/db/u/docs", before)
    reply = app("PATCH", f"/db/u/docs/{made['_id']}", app.key, update)
    assert reply.status_code == 200, reply.text
    assert fields(reply.json()) == after
    changed = after != before
    assert reply.json()["_version"] == 1 + changed
    counts = post(app, "/db/u/update-one", {"filter": {"_id": made["_id"]}, "update": {"$set": {}}})
    assert (counts["matched"], counts["modified"]) == (1, 0)


def test_current_date(app: App) -> None:
    made = post(app, "/db/u/docs", {})
    found = app("PATCH", f"/db/u/docs/{made['_id']}", app.key, {"$currentDate": {"at": True}})
    assert found.json()["at"]["$date"] >= made["_createdAt"]


@pytest.mark.parametrize(
    ("update", "status", "expected"),
    [
        ({"$inc": {"s": 1}}, 422, "invalid_update"),
        ({"$push": {"s": 1}}, 422, "invalid_update"),
        ({"$set": {"a": 1}, "$inc": {"a": 1}}, 422, "invalid_update"),
        ({"$set": {"a": 1, "a.b": 1}}, 422, "invalid_update"),
        ({"$set": {"s.x": 1}}, 422, "invalid_update"),
        ({"$nonsense": {"a": 1}}, 400, "unsupported_operator"),
        ({"$set": {"_id": "other"}}, 422, "invalid_update"),
        ({"$set": {"_version": 7}}, 422, "invalid_update"),
        ({"$rename": {"_id": "x"}}, 422, "invalid_update"),
        ({"$set": {"a": {"$b": 1}}}, 422, "invalid_field_name"),
        ({"$pop": {"l": 2}}, 422, "invalid_update"),
        ({"$mul": {"n": "2"}}, 422, "invalid_update"),
    ],
)
def test_a_wrong_update_changes_nothing(app: App, update: Any, status: int, expected: str) -> None:
    made = post(app, "/db/w/docs", {"s": "text", "n": 1, "l": [1]})
    before = app.events()
    for method, path, body in (
        ("PATCH", f"/db/w/docs/{made['_id']}", update),
        ("POST", "/db/w/update-one", {"filter": {"_id": made["_id"]}, "update": update}),
        ("POST", "/db/w/update-many", {"filter": {"_id": made["_id"]}, "update": update}),
    ):
        reply = app(method, path, app.key, body)
        assert (reply.status_code, code(reply)) == (status, expected), reply.text
    assert app("GET", f"/db/w/docs/{made['_id']}", app.key).json() == made
    assert app.events() == before


def test_update_one_finds_and_modifies(app: App) -> None:
    c = f"c{secrets.token_hex(4)}"
    post(app, f"/db/{c}/docs", [{"_id": "a", "n": 1}, {"_id": "b", "n": 2}, {"_id": "c", "n": 3}])
    ask = {"filter": {"n": {"$gte": 2}}, "update": {"$inc": {"n": 10}}, "sort": ["-n"]}
    found = post(app, f"/db/{c}/update-one", {**ask, "return": "after"})
    assert (found["matched"], found["modified"]) == (1, 1)
    assert (found["document"]["_id"], found["document"]["n"]) == ("c", 13)
    found = post(app, f"/db/{c}/update-one", {**ask, "return": "before"})
    assert (found["document"]["_id"], found["document"]["n"]) == ("c", 13)
    none = post(app, f"/db/{c}/update-one", {"filter": {"n": 99}, "update": {"$set": {"x": 1}}})
    assert (none["matched"], none["modified"]) == (0, 0)


def test_positional_updates(app: App) -> None:
    c = f"c{secrets.token_hex(4)}"
    grades = [{"g": 80, "m": 75}, {"g": 85, "m": 90}, {"g": 85, "m": 85}]
    post(app, f"/db/{c}/docs", {"_id": "s", "grades": grades, "n": [1, 5, 9]})

    def now() -> Any:
        return app("GET", f"/db/{c}/docs/s", app.key).json()

    post(app, f"/db/{c}/update-one", {"filter": {"n": 5}, "update": {"$set": {"n.$": 6}}})
    assert now()["n"] == [1, 6, 9]
    match = {"_id": "s", "grades": {"$elemMatch": {"g": 85, "m": {"$gt": 80}}}}
    post(app, f"/db/{c}/update-one", {"filter": match, "update": {"$set": {"grades.$.m": 6}}})
    assert [each["m"] for each in now()["grades"]] == [75, 6, 85]
    body = {
        "filter": {"_id": "s"},
        "update": {"$inc": {"grades.$[x].g": 1, "n.$[big]": -1}},
        "array_filters": [{"x.m": {"$gte": 75}}, {"big": {"$gte": 6}}],
    }
    post(app, f"/db/{c}/update-one", body)
    assert [each["g"] for each in now()["grades"]] == [81, 85, 86]
    assert now()["n"] == [1, 5, 8]
    before = app.events()
    for wrong in (
        {"filter": {"_id": "s"}, "update": {"$set": {"n.$": 6}}},
        {"filter": {"_id": "s"}, "update": {"$set": {"n.$[y]": 6}}},
        {**body, "array_filters": [*body["array_filters"], {"unused": 1}]},
    ):
        assert app("POST", f"/db/{c}/update-one", app.key, wrong).status_code in (400, 422)
    assert app.events() == before


def test_upserts(app: App) -> None:
    c = f"c{secrets.token_hex(4)}"
    body = {
        "filter": {"name": "x", "n": {"$gt": 1}, "o.k": 2},
        "update": {"$inc": {"hits": 1}, "$setOnInsert": {"new": True}},
        "upsert": True,
        "return": "after",
    }
    first = post(app, f"/db/{c}/update-one", body)
    assert (first["matched"], first["modified"]) == (0, 0)
    made = app("GET", f"/db/{c}/docs/{first['upserted_id']}", app.key).json()
    assert fields(made) == {"name": "x", "o": {"k": 2}, "hits": 1, "new": True}
    assert first["document"] == made
    again = {**body, "filter": {"name": "x"}}
    second = post(app, f"/db/{c}/update-one", again)
    assert (second["matched"], second["modified"]) == (1, 1)
    assert "upserted_id" not in second
    assert second["document"]["hits"] == 2
    byid = {"filter": {"_id": "chosen"}, "update": {"$set": {"a": 1}}, "upsert": True}
    assert post(app, f"/db/{c}/update-many", byid)["upserted_id"] == "chosen"


def test_many_at_once(app: App) -> None:
    c = f"c{secrets.token_hex(4)}"
    post(app, f"/db/{c}/docs", [{"_id": f"d{n}", "n": n} for n in range(10)])
    before = app.events()
    many = {"filter": {"n": {"$lt": 5}}, "update": {"$set": {"small": True}}}
    assert post(app, f"/db/{c}/update-many", many) == {"matched": 5, "modified": 5}
    assert app.events() == before + 5
    assert post(app, f"/db/{c}/update-many", many) == {"matched": 5, "modified": 0}
    assert app.events() == before + 5
    assert post(app, f"/db/{c}/delete-many", {"filter": {"small": True}}) == {"deleted": 5}
    gone = post(app, f"/db/{c}/delete-one", {"filter": {}, "sort": ["-n"], "return": "before"})
    assert (gone["deleted"], gone["document"]["_id"]) == (1, "d9")
    assert post(app, f"/db/{c}/count", {"filter": {}}) == {"total": 4}
    assert app.events() == before + 11


def test_writes_by_filter_pass_over_what_the_caller_may_not_touch(app: App) -> None:
    alice, bob = app.token("alice"), app.token("bob")
    for token in (alice, bob):
        post(app, "/db/tasks/docs", [{"kind": "mixed"}, {"kind": "mixed"}], token)
    before = app.events()
    done = {"filter": {"kind": "mixed"}, "update": {"$set": {"done": True}}}
    assert post(app, "/db/tasks/update-many", done, alice) == {"matched": 2, "modified": 2}
    assert post(app, "/db/tasks/count", {"filter": {"done": True}}) == {"total": 2}
    assert post(app, "/db/tasks/delete-many", {"filter": {"kind": "mixed"}}, bob) == {"deleted": 2}
    assert app.events() == before + 4
    assert code(app("POST", "/db/tasks/update-many", None, done)) == "rule_denied"
    assert code(app("POST", "/db/tasks/delete-many", None, {"filter": {}})) == "rule_denied"
    assert app.events() == before + 4


def test_a_claimed_document_is_claimed_once(app: App) -> None:
    c = f"c{secrets.token_hex(4)}"
    post(app, f"/db/{c}/docs", [{"_id": f"j{n}", "state": "free"} for n in range(30)])
    claim = {
        "filter": {"state": "free"},
        "update": {"$set": {"state": "taken"}},
        "sort": ["_id"],
        "return": "after",
    }

    def take(_: int) -> str | None:
        found = post(app, f"/db/{c}/update-one", claim)
        return found["document"]["_id"] if found["matched"] else None

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(40)))
    got = [each for each in taken if each]
    assert (len(got), len(set(got))) == (30, 30)


def test_increments_of_fifty_clients_add_up(app: App) -> None:
    c = f"c{secrets.token_hex(4)}"
    post(app, f"/db/{c}/docs", {"_id": "n", "n": 0})
    body = {"filter": {"_id": "n"}, "update": {"$inc": {"n": 1}}}
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda _: post(app, f"/db/{c}/update-one", body), range(150)))
    assert all(reply["modified"] == 1 for reply in replies)
    assert app("GET", f"/db/{c}/docs/n", app.key).json()["n"] == 150


def begin(app: App, token: str | None = None) -> str:
    reply = app("POST", "/db/transactions", token or app.key, {})
    assert reply.status_code in (200, 201), reply.text
    assert reply.json().keys() >= {"id", "expires_at"}
    id: str = reply.json()["id"]
    return id


def within(id: str) -> dict[str, str]:
    return {"X-Transaction": id}


def test_a_transaction_is_all_or_nothing(app: App) -> None:
    c = f"c{secrets.token_hex(4)}"
    post(app, f"/db/{c}/docs", [{"_id": "a", "n": 10}, {"_id": "b", "n": 0}])
    before = app.events()
    id = begin(app)
    for name, amount in (("a", -4), ("b", 4)):
        body = {"$inc": {"n": amount}}
        assert app("PATCH", f"/db/{c}/docs/{name}", app.key, body, within(id)).status_code == 200
    inside = app("GET", f"/db/{c}/docs/a", app.key, headers=within(id)).json()
    assert inside["n"] == 6
    assert app("GET", f"/db/{c}/docs/a", app.key).json()["n"] == 10
    assert app.events() == before
    committed = app("POST", f"/db/transactions/{id}/commit", app.key, {})
    assert committed.status_code in (200, 204), committed.text
    assert [app("GET", f"/db/{c}/docs/{k}", app.key).json()["n"] for k in "ab"] == [6, 4]
    assert app.events() == before + 2
    over = app("GET", f"/db/{c}/docs/a", app.key, headers=within(id))
    assert (over.status_code, code(over)) == (404, "transaction_not_found")


def test_a_rolled_back_transaction_leaves_nothing(app: App) -> None:
    before = app.events()
    id = begin(app)
    made = app("POST", "/db/u/docs", app.key, {"_id": "never"}, within(id))
    assert made.status_code == 201
    assert app("POST", f"/db/transactions/{id}/rollback", app.key, {}).status_code in (200, 204)
    assert app("GET", "/db/u/docs/never", app.key).status_code == 404
    assert app.events() == before


def test_a_problem_leaves_a_transaction_open(app: App) -> None:
    id = begin(app)
    c = f"c{secrets.token_hex(4)}"
    made = app("POST", f"/db/{c}/docs", app.key, {"_id": "x", "n": 1}, within(id))
    assert made.status_code == 201
    missing = app("GET", f"/db/{c}/docs/none", app.key, headers=within(id))
    assert code(missing) == "document_not_found"
    again = app("POST", f"/db/{c}/docs", app.key, {"_id": "x"}, within(id))
    assert code(again) == "document_exists"
    wrong = app("PATCH", f"/db/{c}/docs/x", app.key, {"$inc": {"_id": 1}}, within(id))
    assert wrong.status_code == 422
    assert app("POST", f"/db/transactions/{id}/commit", app.key, {}).status_code in (200, 204)
    assert app("GET", f"/db/{c}/docs/x", app.key).json()["n"] == 1


def test_write_skew_is_a_conflict(app: App) -> None:
    c = f"c{secrets.token_hex(4)}"
    post(app, f"/db/{c}/docs", [{"_id": "ann", "on": True}, {"_id": "bob", "on": True}])
    first, second = begin(app), begin(app)
    for id in (first, second):
        on_call = app("POST", f"/db/{c}/count", app.key, {"filter": {"on": True}}, within(id))
        assert on_call.json() == {"total": 2}
    off = {"$set": {"on": False}}
    outcomes = []
    for id, name in ((first, "ann"), (second, "bob")):
        reply = app("PATCH", f"/db/{c}/docs/{name}", app.key, off, within(id))
        if reply.status_code == 200:
            reply = app("POST", f"/db/transactions/{id}/commit", app.key, {})
        outcomes.append(code(reply))
    assert sorted(outcomes) == ["", "transaction_conflict"]
    assert post(app, f"/db/{c}/count", {"filter": {"on": True}}) == {"total": 1}


def test_a_transaction_belongs_to_who_began_it(app: App) -> None:
    alice, bob = app.token("alice"), app.token("bob")
    id = begin(app, alice)
    made = app("POST", "/db/tasks/docs", alice, {"kind": "mine"}, within(id))
    assert made.status_code == 201
    for reply in (
        app("GET", f"/db/tasks/docs/{made.json()['_id']}", bob, headers=within(id)),
        app("POST", f"/db/transactions/{id}/commit", bob, {}),
        app("POST", "/db/transactions/nonsense/commit", alice, {}),
        app("POST", "/db/tasks/query", alice, {}, within("nonsense")),
    ):
        assert (reply.status_code, code(reply)) == (404, "transaction_not_found")
    assert app("POST", f"/db/transactions/{id}/commit", alice, {}).status_code in (200, 204)


def test_replace_one(app: App) -> None:
    c = f"c{secrets.token_hex(4)}"
    post(app, f"/db/{c}/docs", {"_id": "a", "n": 1, "old": True})
    body = {"filter": {"n": 1}, "replacement": {"n": 2}, "return": "after"}
    found = post(app, f"/db/{c}/replace-one", body)
    assert (found["matched"], found["modified"], found["document"]["_id"]) == (1, 1, "a")
    assert fields(app("GET", f"/db/{c}/docs/a", app.key).json()) == {"n": 2}
    operators = {"filter": {"n": 2}, "replacement": {"$set": {"n": 3}}}
    assert app("POST", f"/db/{c}/replace-one", app.key, operators).status_code in (400, 422)


def test_repeated_writes_by_filter_answer_the_first_reply(app: App) -> None:
    c = f"c{secrets.token_hex(4)}"
    post(app, f"/db/{c}/docs", {"_id": "n", "n": 0})
    body = {"filter": {"_id": "n"}, "update": {"$inc": {"n": 1}}}
    key = {"Idempotency-Key": secrets.token_hex(8)}
    replies = [app("POST", f"/db/{c}/update-one", app.key, body, key) for _ in range(3)]
    assert [reply.json() for reply in replies] == [{"matched": 1, "modified": 1}] * 3
    assert app("GET", f"/db/{c}/docs/n", app.key).json()["n"] == 1
