"""`P/rules/test`: the rules playground of console and CLI."""

from typing import Any

import pytest

from tests.installation import Reply
from tests.integration.documents.conftest import Collection

ALICE = {"uid": "alice"}


def ask(notes: Collection, token: str | None = "secret", **given: Any) -> Reply:
    path = f"{notes.project.path}/rules/test"
    return notes.client.post(path, given, token=notes._token(token))


@pytest.mark.parametrize(
    ("given", "allowed", "why"),
    [
        (
            {"rule": "owner", "auth": ALICE, "doc": {"_owner": "bob"}},
            False,
            'doc._owner == auth.uid is false (doc._owner = "bob", auth.uid = "alice")',
        ),
        ({"rule": "owner", "auth": ALICE, "data": {"a": 1}}, True, "auth != null is true"),
        ({"rule": "owner", "auth": None, "data": {"a": 1}}, False, "auth != null is false"),
        ({"rule": "doc.n == 0.1", "doc": {"n": 0.1}}, True, "doc.n = 0.1"),
        ({"rule": "auth.role == null", "auth": ALICE}, True, "auth.role == null is true"),
        ({"rule": "doc.a == 1", "auth": ALICE, "doc": {}}, False, "doc has no field a"),
        ({"rule": "get('notes', 'n1').open", "auth": ALICE}, True, 'get("notes", "n1").open'),
        ({"rule": "get('notes', 'none') == null"}, True, "is true"),
    ],
)
def test_it_says_what_a_rule_decides_and_why(
    given: dict[str, Any], allowed: bool, why: str, notes: Collection
) -> None:
    notes.create({"_id": "n1", "open": True})
    reply = ask(notes, **given)
    assert reply.status == 200, reply
    assert reply.json["allowed"] is allowed
    assert why in reply.json["why"]


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"rule": "doc.a ="}, "rule", "equality is =="),
        ({"rule": "dco.a == 1"}, "rule", "Did you mean doc?"),
        ({"rule": 7}, "rule", "a rule is text"),
        ({}, "rule", "ends in the middle"),
        ({"rule": "public", "auth": {"name": "x"}}, "auth", "auth has"),
        ({"rule": "public", "doc": []}, "doc", "an object or null"),
        ({"rule": "public", "docs": {}}, "docs", "a test has rule"),
    ],
)
def test_it_refuses_what_cannot_be_tested(
    given: dict[str, Any], field: str, says: str, notes: Collection
) -> None:
    reply = ask(notes, **given)
    assert reply.status == 422, reply
    assert reply.json["errors"][0]["field"] == field
    assert says in reply.json["errors"][0]["detail"]


def test_end_users_may_not_try_rules(notes: Collection) -> None:
    notes.create({"_id": "n1", "secret": 1})
    before = notes.project.events()
    reply = ask(notes, None, rule="get('notes', 'n1').secret == 1")
    assert (reply.status, reply.code) == (401, "authentication_required")
    assert notes.project.events() == before
