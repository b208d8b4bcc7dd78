"""What a query may cost: refused before it runs, or ended, with a hint at the index to make."""

from collections.abc import Callable
from typing import Any

import pytest

from documents.costs import check
from tests.installation import Reply
from tests.integration.documents.conftest import Collection
from tests.integration.documents.test_explain import fill

SignUp = Callable[[str], tuple[str, str]]


@pytest.fixture
def limited(notes: Collection) -> Collection:
    """Five thousand documents of everybody; an end user's query may read a thousand of them."""
    notes.declare(rules={"read": "public"}, indexes=[{"fields": ["kind", "-at"]}])
    fill(notes, 5000)
    limit(notes, listed_rows=1000, aggregated_rows=1000)
    check.forget()
    return notes


def limit(notes: Collection, **limits: int) -> None:
    reply = notes.client.patch(
        f"{notes.project.path}/settings",
        {"query_limits": limits},
        token=notes.project.secret_key,
    )
    assert reply.status == 200, reply
    assert reply.json["query_limits"] == limits


def aggregate(notes: Collection, *stages: Any, token: str | None = None) -> Reply:
    return notes.client.post(f"{notes.path}/aggregate", {"pipeline": list(stages)}, token=token)


def test_a_pipeline_over_too_many_documents_is_refused_with_a_hint(limited: Collection) -> None:
    refused = aggregate(limited, {"$match": {"other": 7}}, {"$count": "n"})
    assert (refused.status, refused.code) == (400, "query_too_expensive")
    assert refused.json["hint"] == {"index": {"fields": ["other"]}}
    assert "other" in refused.json["detail"]
    assert b"5,000" not in refused.body  # how many there are is not an end user's to know
    whole = aggregate(limited, {"$group": {"_id": "$kind"}})
    assert whole.code == "query_too_expensive"
    assert "hint" not in whole.json


def test_a_pipeline_that_an_index_serves_runs(limited: Collection) -> None:
    counted = aggregate(limited, {"$match": {"kind": "k7"}}, {"$count": "n"})
    assert counted.json["items"] == [{"n": 50}]
    first = aggregate(limited, {"$limit": 3}, {"$project": {"n": 1}})
    assert [item["n"] for item in first.json["items"]] == [1, 2, 3]


def test_secret_keys_may_read_more(limited: Collection) -> None:
    stages = [{"$match": {"other": 7}}, {"$count": "n"}]
    allowed = aggregate(limited, *stages, token=limited.project.secret_key)
    assert allowed.json["items"] == [{"n": 5}]
    limit(limited, aggregated_rows=100)
    refused = aggregate(limited, *stages, token=limited.project.secret_key)
    assert refused.code == "query_too_expensive"
    assert "5,000" in refused.json["detail"]


def test_a_lookup_counts_for_each_document(limited: Collection) -> None:
    other = Collection(limited.client, limited.project, "other")
    other.declare(rules={"read": "public"})
    fill(other, 900)
    join = {"$lookup": {"from": "other", "pipeline": [{"$match": {"n": 1}}], "as": "found"}}
    assert aggregate(other, {"$match": {"n": {"$lte": 3}}}).status == 200
    assert aggregate(other, join).code == "query_too_expensive"


def test_distinct_values_and_sorts_are_limited_too(limited: Collection) -> None:
    refused = limited.client.post(f"{limited.path}/distinct", {"field": "other"})
    assert refused.code == "query_too_expensive"
    allowed = limited.client.post(
        f"{limited.path}/distinct", {"field": "at", "filter": {"kind": "k7"}}
    )
    assert allowed.json["items"] == [0, 1, 2, 3, 4, 5, 6]
    assert aggregate(limited, {"$sort": {"other": 1}}, {"$limit": 1}).code == "query_too_expensive"


def test_lists_and_counts_are_limited_too(limited: Collection) -> None:
    refused = limited.query(None, filter={"other": 7}, sort=["-size"])
    assert (refused.status, refused.code) == (400, "query_too_expensive")
    assert refused.json["hint"] == {"index": {"fields": ["other", "-size"]}}
    assert limited.query(None, filter={"kind": "k7"}, count=True).json["total"] == 50
    assert len(limited.ids(None, limit=5)) == 5
    assert limited.query(None, limit=5, count=True).code == "query_too_expensive"
    counted = limited.client.post(f"{limited.path}/count", {"filter": {"other": 7}})
    assert counted.code == "query_too_expensive"
    assert limited.query(filter={"other": 7}).status == 200  # the secret key


def test_small_collections_are_not_asked_about(
    limited: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Collection(limited.client, limited.project, "small")
    small.declare(rules={"read": "public"})
    fill(small, 500)
    asked: list[bytes] = []
    explained = check.explained
    monkeypatch.setattr(
        check, "explained", lambda text, values: (asked.append(text), explained(text, values))[1]
    )
    assert aggregate(small, {"$match": {"other": 7}}, {"$count": "n"}).status == 200
    assert asked == []
    for _ in range(3):
        assert aggregate(limited, {"$match": {"kind": "k7"}}, {"$count": "n"}).status == 200
    assert len(asked) == 1  # and about the same statement once in a while


def test_a_query_that_takes_too_long_is_ended(limited: Collection) -> None:
    slow = [
        {"$limit": 300},
        {"$lookup": {"from": limited.name, "pipeline": [{"$limit": 300}], "as": "x"}},
        {"$unwind": "$x"},
        {"$lookup": {"from": limited.name, "pipeline": [{"$limit": 300}], "as": "y"}},
        {"$match": {"y.n": -1}},
    ]
    limit(limited, timeout_ms=50, listed_rows=10**9, aggregated_rows=10**9)
    refused = aggregate(limited, *slow)
    assert (refused.status, refused.code) == (400, "query_too_expensive")
    assert "50 ms" in refused.json["detail"]
    # The connection has its own limit again.
    limit(limited, listed_rows=10**9, aggregated_rows=10**9)
    assert aggregate(limited, {"$count": "n"}).json["items"] == [{"n": 5000}]


@pytest.mark.parametrize("value", [0, -1, "many", 1.5])
def test_a_limit_is_a_positive_whole_number(limited: Collection, value: Any) -> None:
    reply = limited.client.patch(
        f"{limited.project.path}/settings",
        {"query_limits": {"aggregated_rows": value}},
        token=limited.project.secret_key,
    )
    assert reply.status == 422


def test_what_takes_too_much_memory_is_refused_and_the_connection_goes_on(
    notes: Collection,
) -> None:
    assert notes.create({"_id": "a"}).status == 201
    double = {"$concat": ["$$value", "$$value"]}
    long = {"$reduce": {"input": {"$range": [0, 18]}, "initialValue": "x" * 60, "in": double}}
    wide = {"$size": {"$let": {"vars": {"x": long}, "in": ["$$x"] * 14}}}
    pipeline = [{"$project": {"n": {"$add": [wide] * 20}}}]
    refused = notes.client.post(
        f"{notes.path}/aggregate", {"pipeline": pipeline}, token=notes.project.secret_key
    )
    assert (refused.status, refused.code) == (400, "query_too_expensive")
    assert "memory" in refused.json["detail"]
    assert notes.get("a").status == 200
