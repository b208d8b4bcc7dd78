"""Buckets: configured by operators and secret keys only."""

from typing import Any

import pytest

from tests.installation import Client, TestProject
from tests.integration.storage.conftest import BucketClient, MakeBucket


def test_it_makes_shows_changes_lists_and_deletes(client: Client, project: TestProject) -> None:
    path, token = f"{project.path}/buckets/photos", project.secret_key
    wish = {
        "public": True,
        "rules": {"read": "public", "write": "owner"},
        "max_size": 1000,
        "allowed_types": ["image/*", "Application/PDF"],
        "versioning": False,
        "cache_control": "max-age=60",
    }
    made = client.put(path, wish, token=token)
    assert made.status == 201
    shown = client.get(path, token=token).json
    assert shown == made.json
    assert shown["name"] == "photos"
    assert shown["rules"] == {"read": "public", "write": "owner", "delete": "closed"}
    assert shown["allowed_types"] == ["image/*", "application/pdf"]
    assert shown["cache_control"] == "max-age=60"
    changed = client.put(path, {}, token=token)
    assert changed.status == 200
    assert changed.json["public"] is False
    assert changed.json["max_size"] == 5 * 1024**3
    assert changed.json["created_at"] == shown["created_at"]
    client.put(f"{project.path}/buckets/avatars", {}, token=token)
    first = client.get(f"{project.path}/buckets?limit=1", token=token).json
    assert [bucket["name"] for bucket in first["items"]] == ["avatars"]
    rest = client.get(f"{project.path}/buckets?cursor={first['next_cursor']}", token=token).json
    assert [bucket["name"] for bucket in rest["items"]] == ["photos"]
    assert rest["next_cursor"] is None
    assert client.delete(path, token=token).status == 204
    assert client.get(path, token=token).code == "bucket_not_found"
    assert client.delete(path, token=token).code == "bucket_not_found"


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"rules": {"read": "object.nothing +"}}, "invalid_rule"),
        ({"rules": {"read": "doc.x == 1"}}, "invalid_rule"),
        ({"rules": {"read": "get('users', auth.uid).admin"}}, "invalid_rule"),
        ({"rules": {"create": "public"}}, "invalid_rule"),
        ({"versioning": True}, "versioning_not_available"),
        ({"max_size": -1}, "invalid"),
        ({"allowed_types": ["image"]}, "invalid"),
        ({"cache_control": "a\r\nX-Evil: 1"}, "invalid"),
        ({"colour": "red"}, "invalid"),
        ({"rules": ["read"]}, "invalid"),
    ],
)
def test_it_refuses_wrong_settings(
    client: Client, project: TestProject, wish: dict[str, Any], code: str
) -> None:
    path = f"{project.path}/buckets/photos"
    refused = client.put(path, wish, token=project.secret_key)
    assert (refused.status, refused.code) == (422, code)
    assert client.get(path, token=project.secret_key).status == 404


def test_it_refuses_names_that_are_none(client: Client, project: TestProject) -> None:
    for name in (".hidden", "a b", "x" * 64, "caf\u00e9"):
        refused = client.put(f"{project.path}/buckets/{name}", {}, token=project.secret_key)
        assert refused.code == "invalid_bucket_name", name


def test_end_users_may_not_configure(
    client: Client, project: TestProject, sign_up: Any, make_bucket: MakeBucket
) -> None:
    make_bucket()
    _, alice = sign_up("alice")
    path = f"{project.path}/buckets/photos"
    for method in ("GET", "PUT", "DELETE"):
        assert client.request(method, path, json={}, token=alice).code == "rule_denied"
        assert client.request(method, path, json={}).code == "authentication_required"
    assert client.get(f"{project.path}/buckets", token=alice).status == 403


def test_a_bucket_with_objects_is_deleted_only_by_force(
    bucket: BucketClient, project: TestProject, client: Client
) -> None:
    from storage import backends
    from storage.objects import project_prefix

    bucket.put("a")
    bucket.put("b")
    path = f"{project.path}/buckets/photos"
    refused = client.delete(path, token=project.secret_key)
    assert (refused.status, refused.code) == (409, "bucket_not_empty")
    assert client.delete(f"{path}?force=true", token=project.secret_key).status == 204
    assert bucket.get("a").code == "bucket_not_found"
    assert [kind for kind, _ in bucket.events()] == [
        *["baas.storage.object.created"] * 2,
        *["baas.storage.object.deleted"] * 2,
    ]
    assert list(backends.default().keys(project_prefix(project.id))) == []


def test_a_deleted_project_takes_rows_and_bytes_along(
    bucket: BucketClient, project: TestProject
) -> None:
    from baas.kernel import db, projects
    from storage import backends
    from storage.objects import project_prefix

    bucket.put("a")
    assert len(list(backends.default().keys(project_prefix(project.id)))) == 1
    projects.delete(projects.get(project.slug))
    assert list(backends.default().keys(project_prefix(project.id))) == []
    for table in (b"storage_object", b"storage_bucket"):
        rows = db.fetch_one(
            b"SELECT count(*) FROM " + table + b" WHERE project_id = %s", (project.id,)
        )
        assert rows == (0,)


def test_two_projects_do_not_meet(make_project: Any, client: Client, bucket: BucketClient) -> None:
    bucket.put("a", b"mine")
    other = make_project()
    twin = BucketClient(client=client, project=other, name="photos")
    assert twin.get("a").code == "bucket_not_found"
    assert bucket.get("a", token=other.secret_key).status == 401
    client.put(f"{other.path}/buckets/photos", {"public": True}, token=other.secret_key)
    assert twin.get("a").code == "object_not_found"
