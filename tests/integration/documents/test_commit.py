"""Atomic batches."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.installation import Reply
from tests.integration.documents.conftest import Collection
from tests.integration.documents.test_concurrency import at_once


def commit(notes: Collection, writes: Any, token: str | None = None) -> Reply:
    return notes.client.post(
        f"{notes.project.path}/db/commit",
        {"writes": writes},
        token=token or notes.project.secret_key,
    )


def test_all_writes_happen_together(notes: Collection) -> None:
    notes.create([{"_id": "u", "n": 1}, {"_id": "d"}])
    reply = commit(
        notes,
        [
            {"op": "create", "collection": "notes", "id": "c", "data": {"n": 1}},
            {"op": "create", "collection": "other", "data": {}},
            {"op": "set", "collection": "notes", "id": "s", "data": {"x": 1}},
            {"op": "update", "collection": "notes", "id": "u", "update": {"$inc": {"n": 5}}},
            {"op": "update", "collection": "notes", "id": "c", "update": {"n": 2}, "if_version": 1},
            {"op": "delete", "collection": "notes", "id": "d"},
            {"op": "delete", "collection": "notes", "id": "never-there"},
        ],
    )
    assert reply.status == 200, reply
    results = reply.json["results"]
    assert [result["_version"] for result in results] == [1, 1, 1, 2, 2, None, None]
    assert results[0]["_id"] == "c"
    assert notes.ids() == ["c", "s", "u"]
    assert notes.get("u").json["n"] == 6
    assert len(notes.project.events()) == 2 + 6


@pytest.mark.parametrize(
    ("write", "status", "code"),
    [
        ({"op": "create", "collection": "notes", "id": "u", "data": {}}, 409, "document_exists"),
        (
            {"op": "set", "collection": "notes", "id": "u", "data": {}, "if_version": 7},
            409,
            "transaction_conflict",
        ),
        (
            {"op": "set", "collection": "notes", "id": "u", "data": {}, "if_exists": False},
            409,
            "transaction_conflict",
        ),
        (
            {"op": "set", "collection": "notes", "id": "zz", "data": {}, "if_exists": True},
            409,
            "transaction_conflict",
        ),
        (
            {"op": "update", "collection": "notes", "id": "zz", "update": {}},
            409,
            "transaction_conflict",
        ),
        (
            {"op": "delete", "collection": "notes", "id": "zz", "if_exists": True},
            409,
            "transaction_conflict",
        ),
        (
            {"op": "delete", "collection": "notes", "id": "u", "if_version": 9},
            409,
            "transaction_conflict",
        ),
        (
            {"op": "update", "collection": "notes", "id": "u", "update": {"$inc": {"s": 1}}},
            422,
            "invalid_update",
        ),
        ({"op": "upsert", "collection": "notes", "id": "u", "data": {}}, 422, "invalid_write"),
        ({"op": "set", "collection": "notes", "data": {}}, 422, "invalid_id"),
        ({"op": "create", "collection": "no such", "data": {}}, 422, "invalid_collection_name"),
        ({"op": "create", "collection": "notes", "data": {"a.b": 1}}, 422, "invalid_field_name"),
        (5, 422, "invalid_write"),
        (
            {"op": "create", "collection": "notes", "data": {}, "if_version": 1},
            422,
            "invalid_write",
        ),
        (
            {"op": "create", "collection": "notes", "data": {}, "if_exists": True},
            422,
            "invalid_write",
        ),
        (
            {
                "op": "set",
                "collection": "notes",
                "id": "u",
                "data": {},
                "if_exists": False,
                "if_version": 1,
            },
            422,
            "invalid_write",
        ),
        (
            {"op": "delete", "collection": "notes", "id": "u", "if_exists": False},
            422,
            "invalid_write",
        ),
        (
            {"op": "delete", "collection": "notes", "id": "zz", "if_version": 1},
            409,
            "transaction_conflict",
        ),
        (
            {"op": "update", "collection": "notes", "id": "u", "update": {}, "if_version": 2},
            409,
            "transaction_conflict",
        ),
    ],
)
def test_one_failure_undoes_all_and_is_named(
    notes: Collection, write: Any, status: int, code: str
) -> None:
    notes.create({"_id": "u", "s": "x"})
    before = notes.project.events()
    reply = commit(notes, [{"op": "create", "collection": "fresh", "id": "c", "data": {}}, write])
    assert (reply.status, reply.code) == (status, code), reply
    assert reply.json["errors"][0]["field"] == "writes[1]"
    assert Collection(notes.client, notes.project, "fresh").get("c").status == 404
    assert notes.project.events() == before
    assert notes.create({"_id": "next"}).status == 201


def test_rules_apply_to_each_write(
    notes: Collection, sign_up: Callable[[str], tuple[str, str]]
) -> None:
    notes.declare(rules={"read": "owner", "create": "owner", "update": "owner"})
    alice, bob = sign_up("alice")[0], sign_up("bob")[0]
    notes.create({"_id": "b"}, bob)
    before = notes.project.events()
    writes = [
        {"op": "create", "collection": "notes", "id": "a", "data": {}},
        {"op": "update", "collection": "notes", "id": "b", "update": {"x": 1}},
    ]
    assert commit(notes, writes, alice).code == "transaction_conflict"
    closed = [{"op": "create", "collection": "elsewhere", "data": {}}]
    assert commit(notes, closed, alice).code == "rule_denied"
    assert notes.project.events() == before
    assert commit(notes, writes, bob).status == 200


def test_it_refuses_more_than_500_writes(notes: Collection) -> None:
    write = {"op": "create", "collection": "notes", "data": {}}
    assert commit(notes, [write] * 501).status == 413
    assert commit(notes, {"op": "create"}).status == 400
    assert notes.project.events() == []


def test_preconditions_that_hold(notes: Collection) -> None:
    notes.create([{"_id": "u", "l": [1, 2]}, {"_id": "d"}, {"_id": "e"}, {"_id": "s"}])
    base = {"collection": "notes"}
    pushed = {"$push": {"l": {"$each": [3], "$slice": -2}}}
    reply = commit(
        notes,
        [
            {**base, "op": "create", "id": "c", "data": {}, "if_exists": False},
            {**base, "op": "update", "id": "u", "update": pushed, "if_version": 1},
            {**base, "op": "update", "id": "u", "update": {"$pop": {"l": 1}}, "if_exists": True},
            {**base, "op": "set", "id": "s", "data": {"n": 1}, "if_version": 1},
            {**base, "op": "set", "id": "s", "data": {"n": 2}, "if_exists": True},
            {**base, "op": "set", "id": "t", "data": {}, "if_exists": False},
            {**base, "op": "delete", "id": "d", "if_version": 1},
            {**base, "op": "delete", "id": "e", "if_exists": True},
            {**base, "op": "delete", "id": "e"},
        ],
    )
    assert reply.status == 200, reply
    versions = [result["_version"] for result in reply.json["results"]]
    assert versions == [1, 2, 3, 2, 3, 1, None, None, None]
    assert notes.ids() == ["c", "s", "t", "u"]
    assert notes.get("u").json["l"] == [2]
    assert len(notes.project.events()) == 4 + 8


def test_commits_over_the_same_documents_in_any_order_all_succeed(notes: Collection) -> None:
    names = [f"d{n}" for n in range(8)]
    notes.create([{"_id": name, "n": 0} for name in names])

    def call(number: int) -> Reply:
        order = names[::-1] if number % 2 else names[number % 8 :] + names[: number % 8]
        writes: list[Any] = [
            {"op": "update", "collection": "notes", "id": name, "update": {"$inc": {"n": 1}}}
            for name in order
        ]
        # What is not there yet cannot be locked beforehand.
        fresh = ["x", "y"] if number % 2 else ["y", "x"]
        writes += [
            {"op": "set", "collection": "notes", "id": name, "data": {"n": 0}} for name in fresh
        ]
        return commit(notes, writes)

    replies = at_once(32, call)
    assert {reply.status for reply in replies} == {200}, replies
    assert [notes.get(name).json["n"] for name in names] == [32] * 8


def test_transfers_keep_the_sum(notes: Collection) -> None:
    notes.create([{"_id": f"a{n}", "n": 100} for n in range(4)])

    def call(number: int) -> Reply:
        one, other = f"a{number % 4}", f"a{(number + 1 + number % 3) % 4}"
        return commit(
            notes,
            [
                {"op": "update", "collection": "notes", "id": one, "update": {"$inc": {"n": -1}}},
                {"op": "update", "collection": "notes", "id": other, "update": {"$inc": {"n": 1}}},
            ],
        )

    replies = at_once(48, call)
    assert {reply.status for reply in replies} == {200}
    assert sum(notes.get(f"a{n}").json["n"] for n in range(4)) == 400


def test_creates_that_follow_each_other_are_made_in_their_order(notes: Collection) -> None:
    base = {"op": "create", "collection": "notes"}
    writes = [{**base, "id": f"d{n}", "data": {"n": n}} for n in range(100)]
    writes += [{"op": "delete", "collection": "notes", "id": "d7"}, {**base, "data": {"n": 100}}]
    writes += [{"op": "create", "collection": "other", "id": "d7", "data": {}}]
    results = commit(notes, writes).json["results"]
    assert [result["_id"] for result in results[:101]] == [*(f"d{n}" for n in range(100)), "d7"]
    assert len(notes.ids(limit=1000)) == 100
    assert len(notes.project.events()) == 100 + 1 + 2
    before = notes.project.events()
    taken = commit(notes, [{**base, "id": "new", "data": {}}, {**base, "id": "d8", "data": {}}])
    assert (taken.code, taken.json["errors"][0]["field"]) == ("document_exists", "writes[1]")
    twice = [{**base, "id": "new", "data": {}}] * 2
    assert commit(notes, twice).json["errors"][0]["field"] == "writes[1]"
    assert notes.project.events() == before


def test_a_rule_sees_what_the_same_commit_has_made(
    notes: Collection, sign_up: Callable[[str], tuple[str, str]]
) -> None:
    rule = 'data.parent == "" || get("notes", data.parent) != null'
    notes.declare(rules={"read": "public", "create": rule})
    alice = sign_up("alice")[0]
    base = {"op": "create", "collection": "notes"}
    chain = [
        {**base, "id": f"n{n}", "data": {"parent": f"n{n - 1}" if n else ""}} for n in range(4)
    ]
    assert commit(notes, chain[::-1], alice).code == "rule_denied"
    assert notes.project.events("baas.db.%") == []
    assert commit(notes, chain, alice).status == 200
    assert notes.ids() == ["n0", "n1", "n2", "n3"]
