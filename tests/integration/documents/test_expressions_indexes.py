"""An equality inside `$expr` finds its rows by a declared index, and means what it meant."""

from collections.abc import Callable
from typing import Any

import pytest

from baas.kernel import db
from tests.integration.documents.conftest import Collection


@pytest.fixture
def many(notes: Collection) -> Collection:
    """2,000 documents, 20 of each customer; `n` is a number, a text, null or missing."""
    notes.declare(
        indexes=[{"fields": ["customer"]}, {"fields": ["n"]}],
        rules={"read": "doc._id != 'd0007'"},
    )
    kinds: list[Callable[[int], dict[str, Any]]] = [
        lambda i: {"n": i % 10},
        lambda i: {"n": str(i % 10)},
        lambda i: {"n": None},
        lambda i: {},
    ]
    for start in range(0, 2000, 500):
        made = [
            {"_id": f"d{i:04}", "customer": f"c{i % 100}", **kinds[i % 4](i)}
            for i in range(start, start + 500)
        ]
        assert notes.create(made).status == 201
    db.execute("ANALYZE")
    return notes


def explained(notes: Collection, **query: Any) -> Any:
    reply = notes.client.post(f"{notes.path}/explain", query, token=notes.project.secret_key)
    assert reply.status == 200, reply
    return reply.json["plan"]


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        ({"$eq": ["$customer", "c7"]}, "customer"),
        ({"$eq": ["c7", "$$ROOT.customer"]}, "customer"),
        ({"$and": [{"$gt": ["$n", 1]}, {"$eq": ["$customer", "c7"]}]}, "customer"),
        ({"$eq": ["$n", 4]}, "n"),
    ],
)
def test_an_equality_uses_the_index(many: Collection, condition: Any, field: str) -> None:
    plan = explained(many, filter={"$expr": condition})
    assert plan["fields"] == [field]


def test_an_equality_of_the_id_uses_the_primary_key(many: Collection) -> None:
    plan = explained(many, filter={"$expr": {"$eq": ["$_id", "d0100"]}})
    assert plan["rows_estimated"] == 1
    assert many.ids(filter={"$expr": {"$eq": ["$_id", "d0100"]}}) == ["d0100"]


@pytest.mark.parametrize(
    ("value", "count"), [(4, 100), ("5", 100), (None, 500), (4.0, 100), ([4], 0), ({"a": 1}, 0)]
)
def test_what_is_found_is_what_equals_exactly(many: Collection, value: Any, count: int) -> None:
    for condition in ({"$eq": ["$n", value]}, {"$eq": [{"$ifNull": ["$n", "$n"]}, value]}):
        reply = many.client.post(
            f"{many.path}/count",
            {"filter": {"$expr": condition}},
            token=many.project.secret_key,
        )
        assert reply.json == {"total": count}


def test_a_lookup_by_a_variable_uses_the_index(many: Collection) -> None:
    stages = [
        {"$match": {"_id": "d0003"}},
        {
            "$lookup": {
                "from": "notes",
                "let": {"c": "$customer"},
                "pipeline": [{"$match": {"$expr": {"$eq": ["$customer", "$$c"]}}}],
                "as": "same",
            }
        },
        {"$project": {"n": {"$size": "$same"}}},
    ]
    reply = many.client.post(
        f"{many.path}/aggregate", {"pipeline": stages}, token=many.project.secret_key
    )
    assert reply.json["items"] == [{"_id": "d0003", "n": 20}]
    plan = explained(many, pipeline=stages)
    assert ["customer"] in [used["fields"] for used in plan["indexes"]]


def test_the_rule_still_decides(
    many: Collection, sign_up: Callable[[str], tuple[str, str]]
) -> None:
    charlie, _ = sign_up("charlie")
    found = many.ids(token=charlie, filter={"$expr": {"$eq": ["$customer", "c7"]}}, limit=100)
    assert len(found) == 19
    assert "d0007" not in found
