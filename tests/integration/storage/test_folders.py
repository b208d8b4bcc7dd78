"""Many objects at once: delete, copy, move."""

from collections.abc import Callable
from typing import Any

import pytest

from storage import backends
from storage.objects import project_prefix
from tests.installation import Reply
from tests.integration.storage.conftest import BucketClient, MakeBucket

SignUp = Callable[[str], tuple[str, str]]
CREATED, DELETED = "baas.storage.object.created", "baas.storage.object.deleted"


def post(bucket: BucketClient, verb: str, body: Any, token: str | None = None) -> Reply:
    return bucket.client.post(f"{bucket.path}/{verb}", body, token=token)


def paths(bucket: BucketClient) -> list[str]:
    found = bucket.page(limit=1000, token=bucket.project.secret_key).json["items"]
    return [item["path"] for item in found]


def stored(bucket: BucketClient) -> int:
    return len(list(backends.default().keys(project_prefix(bucket.project.id))))


@pytest.fixture
def full(bucket: BucketClient) -> BucketClient:
    for path in ("a", "d/1", "d/2", "d/e/3", "dx"):
        bucket.put(path, path.encode(), x_meta_name=path)
    return bucket


def test_it_deletes_by_paths_what_is_there(full: BucketClient) -> None:
    reply = post(full, "delete", {"paths": ["d/1", "a", "no-such", "a"]})
    assert (reply.status, reply.json) == (200, {"deleted": 2})
    assert paths(full) == ["d/2", "d/e/3", "dx"]
    assert full.events()[5:] == [(DELETED, "photos/a"), (DELETED, "photos/d/1")]
    assert stored(full) == 3


def test_it_deletes_by_prefix(full: BucketClient) -> None:
    assert post(full, "delete", {"prefix": "d/"}).json == {"deleted": 3}
    assert paths(full) == ["a", "dx"]
    assert post(full, "delete", {"prefix": ""}).json == {"deleted": 2}
    assert stored(full) == 0


def test_copy_is_an_object_of_its_own(full: BucketClient) -> None:
    reply = post(full, "copy", {"from": "d/1", "to": "new/1"})
    assert reply.status == 201
    assert reply.json["path"] == "new/1"
    assert reply.json["metadata"] == {"name": "d/1"}
    full.delete("d/1")
    copied = full.get("new/1")
    assert (copied.body, copied.headers["content-type"]) == (b"d/1", "text/plain")
    assert full.events()[5] == (CREATED, "photos/new/1")


def test_move_keeps_the_bytes_where_they_are(full: BucketClient) -> None:
    before = full.head("d/1").headers["etag"]
    version = full.page(prefix="d/1").json["items"][0]["version"]
    reply = post(full, "move", {"from": "d/1", "to": "dx"})
    assert reply.status == 200
    assert reply.json["version"] == version
    assert full.get("d/1").status == 404
    assert (full.get("dx").body, full.get("dx").headers["etag"]) == (b"d/1", before)
    assert full.events()[5:] == [(DELETED, "photos/d/1"), (CREATED, "photos/dx")]
    assert stored(full) == 4


def test_a_move_onto_itself_does_nothing(full: BucketClient) -> None:
    assert post(full, "move", {"from": "a", "to": "a"}).status == 200
    assert full.get("a").body == b"a"
    assert len(full.events()) == 5


def test_folders_are_copied_and_moved(full: BucketClient) -> None:
    assert post(full, "copy", {"from": "d/", "to": "c/d/"}).json == {"copied": 3}
    assert post(full, "move", {"from": "d/", "to": "m/"}).json == {"moved": 3}
    assert paths(full) == ["a", "c/d/1", "c/d/2", "c/d/e/3", "dx", "m/1", "m/2", "m/e/3"]
    assert full.get("c/d/e/3").body == full.get("m/e/3").body == b"d/e/3"
    assert stored(full) == 8


@pytest.mark.parametrize(
    ("verb", "body", "status", "code"),
    [
        ("copy", {"from": "no-such", "to": "x"}, 404, "object_not_found"),
        ("move", {"from": "no-such", "to": "x"}, 404, "object_not_found"),
        ("copy", {"from": "a", "to": "../x"}, 422, "invalid_path"),
        ("copy", {"from": "a", "to": "x/"}, 422, "invalid"),
        ("move", {"from": "d/", "to": "d/sub/"}, 422, "invalid"),
        ("move", {"from": "d/", "to": "/"}, 422, "invalid_path"),
        ("copy", {"from": "a"}, 422, "invalid"),
        ("copy", {"from": "a", "to": 1}, 422, "invalid"),
        ("copy", {"from": "a", "to": "b", "bucket": "x"}, 422, "invalid"),
        ("delete", {}, 422, "invalid"),
        ("delete", {"paths": ["a"], "prefix": "a"}, 422, "invalid"),
        ("delete", {"paths": "a"}, 422, "invalid"),
        ("delete", {"paths": [1]}, 422, "invalid"),
        ("delete", {"paths": ["x"] * 1001}, 422, "invalid"),
        ("delete", {"paths": ["a/../b"]}, 422, "invalid_path"),
    ],
)
def test_it_refuses(
    full: BucketClient, verb: str, body: dict[str, Any], status: int, code: str
) -> None:
    reply = post(full, verb, body)
    assert (reply.status, reply.code) == (status, code)
    assert paths(full) == ["a", "d/1", "d/2", "d/e/3", "dx"]
    assert len(full.events()) == 5


def test_nobody_deletes_copies_or_moves_what_is_not_his(
    make_bucket: MakeBucket, sign_up: SignUp
) -> None:
    bucket = make_bucket(rules={"read": "owner", "write": "owner", "delete": "owner"})
    _, alice = sign_up("alice")
    _, bob = sign_up("bob")
    bucket.put("d/alice", token=alice)
    bucket.put("d/bob", token=bob)
    before = bucket.events()
    for verb in ("copy", "move"):
        refused = post(bucket, verb, {"from": "d/alice", "to": "mine"}, bob)
        assert (refused.status, refused.code) == (404, "object_not_found")
        onto = post(bucket, verb, {"from": "d/bob", "to": "d/alice"}, bob)
        assert (onto.status, onto.code) == (403, "rule_denied")
        anonymous = post(bucket, verb, {"from": "d/alice", "to": "mine"})
        assert (anonymous.status, anonymous.code) == (403, "rule_denied")
    assert post(bucket, "delete", {"paths": ["d/alice"]}, bob).json == {"deleted": 0}
    assert post(bucket, "delete", {"prefix": ""}).code == "rule_denied"
    assert bucket.events() == before
    assert post(bucket, "copy", {"from": "d/", "to": "e/"}, bob).json == {"copied": 1}
    assert bucket.get("e/bob", token=bob).status == 200
    assert post(bucket, "delete", {"prefix": ""}, bob).json == {"deleted": 2}
    assert paths(bucket) == ["d/alice"]


def test_a_copy_belongs_to_who_made_it(make_bucket: MakeBucket, sign_up: SignUp) -> None:
    bucket = make_bucket(rules={"read": "authenticated", "write": "owner"})
    alice_uid, alice = sign_up("alice")
    bob_uid, bob = sign_up("bob")
    assert bucket.put("a", token=alice).json["owner"] == alice_uid
    assert post(bucket, "copy", {"from": "a", "to": "b"}, bob).json["owner"] == bob_uid


def test_a_folder_of_a_public_bucket_is_copied_only_by_whom_it_may_be_listed_to(
    make_bucket: MakeBucket, sign_up: SignUp
) -> None:
    (_, alice), (_, bob) = sign_up("alice"), sign_up("bob")
    rules = {"read": "owner", "write": "authenticated", "delete": "owner"}
    bucket = make_bucket(public=True, rules=rules)
    bucket.put("a/unguessable-name", token=alice)
    bucket.put("a/of-bob", token=bob)
    before = bucket.events()
    assert post(bucket, "copy", {"from": "a/", "to": "b/"}, bob).json == {"copied": 1}
    assert paths(bucket) == ["a/of-bob", "a/unguessable-name", "b/of-bob"]
    assert bucket.events()[len(before) :] == [(CREATED, "photos/b/of-bob")]


@pytest.mark.parametrize("verb", ["copy", "move"])
def test_a_closed_bucket_does_not_tell_whether_a_folder_is_there(
    make_bucket: MakeBucket, verb: str
) -> None:
    for rules in (
        {"read": "closed", "write": "public", "delete": "closed"},
        {"read": "public", "write": "closed", "delete": "public"},
    ):
        bucket = make_bucket(rules=rules)
        bucket.put("secret/1", token=bucket.project.secret_key)
        before = bucket.events()
        for folder in ("secret/", "nothing/"):
            reply = post(bucket, verb, {"from": folder, "to": "x/"})
            assert reply.code == "rule_denied"
        assert bucket.events() == before
