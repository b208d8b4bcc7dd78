"""Expressions over HTTP: in pipelines and in `$expr`; what fails, and what that must not tell."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.documents.conftest import Collection

DOCS = [
    {"_id": "1", "price": 10, "qty": 3, "at": {"$date": "2024-05-01T22:30:00.000Z"}, "tags": ["a"]},
    {"_id": "2", "price": 2.5, "qty": 4, "at": {"$date": "2024-05-02T08:00:00.000Z"}, "tags": []},
    {"_id": "3", "price": "none", "qty": 1},
]


@pytest.fixture
def filled(notes: Collection) -> Collection:
    assert notes.create(DOCS).status == 201
    return notes


def aggregate(notes: Collection, *stages: Any, token: str | None = "secret") -> Any:
    return notes.client.post(
        f"{notes.path}/aggregate", {"pipeline": list(stages)}, token=notes._token(token)
    )


def test_a_stage_computes_fields(filled: Collection) -> None:
    reply = aggregate(
        filled,
        {"$match": {"_id": {"$lt": "3"}}},
        {
            "$project": {
                "total": {"$multiply": ["$price", "$qty"]},
                "day": {
                    "$dateToString": {
                        "date": "$at",
                        "format": "%d.%m.",
                        "timezone": "Europe/Berlin",
                    }
                },
                "tagged": {"$gt": [{"$size": "$tags"}, 0]},
            }
        },
        {"$sort": {"_id": 1}},
    )
    assert reply.status == 200, reply
    assert reply.json["items"] == [
        {"_id": "1", "total": 30, "day": "02.05.", "tagged": True},
        {"_id": "2", "total": 10, "day": "02.05.", "tagged": False},
    ]


def test_an_expression_filters(filled: Collection) -> None:
    costly = {"$expr": {"$gt": [{"$ifNull": ["$price", 0]}, "$qty"]}}
    assert filled.ids(filter=costly, sort="_id") == ["1", "3"]
    assert filled.ids(filter={"$and": [costly, {"qty": {"$gt": 1}}]}) == ["1"]
    counted = filled.client.post(
        f"{filled.path}/count", {"filter": costly}, token=filled.project.secret_key
    )
    assert counted.json == {"total": 2}


@pytest.mark.parametrize(
    "expression",
    [{"$add": ["$price", 1]}, {"$divide": [1, {"$subtract": ["$qty", 1]}]}, {"$year": "$qty"}],
)
def test_a_failure_is_a_problem_wherever_it_is_met(filled: Collection, expression: Any) -> None:
    events = filled.project.events()
    calls = [
        aggregate(filled, {"$project": {"v": expression}}),
        aggregate(filled, {"$match": {"$expr": expression}}),
        aggregate(filled, {"$group": {"_id": None, "v": {"$sum": expression}}}),
        filled.query(filter={"$expr": expression}),
        filled.client.post(
            f"{filled.path}/count",
            {"filter": {"$expr": expression}},
            token=filled.project.secret_key,
        ),
    ]
    assert [(reply.status, reply.code) for reply in calls] == [(400, "invalid_query")] * 5
    assert filled.project.events() == events


def test_what_a_reader_may_not_see_fails_no_expression(
    filled: Collection, sign_up: Callable[[str], tuple[str, str]]
) -> None:
    filled.declare(rules={"read": "doc.qty > 1"})
    charlie, _ = sign_up("charlie")
    failing = {"$divide": [1, {"$subtract": ["$qty", 1]}]}  # for the hidden document only
    assert filled.ids(token=charlie, filter={"$expr": failing}, sort="_id") == ["1", "2"]
    found = aggregate(filled, {"$match": {"$expr": failing}}, {"$count": "n"}, token=charlie)
    assert found.json["items"] == [{"n": 2}]
    found = aggregate(filled, {"$project": {"v": failing}}, token=charlie)
    assert found.status == 200
    assert len(found.json["items"]) == 2


def test_an_unknown_operator_is_refused(filled: Collection) -> None:
    for reply in (
        aggregate(filled, {"$project": {"v": {"$function": {}}}}),
        filled.query(filter={"$expr": {"$where": "1"}}),
    ):
        assert (reply.status, reply.code) == (400, "unsupported_operator")
