"""`POST …/explain`: which index a query uses, for those who may know."""

from collections.abc import Callable
from typing import Any

import pytest

from baas.kernel import db
from documents import collections
from documents.costs import sizes
from tests.integration.documents.conftest import Collection


@pytest.fixture
def many(notes: Collection) -> Collection:
    """Five thousand documents with an index on `kind` and on `at`, descending."""
    notes.declare(rules={"read": "owner"}, indexes=[{"fields": ["kind", "-at"]}, {"fields": ["n"]}])
    fill(notes, 5000)
    return notes


def fill(notes: Collection, number: int) -> None:
    table = collections.get(notes.project.id, notes.name).table
    db.execute(
        b"INSERT INTO " + table.as_bytes(None) + b" (_id, doc, owner)"
        b" SELECT 'd' || lpad(i::text, 7, '0'), jsonb_build_object('n', i, 'kind', 'k' || i %% 100,"
        b" 'at', i %% 7, 'other', i %% 1000), 'alice' FROM generate_series(1, %s) AS i",
        (number,),
    )
    db.execute(b"ANALYZE " + table.as_bytes(None))
    sizes.forget()


def explain(
    notes: Collection, body: dict[str, Any], token: str | None = "secret", **given: Any
) -> Any:
    if token == "secret":
        token = notes.project.secret_key
    return notes.client.post(f"{notes.path}/explain", body, token=token, **given)


def test_it_names_the_index_that_a_list_uses(many: Collection) -> None:
    plan = explain(many, {"filter": {"kind": "k7"}, "sort": ["-at"]}).json["plan"]
    assert (plan["index"], plan["fields"], plan["scan"]) == (
        "kind_1_at_-1",
        ["kind", "-at"],
        "index",
    )
    assert plan["postgres"]["Node Type"] == "Limit"
    assert plan["rows_read_estimated"] < 500


def test_it_names_the_index_that_a_pipeline_uses(many: Collection) -> None:
    stages = [{"$match": {"n": {"$gt": 4990}}}, {"$group": {"_id": "$kind"}}]
    plan = explain(many, {"pipeline": stages}).json["plan"]
    assert (plan["index"], plan["fields"]) == ("n_1", ["n"])


def test_it_names_the_primary_key(many: Collection) -> None:
    assert explain(many, {"filter": {"_id": "d0000001"}}).json["plan"]["index"] == "_id"


def test_it_hints_at_the_index_that_would_help(many: Collection) -> None:
    reply = explain(many, {"filter": {"other": 7, "n": {"$exists": True}}, "sort": ["-size"]}).json
    assert reply["plan"]["scan"] == "table"
    assert reply["plan"]["index"] is None
    assert reply["hint"] == {"index": {"fields": ["other", "-size"]}}
    reply = explain(many, {"pipeline": [{"$match": {"other": 7}}, {"$count": "n"}]}).json
    assert reply["hint"] == {"index": {"fields": ["other"]}}
    assert reply["plan"]["rows_read_estimated"] == 5000


def test_end_users_learn_nothing(
    many: Collection, sign_up: Callable[[str], tuple[str, str]]
) -> None:
    token, uid = sign_up("charlie")
    for caller in (token, None):
        for body in ({"filter": {"kind": "k7"}}, {"pipeline": []}):
            reply = explain(many, body, caller)
            assert (reply.status, reply.code) == (403, "rule_denied")
            assert b"index" not in reply.body
    # Not even whether there is such a collection.
    other = Collection(many.client, many.project, "nowhere")
    refused, missing = explain(many, {}, token).json, explain(other, {}, token).json
    assert {**refused, "request_id": ""} == {**missing, "request_id": ""}
    acted = explain(many, {"filter": {"kind": "k7"}}, headers={"X-Act-As": uid})
    assert acted.json["plan"]["index"] is not None


def test_a_wrong_query_is_refused(many: Collection) -> None:
    assert explain(many, {"pipeline": [], "filter": {}}).code == "invalid_query"
    assert explain(many, {"pipeline": [{"$out": "x"}]}).code == "unsupported_operator"
    assert explain(many, {"nonsense": 1}).code == "invalid_query"
    other = Collection(many.client, many.project, "nowhere")
    assert explain(other, {}).code == "collection_not_found"
