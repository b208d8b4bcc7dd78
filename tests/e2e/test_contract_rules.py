"""The contract, "Rules": presets, CEL, the playground, acting as somebody, explanations."""

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Stack
from .contract import App, code


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        yield app


@pytest.fixture(scope="module")
def alice(app: App) -> dict[str, Any]:
    return app.sign_up("alice")


@pytest.fixture(scope="module")
def bob(app: App) -> dict[str, Any]:
    return app.sign_up("bob")


@pytest.mark.parametrize(
    ("rule", "owner", "signed_in", "anonymous"),
    [
        ("public", True, True, True),
        ("authenticated", True, True, False),
        ("owner", True, False, False),
        ("closed", False, False, False),
        ("doc._owner == auth.uid", True, False, False),
        ("auth != null && doc.n > 1", True, True, False),
        ("doc.nothing == 1", False, False, False),
        ("get('people', 'boss').uid == auth.uid", True, False, False),
    ],
)
def test_single_documents_and_lists_agree(
    app: App,
    alice: dict[str, Any],
    bob: dict[str, Any],
    rule: str,
    owner: bool,
    signed_in: bool,
    anonymous: bool,
) -> None:
    app("PUT", "/db/people/docs/boss", app.key, {"uid": alice["user"]["id"]})
    app("PUT", "/collections/seen", app.key, {"rules": {"create": "owner"}})
    hers = alice["access_token"]
    made = app("POST", "/db/seen/docs", hers, {"n": 2})
    assert made.status_code == 201
    app("PUT", "/collections/seen", app.key, {"rules": {"read": rule}})
    address = f"/db/seen/docs/{made.json()['_id']}"
    for token, may in ((hers, owner), (bob["access_token"], signed_in), (None, anonymous)):
        assert (app("GET", address, token).status_code == 200) is may
        listed = app("POST", "/db/seen/query", token, {"filter": {"_id": made.json()["_id"]}})
        assert (listed.status_code == 200 and len(listed.json()["items"]) == 1) is may
    app("DELETE", "/collections/seen", app.key)


def test_data_is_the_document_as_it_would_become(app: App, alice: dict[str, Any]) -> None:
    rules = {"read": "public", "create": "data.n > 0", "update": "data.n > doc.n"}
    app("PUT", "/collections/grow", app.key, {"rules": rules})
    token = alice["access_token"]
    assert code(app("POST", "/db/grow/docs", token, {"n": 0})) == "rule_denied"
    made = app("POST", "/db/grow/docs", token, {"n": 5})
    address = f"/db/grow/docs/{made.json()['_id']}"
    assert code(app("PATCH", address, token, {"$inc": {"n": -1}})) == "rule_denied"
    assert app("PATCH", address, token, {"$inc": {"n": 1}}).json()["n"] == 6
    assert code(app("DELETE", address, token)) == "rule_denied"


@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        ({"rule": "doc._owner == auth.uid", "auth": {"uid": "u"}, "doc": {"_owner": "v"}}, False),
        ({"rule": "owner", "auth": {"uid": "u"}, "doc": {"_owner": "u"}}, True),
        ({"rule": "data.n == 1", "auth": None, "data": {"n": 1}}, True),
        ({"rule": "get('none', 'x') == null"}, True),
        ({"rule": "public"}, True),
    ],
)
def test_the_playground(app: App, body: Any, allowed: bool) -> None:
    reply = app("POST", "/rules/test", app.key, body)
    assert reply.status_code == 200, reply.text
    assert reply.json().keys() == {"allowed", "why"}
    assert reply.json()["allowed"] is allowed
    assert reply.json()["why"]


@pytest.mark.parametrize(
    "rule", ["((", "auth.nothing", "", 5, "nobody", "a === b", "request.auth != null"]
)
def test_rules_that_are_none(app: App, rule: Any) -> None:
    reply = app("POST", "/rules/test", app.key, {"rule": rule})
    assert reply.status_code in (400, 422)
    assert code(reply) in ("invalid_rule", "invalid")


def test_acting_as_somebody(app: App, alice: dict[str, Any], bob: dict[str, Any]) -> None:
    rules = {"read": "owner", "create": "authenticated"}
    app("PUT", "/collections/acted", app.key, {"rules": rules})
    uid = alice["user"]["id"]
    made = app("POST", "/db/acted/docs", app.key, {}, {"X-Act-As": uid})
    assert (made.status_code, made.json()["_owner"]) == (201, uid)
    address = f"/db/acted/docs/{made.json()['_id']}"
    for token in (app.key, app.operator):
        for who, status in ((uid, 200), (bob["user"]["id"], 404), ("anonymous", 403)):
            assert app("GET", address, token, headers={"X-Act-As": who}).status_code == status
    assert code(app("GET", address, app.key, headers={"X-Act-As": "nobody"})) == "user_not_found"
    for token in (alice["access_token"], None):
        assert code(app("GET", address, token, headers={"X-Act-As": uid})) == "rule_denied"
    configuring = app("PUT", "/collections/acted", app.key, {}, {"X-Act-As": uid})
    assert code(configuring) == "rule_denied"


def test_refusals_are_explained_to_who_acts(app: App, alice: dict[str, Any]) -> None:
    app("PUT", "/collections/why", app.key, {"rules": {"create": "data.n > 0"}})
    app("PUT", "/buckets/why", app.key, {"rules": {"read": "object.path == 'a'"}})
    app("PUT", "/storage/why/objects/b", app.key, b"x")
    app.deploy("why", "def handler(event, context): return 1", invoke="auth.role == 'boss'")
    explain = {"X-Act-As": alice["user"]["id"], "X-Explain-Rules": "1"}
    calls: list[tuple[str, str, Any, str]] = [
        ("POST", "/db/why/docs", {"n": -2}, "data.n = -2"),
        ("GET", "/storage/why/objects/b", None, 'object.path = "b"'),
        ("POST", "/functions/why:invoke", {}, "auth.role = null"),
    ]
    for method, path, body, value in calls:
        refused = app(method, path, app.key, body, explain)
        assert refused.status_code in (403, 404)
        rule = refused.json()["rule"]
        assert rule.keys() == {"action", "source", "why"}
        assert value in rule["why"]
        own = {"X-Explain-Rules": "1"}
        assert "rule" not in app(method, path, alice["access_token"], body, own).json()
