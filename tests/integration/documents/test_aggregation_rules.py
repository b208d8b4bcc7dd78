"""Pipelines and distinct values show what the `read` rule allows, by no path more."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.documents.conftest import Collection

SignUp = Callable[[str], tuple[str, str]]

# Every way to look at a collection; `{name}` is it.
PIPELINES: dict[str, list[dict[str, Any]]] = {
    "all": [],
    "match": [{"$match": {"n": {"$gte": 0}}}],
    "expression": [{"$match": {"$expr": {"$gte": ["$n", 0]}}}],
    "count": [{"$count": "n"}],
    "group": [{"$group": {"_id": "$secret", "n": {"$sum": "$n"}}}],
    "group all": [{"$group": {"_id": None, "n": {"$sum": 1}, "all": {"$push": "$$ROOT"}}}],
    "sort": [{"$sort": {"n": -1}}, {"$limit": 1}],
    "skip": [{"$skip": 1}],
    "sample": [{"$sample": {"size": 10}}],
    "sort by count": [{"$sortByCount": "$secret"}],
    "bucket": [{"$bucket": {"groupBy": "$n", "boundaries": [0, 100]}}],
    "bucket auto": [{"$bucketAuto": {"groupBy": "$secret", "buckets": 2}}],
    "unwind": [{"$unwind": "$tags"}, {"$group": {"_id": "$tags"}}],
    "project": [{"$project": {"secret": 1}}],
    "replace": [{"$replaceWith": {"all": "$$ROOT"}}],
}


@pytest.fixture
def alice(sign_up: SignUp) -> tuple[str, str]:
    return sign_up("alice")


@pytest.fixture
def charlies(sign_up: SignUp) -> tuple[str, str]:
    return sign_up("charlie")


@pytest.fixture
def charlie(charlies: tuple[str, str]) -> str:
    return charlies[0]


@pytest.fixture
def hers(notes: Collection, alice: tuple[str, str]) -> Collection:
    """Three documents of Alice, which only she may read."""
    notes.declare(rules={"read": "owner", "create": "authenticated"})
    for n in range(3):
        document = {"secret": f"s{n}", "n": n, "tags": [f"t{n}"]}
        assert notes.create(document, alice[0]).status == 201
    return notes


@pytest.fixture
def open_one(notes: Collection) -> Collection:
    """One document that everybody may read."""
    other = Collection(notes.client, notes.project, "open")
    other.declare(rules={"read": "public"})
    other.create({"_id": "one", "n": 0, "key": "s0"})
    return other


def aggregate(collection: Collection, token: str | None, *pipeline: dict[str, Any]) -> Any:
    reply = collection.client.post(
        f"{collection.path}/aggregate",
        {"pipeline": list(pipeline)},
        token=collection.project.secret_key if token == "secret" else token,
    )
    return reply.json["items"] if reply.status == 200 else reply


def test_charlie_sees_nothing_by_any_stage(hers: Collection, charlie: str) -> None:
    for name, stages in PIPELINES.items():
        assert aggregate(hers, charlie, *stages) == [], name
        assert aggregate(hers, "secret", *stages) != [], name


def test_alice_sees_her_documents(hers: Collection, alice: tuple[str, str]) -> None:
    hers.create([{"secret": "foreign", "n": 9, "tags": ["foreign"]}])
    for name, stages in PIPELINES.items():
        found = aggregate(hers, alice[0], *stages)
        assert found, name
        assert "foreign" not in str(found), name


def test_a_lookup_finds_what_the_caller_may_read(
    hers: Collection, open_one: Collection, alice: tuple[str, str], charlie: str
) -> None:
    for name, stages in PIPELINES.items():
        lookup = {"$lookup": {"from": hers.name, "pipeline": stages, "as": "found"}}
        [seen] = aggregate(open_one, charlie, lookup)
        assert seen["found"] == [], name
        [seen] = aggregate(open_one, alice[0], lookup)
        assert seen["found"] != [], name


def test_a_facet_and_a_nested_lookup_show_no_more(
    hers: Collection, open_one: Collection, charlie: str
) -> None:
    for name, stages in PIPELINES.items():
        lookup = {"$lookup": {"from": hers.name, "pipeline": stages, "as": "found"}}
        nested = {"$lookup": {"from": open_one.name, "pipeline": [lookup], "as": "inner"}}
        [seen] = aggregate(open_one, charlie, {"$facet": {"a": [lookup], "b": [nested]}})
        assert seen["a"][0]["found"] == [], name
        assert seen["b"][0]["inner"][0]["found"] == [], name
        # A facet is one document, of empty branches here.
        assert aggregate(hers, charlie, {"$facet": {"a": stages}}) == [{"a": []}], name


def test_a_lookup_by_field_finds_what_the_caller_may_read(
    hers: Collection, open_one: Collection, alice: tuple[str, str], charlie: str
) -> None:
    for foreign in ("secret", "n", "tags", "_version"):
        local = {"secret": "key", "n": "n", "tags": "key", "_version": "_version"}[foreign]
        lookup = {
            "$lookup": {
                "from": hers.name, "localField": local, "foreignField": foreign, "as": "found",
            }
        }  # fmt: skip
        [seen] = aggregate(open_one, charlie, lookup)
        assert seen["found"] == []
        [seen] = aggregate(open_one, alice[0], lookup)
        assert len(seen["found"]) == {"secret": 1, "n": 1, "tags": 0, "_version": 3}[foreign]


def test_a_failing_expression_tells_nothing_of_unreadable_rows(
    hers: Collection, alice: tuple[str, str], charlie: str
) -> None:
    failing = {"$divide": [1, {"$subtract": ["$n", 1]}]}
    for stages in (
        [{"$match": {"$expr": {"$gt": [failing, 0]}}}],
        [{"$match": {"$or": [{"n": 7}, {"$expr": {"$gt": [failing, 0]}}]}}],
        [{"$project": {"x": failing}}],
        [{"$group": {"_id": failing}}],
        [{"$group": {"_id": None, "x": {"$sum": failing}}}],
        [{"$sortByCount": failing}],
        [{"$replaceWith": "$n"}],
        [{"$bucket": {"groupBy": "$n", "boundaries": [50, 60]}}],
    ):
        assert aggregate(hers, charlie, *stages) == [], stages
        assert aggregate(hers, alice[0], *stages).code == "invalid_query", stages


def test_a_closed_collection_is_refused_at_the_top_and_in_a_lookup(
    notes: Collection, open_one: Collection, charlie: str
) -> None:
    notes.create({"_id": "1"})
    lookup = {"$lookup": {"from": notes.name, "pipeline": [], "as": "found"}}
    for stages in ([lookup], [{"$facet": {"a": [lookup]}}]):
        refused = aggregate(open_one, charlie, *stages)
        assert (refused.status, refused.code) == (403, "rule_denied")
    for name in (notes.name, "nowhere"):
        refused = aggregate(Collection(notes.client, notes.project, name), charlie)
        assert (refused.status, refused.code) == (403, "rule_denied")
        lookup = {"$lookup": {"from": name, "pipeline": [], "as": "found"}}
        assert aggregate(open_one, charlie, lookup).code == "rule_denied"


def test_a_missing_collection_is_empty_to_the_project_itself(open_one: Collection) -> None:
    lookup = {"$lookup": {"from": "nowhere", "pipeline": [], "as": "found"}}
    assert aggregate(open_one, "secret", lookup)[0]["found"] == []
    assert aggregate(Collection(open_one.client, open_one.project, "nowhere"), "secret") == []


def test_distinct_values_are_those_of_readable_documents(
    hers: Collection, alice: tuple[str, str], charlie: str
) -> None:
    def distinct(field: str, token: str) -> Any:
        reply = hers.client.post(f"{hers.path}/distinct", {"field": field}, token=token)
        assert reply.status == 200, reply
        return reply.json["items"]

    for field in ("secret", "n", "tags", "_id", "_owner", "_createdAt", "_version"):
        assert distinct(field, charlie) == []
        assert distinct(field, alice[0]) != []
        assert distinct(field, hers.project.secret_key) != []


def test_hidden_fields_are_in_no_stage(
    notes: Collection, open_one: Collection, alice: tuple[str, str], charlie: str
) -> None:
    notes.declare(
        rules={"read": "public", "create": "authenticated", "fields": {"secret": "owner"}}
    )
    for n in range(3):
        document = {"secret": f"s{n}", "n": n, "tags": [f"t{n}"]}
        assert notes.create(document, alice[0]).status == 201
    for name, stages in PIPELINES.items():
        assert "'s0'" not in str(aggregate(notes, charlie, *stages)), name
        lookup = {"$lookup": {"from": notes.name, "pipeline": stages, "as": "found"}}
        assert "'s0'" not in str(aggregate(open_one, charlie, {"$unset": "key"}, lookup)), name
    by_field = {"from": notes.name, "localField": "key", "foreignField": "secret", "as": "found"}
    assert aggregate(open_one, charlie, {"$lookup": by_field})[0]["found"] == []
    assert len(aggregate(open_one, alice[0], {"$lookup": by_field})[0]["found"]) == 1
    assert aggregate(notes, charlie, {"$match": {"secret": "s0"}}) == []
    assert aggregate(notes, charlie, {"$match": {"$expr": {"$eq": ["$secret", "s0"]}}}) == []
    assert len(aggregate(notes, alice[0], {"$match": {"secret": "s0"}})) == 1
    reply = notes.client.post(f"{notes.path}/distinct", {"field": "secret"}, token=charlie)
    assert reply.json["items"] == []


def test_acting_as_a_user_shows_what_he_sees(
    hers: Collection, alice: tuple[str, str], charlies: tuple[str, str]
) -> None:
    def count(uid: str) -> Any:
        reply = hers.client.post(
            f"{hers.path}/aggregate",
            {"pipeline": [{"$count": "n"}]},
            token=hers.project.secret_key,
            headers={"X-Act-As": uid},
        )
        return reply.json.get("items", reply.json.get("code"))

    assert count(alice[1]) == [{"n": 3}]
    assert count(charlies[1]) == []
    assert count("anonymous") == "rule_denied"


def test_reading_makes_no_event(hers: Collection, charlie: str) -> None:
    before = hers.project.events()
    for stages in PIPELINES.values():
        aggregate(hers, charlie, *stages)
        aggregate(hers, "secret", *stages)
    assert hers.project.events() == before
