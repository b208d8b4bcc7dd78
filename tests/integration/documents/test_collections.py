"""The configuration of collections: declared, changed, shown, dropped; schemas hold."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.installation import Client, TestProject
from tests.integration.documents.conftest import Collection

SCHEMA = {
    "type": "object",
    "required": ["title"],
    "properties": {
        "title": {"type": "string", "maxLength": 5},
        "items": {"type": "array", "items": {"type": "object", "required": ["k"]}},
        "n": {"type": "integer"},
    },
    "additionalProperties": False,
}


def test_a_collection_is_declared_changed_and_shown(notes: Collection) -> None:
    declared: dict[str, Any] = {
        "rules": {"read": "public", "update": "doc.n > 1"},
        "schema": SCHEMA,
        "indexes": [{"fields": ["-n", "title"], "unique": True, "type": "btree"}],
    }
    made = notes.declare(**declared)
    expected = {
        "name": "notes",
        **declared,
        "indexes": [{"name": "n_-1_title_1", **declared["indexes"][0], "state": "ready"}],
        "ttl_field": None,
        "ttl_seconds": 0,
        "max_docs": None,
    }
    assert (made.status, made.json) == (201, expected)
    path, key = f"{notes.project.path}/collections", notes.project.secret_key
    shown = notes.client.get(f"{path}/notes", token=key).json
    assert shown.pop("size_bytes") > 0
    assert shown == {**expected, "documents": 0}
    assert notes.declare(**declared).status == 200
    changed = notes.declare(rules={"read": "owner"}, indexes=[{"fields": ["n"]}])
    assert changed.json == {
        "name": "notes",
        "rules": {"read": "owner"},
        "schema": None,
        "indexes": [
            {"name": "n_1", "fields": ["n"], "unique": False, "type": "btree", "state": "ready"}
        ],
        "ttl_field": None,
        "ttl_seconds": 0,
        "max_docs": None,
    }
    Collection(notes.client, notes.project, "more").create({})
    listed = notes.client.get(path, token=key).json
    assert [item["name"] for item in listed["items"]] == ["more", "notes"]


def test_dropping_a_collection_drops_its_documents(notes: Collection) -> None:
    from baas.kernel import db

    notes.create({"_id": "a", "n": 1})
    path, key = f"{notes.project.path}/collections/notes", notes.project.secret_key
    assert notes.client.delete(path, token=key).status == 204
    assert notes.get("a").code == "document_not_found"
    assert notes.client.get(path, token=key).code == "collection_not_found"
    assert notes.client.delete(path, token=key).status == 404
    assert notes.create({"_id": "a", "n": 2}).status == 201
    assert notes.ids() == ["a"]
    tables = db.fetch_one(
        "SELECT count(*) FROM pg_tables WHERE schemaname = %s", (f"p_{notes.project.id}",)
    )
    assert tables == (1,)


def test_deleting_a_project_removes_its_schema(
    client: Client, make_project: Callable[[], TestProject], operator_token: str
) -> None:
    from baas.kernel import db

    project = make_project()
    Collection(client, project).create({"n": 1})
    reply = client.delete(
        f"/v1/admin/projects/{project.slug}?confirm={project.slug}", token=operator_token
    )
    assert reply.status == 204
    for query in (
        "SELECT 1 FROM pg_namespace WHERE nspname = 'p_' || %s",
        "SELECT 1 FROM documents_collection WHERE project_id = %s",
    ):
        assert db.fetch_all(query.encode(), (project.id,)) == []


def test_a_collection_dropped_behind_the_cache_is_made_anew(notes: Collection) -> None:
    from baas.kernel import db

    notes.create({"_id": "a"})
    notes.get("a")  # now cached
    db.execute(b"DELETE FROM documents_collection WHERE project_id = %d" % notes.project.id)
    db.execute(b"DROP SCHEMA p_%d CASCADE" % notes.project.id)
    assert notes.get("a").code == "document_not_found"
    assert notes.create({"_id": "a"}).status == 201


@pytest.mark.parametrize("caller", ["anonymous", "user", "publishable"])
def test_only_keys_and_operators_configure(
    notes: Collection, sign_up: Callable[[str], tuple[str, str]], caller: str
) -> None:
    token = {
        "anonymous": None,
        "user": sign_up("alice")[0],
        "publishable": notes.project.publishable_key,
    }[caller]
    base = f"{notes.project.path}/collections"
    for method, path in (("PUT", "/x"), ("GET", "/x"), ("DELETE", "/x"), ("GET", "")):
        reply = notes.client.request(method, base + path, json={}, token=token)
        assert reply.status == (403 if caller == "user" else 401), reply
    assert notes.client.get(f"{base}/x", token=notes.project.secret_key).status == 404


def test_an_operator_configures_too(notes: Collection, operator_token: str) -> None:
    path = f"{notes.project.path}/collections/notes"
    assert notes.client.put(path, {}, token=operator_token).status == 201


@pytest.mark.parametrize(
    ("name", "declared", "field"),
    [
        ("9x", {}, "collection"),
        ("a" * 65, {}, "collection"),
        ("notes", {"rules": {"write": "public"}}, "rules.write"),
        ("notes", {"rules": {"read": "doc.a =="}}, "rules.read"),
        ("notes", {"rules": {"read": "nonsense.a == 1"}}, "rules.read"),
        ("notes", {"rules": {"read": "data.a == 1"}}, "rules.read"),
        ("notes", {"rules": {"create": 5}}, "rules.create"),
        ("notes", {"rules": []}, None),
        ("notes", {"schema": {"type": "nonsense"}}, "schema"),
        ("notes", {"schema": {"$ref": "http://127.0.0.1/x"}}, "schema"),
        ("notes", {"schema": 5}, "schema"),
        ("notes", {"indexes": [{"fields": []}]}, "indexes[0].fields"),
        ("notes", {"indexes": [{"fields": ["a"], "type": "hash"}]}, "indexes[0].type"),
        ("notes", {"indexes": [{"fields": ["a", "-a"]}]}, "indexes[0].fields"),
        ("notes", {"indexes": [{"fields": ["a.0"]}]}, "indexes[0].fields"),
        ("notes", {"indexes": [{"fields": ["a"], "sparse": 1}]}, "indexes[0].sparse"),
        ("notes", {"indexes": [{"fields": ["a"], "where": {}}]}, "indexes[0].where"),
        (
            "notes",
            {"indexes": [{"fields": ["a"], "where": {"b": {"$regex": "x"}}}]},
            "indexes[0].where",
        ),
        ("notes", {"indexes": [{"fields": ["a"], "dimensions": 3}]}, "indexes[0]"),
        ("notes", {"indexes": [{"fields": ["a"], "name": ""}]}, "indexes[0].name"),
        (
            "notes",
            {"indexes": [{"fields": ["a"], "name": "x"}, {"fields": ["b"], "name": "x"}]},
            "indexes[1].name",
        ),
        (
            "notes",
            {"indexes": [{"fields": ["a"], "type": "text", "unique": True}]},
            "indexes[0].unique",
        ),
        ("notes", {"indexes": [{"fields": ["-a"], "type": "text"}]}, "indexes[0].fields"),
        ("notes", {"indexes": [{"fields": ["_id"], "type": "text"}]}, "indexes[0].fields"),
        (
            "notes",
            {"indexes": [{"fields": ["a"], "type": "text", "language": "klingon"}]},
            "indexes[0].language",
        ),
        (
            "notes",
            {"indexes": [{"fields": ["a"], "type": "text"}, {"fields": ["b"], "type": "text"}]},
            "indexes",
        ),
        ("notes", {"indexes": [{"fields": ["a"], "type": "vector"}]}, "indexes[0].dimensions"),
        (
            "notes",
            {"indexes": [{"fields": ["a"], "type": "vector", "dimensions": 2001}]},
            "indexes[0].dimensions",
        ),
        (
            "notes",
            {"indexes": [{"fields": ["a"], "type": "vector", "dimensions": 3, "metric": "l7"}]},
            "indexes[0].metric",
        ),
        ("notes", {"ttl_field": "a.0"}, "ttl_field"),
        ("notes", {"ttl_field": "_id"}, "ttl_field"),
        ("notes", {"ttl_field": "at", "ttl_seconds": -1}, "ttl_seconds"),
        ("notes", {"ttl_seconds": 60}, "ttl_seconds"),
        ("notes", {"max_docs": 0}, "max_docs"),
        ("notes", {"max_docs": True}, "max_docs"),
        ("notes", {"wat": 1}, "wat"),
    ],
)
def test_it_refuses_wrong_declarations(
    notes: Collection, name: str, declared: dict[str, Any], field: str | None
) -> None:
    reply = Collection(notes.client, notes.project, name).declare(**declared)
    if field is None:
        assert reply.status in (201, 422)
        return
    assert reply.status == 422, reply
    assert reply.json["errors"][0]["field"] == field
    assert notes.client.get(
        f"{notes.project.path}/collections", token=notes.project.secret_key
    ).json == {"items": [], "next_cursor": None}


def test_the_longest_name_and_names_that_share_their_beginning(notes: Collection) -> None:
    first, second = (Collection(notes.client, notes.project, "a" * 63 + letter) for letter in "xy")
    assert first.declare(indexes=[{"fields": ["n"]}]).status == 201
    assert first.create({"_id": "1"}).status == 201
    assert second.create({"_id": "2"}).status == 201
    assert (first.ids(), second.ids()) == (["1"], ["2"])


def test_documents_match_the_schema_on_every_path(notes: Collection) -> None:
    notes.declare(schema=SCHEMA)
    assert notes.create({"_id": "a", "title": "ok", "n": 3}).status == 201
    before = notes.project.events()
    for reply, field in (
        (notes.create({"n": 1}), "title"),
        (notes.create({"title": "too long"}), "title"),
        (notes.create({"title": "ok", "items": [{"k": 1}, {}]}), "items[1].k"),
        (notes.create({"title": "ok", "n": 1.5}), "n"),
        (notes.put("a", {"title": 5}), "title"),
        (notes.patch("a", {"title": None}), "title"),
        (notes.patch("a", {"$set": {"other": 1}}), "other"),
        (notes.create([{"title": "ok"}, {"title": 5}]), "[1].title"),
    ):
        assert (reply.status, reply.code) == (422, "schema_violation"), reply
        assert reply.json["errors"][0]["field"] == field
    assert notes.project.events() == before


def test_a_changed_schema_leaves_stored_documents_alone(notes: Collection) -> None:
    notes.create({"_id": "a", "n": 1})
    assert notes.declare(schema=SCHEMA).status == 200
    assert notes.get("a").status == 200
    assert notes.patch("a", {"n": 2}).code == "schema_violation"
    assert notes.patch("a", {"n": 2, "title": "now"}).status == 200


def test_a_collection_gets_another_name(notes: Collection) -> None:
    notes.declare(
        rules={"read": "public"},
        indexes=[{"fields": ["n"], "unique": True}, {"fields": ["t"], "type": "text"}],
        ttl_field="at",
    )
    notes.create([{"_id": "a", "n": 1, "t": "words"}, {"_id": "b", "n": 2}])
    path, key = f"{notes.project.path}/collections/notes", notes.project.secret_key
    assert notes.get("a").status == 200  # cached
    before = notes.project.events()
    reply = notes.client.post(f"{path}:rename", {"to": "Renamed-1"}, token=key)
    assert (reply.status, reply.json["name"], len(reply.json["indexes"])) == (200, "Renamed-1", 2)
    assert notes.get("a").code == "document_not_found"
    renamed = Collection(notes.client, notes.project, "Renamed-1")
    assert renamed.get("a", None).status == 200
    assert renamed.ids(filter={"$text": {"$search": "words"}}) == ["a"]
    assert renamed.create({"n": 1}).code == "unique_violation"
    assert notes.project.events() == before
    assert renamed.create({"_id": "c", "n": [5]}).status == 422
    assert renamed.delete("b").status == 204
    assert notes.project.events()[-1] == ("baas.db.document.deleted", "Renamed-1/b")
    # The old name is free again.
    assert notes.create({"_id": "a"}).status == 201
    taken = notes.client.post(f"{path}:rename", {"to": "Renamed-1"}, token=key)
    assert (taken.status, taken.code) == (409, "collection_exists")
    assert notes.client.post(f"{path}:rename", {"to": "notes"}, token=key).status == 200
    assert notes.ids() == ["a"]


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("notes", {"to": "9"}, 422, "invalid_collection_name"),
        ("notes", {"to": 5}, 422, "invalid"),
        ("notes", {}, 422, "invalid"),
        ("notes", {"to": "x", "more": 1}, 422, "invalid"),
        ("none", {"to": "x"}, 404, "collection_not_found"),
    ],
)
def test_it_refuses_wrong_names(
    notes: Collection, name: str, body: Any, status: int, code: str
) -> None:
    notes.create({"_id": "a"})
    path = f"{notes.project.path}/collections/{name}:rename"
    reply = notes.client.post(path, body, token=notes.project.secret_key)
    assert (reply.status, reply.code) == (status, code)
    assert notes.client.post(path, {"to": "x"}).status == 401
    assert notes.ids() == ["a"]


def test_a_collection_says_how_large_it_is(
    notes: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from baas.kernel import db
    from documents import collections, tables

    notes.create([{"n": n} for n in range(30)])
    path, key = f"{notes.project.path}/collections/notes", notes.project.secret_key
    shown = notes.client.get(path, token=key).json
    assert shown["documents"] == 30
    assert shown["size_bytes"] >= 8192
    # Beyond that it is what PostgreSQL has last seen.
    monkeypatch.setattr(tables, "_COUNTED", 10)
    table = collections.get(notes.project.id, "notes").table
    db.execute(b"ANALYZE " + table.as_bytes(None))
    assert notes.client.get(path, token=key).json["documents"] == 30
    # What a GET shows may be sent back.
    assert notes.client.put(path, shown, token=key).status == 200
