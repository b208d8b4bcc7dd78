"""Atomic batches."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.installation import Reply
from tests.integration.documents.conftest import Collection


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
