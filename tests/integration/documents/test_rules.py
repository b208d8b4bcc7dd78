"""Rules on every path: Alice owns, Bob is another user, Charlie is nobody."""

from collections.abc import Callable

import pytest

from tests.installation import Client, TestProject
from tests.integration.documents.conftest import Collection

OWNED = {"read": "owner", "create": "owner", "update": "owner", "delete": "owner"}
SignUp = Callable[[str], tuple[str, str]]


@pytest.fixture
def alice(sign_up: SignUp) -> tuple[str, str]:
    return sign_up("alice")


@pytest.fixture
def bob(sign_up: SignUp) -> tuple[str, str]:
    return sign_up("bob")


def test_a_collection_without_rules_is_closed(notes: Collection, alice: tuple[str, str]) -> None:
    notes.create({"_id": "a"})
    before = notes.project.events()
    for token in (alice[0], None):
        for collection in (notes, Collection(notes.client, notes.project, "never-made")):
            for reply in (
                collection.create({"n": 1}, token),
                collection.get("a", token),
                collection.get("zz", token),
                collection.put("a", {}, token),
                collection.patch("a", {}, token),
                collection.delete("a", token),
                collection.query(token),
                collection.client.post(f"{collection.path}/count", {}, token=token),
            ):
                assert (reply.status, reply.code) == (403, "rule_denied")
    assert notes.project.events() == before


def test_owners_see_and_change_only_their_own(
    notes: Collection, alice: tuple[str, str], bob: tuple[str, str]
) -> None:
    notes.declare(rules=OWNED)
    (a, alice_id), (b, _) = alice, bob
    document = notes.create({"_id": "a1", "_owner": "forged", "n": 1}, a).json
    assert document["_owner"] == alice_id
    notes.create({"_id": "b1"}, b)
    before = notes.project.events()

    assert notes.get("a1", a).json == document
    for reply in (
        notes.get("a1", b),
        notes.get("zz", b),
        notes.patch("a1", {"n": 2}, b),
        notes.delete("a1", b),
        notes.patch("a1", {"n": 2}, b, headers={"If-Match": '"7"'}),
    ):
        assert (reply.status, reply.code) == (404, "document_not_found")
    assert notes.get("a1", b).json["detail"] == notes.get("zz", b).json["detail"].replace(
        "zz", "a1"
    )
    for reply in (notes.get("a1", None), notes.create({}, None), notes.query(None)):
        assert (reply.status, reply.code) == (403, "rule_denied")
    assert notes.ids(b) == ["b1"]
    assert notes.ids(a) == ["a1"]
    assert notes.ids() == ["a1", "b1"]
    assert notes.client.post(f"{notes.path}/count", {}, token=b).json == {"total": 1}
    assert notes.query(b, count=True).json["total"] == 1
    assert notes.project.events() == before

    assert notes.patch("a1", {"n": 2}, a).status == 200
    assert notes.delete("a1", a).status == 204


def test_what_may_be_read_but_not_written_is_denied(
    notes: Collection, alice: tuple[str, str], bob: tuple[str, str]
) -> None:
    notes.declare(rules={**OWNED, "read": "public"})
    notes.create({"_id": "a1", "n": 1}, alice[0])
    before = notes.project.events()
    for reply in (
        notes.patch("a1", {"n": 2}, bob[0]),
        notes.put("a1", {"n": 2}, bob[0]),
        notes.delete("a1", bob[0]),
        notes.delete("a1", None),
    ):
        assert (reply.status, reply.code) == (403, "rule_denied")
    assert notes.get("a1", None).json["n"] == 1
    assert notes.project.events() == before


def test_update_rules_see_the_document_as_it_would_become(
    notes: Collection, alice: tuple[str, str]
) -> None:
    notes.declare(
        rules={
            "read": "public",
            "create": "auth != null && data.state == 'draft'",
            "update": "doc._owner == auth.uid && data.state != doc.state && data.n >= 0",
        }
    )
    token = alice[0]
    assert notes.create({"_id": "x", "state": "done", "n": 1}, token).status == 403
    assert notes.create({"_id": "x", "state": "draft", "n": 1}, token).status == 201
    assert notes.patch("x", {"state": "draft"}, token).status == 403
    assert notes.patch("x", {"$set": {"state": "done"}, "$inc": {"n": -5}}, token).status == 403
    assert notes.patch("x", {"state": "done"}, token).status == 200
    assert notes.delete("x", token).status == 403
    assert len(notes.project.events("baas.db.%")) == 2


def test_lists_are_filtered_by_the_rule_in_the_query(
    notes: Collection, alice: tuple[str, str], bob: tuple[str, str]
) -> None:
    notes.declare(rules={"read": "doc.public == true || (auth != null && auth.uid in doc.members)"})
    notes.create([
        {"_id": "1", "public": True},
        {"_id": "2", "public": False, "members": [alice[1]]},
        {"_id": "3", "members": [bob[1]]},
        {"_id": "4", "public": "true"},
        {"_id": "5"},
    ])  # fmt: skip
    assert notes.ids(alice[0]) == ["1", "2"]
    assert notes.ids(bob[0], sort=["-_id"]) == ["3", "1"]
    assert notes.ids(None) == ["1"]
    assert notes.ids(bob[0], filter={"members": {"$exists": True}}) == ["3"]
    assert notes.ids(bob[0], filter={"$nor": [{"public": True}]}) == ["3"]
    assert notes.get("2", bob[0]).status == 404
    assert notes.get("3", bob[0]).status == 200


def test_rules_read_other_documents(notes: Collection, alice: tuple[str, str]) -> None:
    teams = Collection(notes.client, notes.project, "teams")
    teams.create({"_id": "red", "members": [alice[1]]})
    teams.create({"_id": "blue", "members": []})
    notes.declare(rules={"read": "auth.uid in get('teams', doc.team).members"})
    notes.create([{"_id": "1", "team": "red"}, {"_id": "2", "team": "blue"}, {"_id": "3"}])
    assert notes.ids(alice[0]) == ["1"]
    assert notes.get("1", alice[0]).status == 200
    assert notes.get("2", alice[0]).status == 404


def test_end_users_do_not_touch_system_fields(notes: Collection, alice: tuple[str, str]) -> None:
    notes.declare(rules=OWNED)
    document = notes.create({"_id": "a"}, alice[0]).json
    assert notes.patch("a", {"$set": {"_owner": "x"}}, alice[0]).code == "invalid_update"
    assert notes.patch("a", {"_owner": "x", "n": 1}, alice[0]).json["_owner"] == alice[1]
    assert notes.put("a", {**document, "_owner": "x"}, alice[0]).json["_owner"] == alice[1]
    assert notes.patch("a", {"$set": {"_owner": "someone"}}).json["_owner"] == "someone"
    assert notes.get("a", alice[0]).status == 404


def test_acting_as_a_user_obeys_and_explains_the_rules(
    notes: Collection, alice: tuple[str, str], bob: tuple[str, str]
) -> None:
    notes.declare(rules=OWNED)
    notes.create({"_id": "a"}, alice[0])
    as_bob = {"X-Act-As": bob[1], "X-Explain-Rules": "1"}
    reply = notes.get("a", headers=as_bob)
    assert (reply.status, reply.code) == (404, "document_not_found")
    assert "_owner" in reply.json["rule"]["why"]
    assert "rule" not in notes.get("a", headers={"X-Act-As": bob[1]}).json
    assert "rule" not in notes.get("a", bob[0], headers={"X-Explain-Rules": "1"}).json
    assert notes.get("a", headers={"X-Act-As": alice[1]}).status == 200
    assert notes.get("a", headers={"X-Act-As": "anonymous"}).status == 403
    assert notes.create({}, headers={"X-Act-As": bob[1]}).json["_owner"] == bob[1]


def test_another_projects_key_opens_nothing(notes: Collection, make_project: Callable) -> None:  # type: ignore[type-arg]
    notes.create({"_id": "a"})
    other = make_project()
    reply = notes.get("a", other.secret_key)
    assert (reply.status, reply.code) == (401, "invalid_token")
    assert notes.get("a", "garbage").status == 401


def test_if_match_does_not_tell_a_hidden_document_from_none(
    client: Client, project: TestProject
) -> None:
    key = project.secret_key
    for create in ("public", "closed"):
        rules = {"rules": {"read": "owner", "create": create, "update": "owner"}}
        client.put(f"{project.path}/collections/c", rules, token=key)
        docs = f"{project.path}/db/c/docs"
        client.put(f"{docs}/hidden", {"a": 1, "_owner": "alice"}, token=key)
        before = project.events()
        answers = []
        for id in ("hidden", "missing"):
            for version in ('"1"', '"7"'):
                reply = client.put(f"{docs}/{id}", {"a": 2}, headers={"If-Match": version})
                answers.append((reply.status, reply.code, reply.json["detail"]))
            write = {"op": "set", "collection": "c", "id": id, "data": {}, "if_version": 1}
            reply = client.post(f"{project.path}/db/commit", {"writes": [write]})
            answers.append((reply.status, reply.code, str(reply.json["errors"])))
        assert answers[:3] == answers[3:]
        assert project.events() == before
