"""Who may do what: Alice owns, Bob is a member, Charlie must see nothing, nor must a stranger."""

from collections.abc import Callable

from tests.installation import TestProject
from tests.integration.storage.conftest import MakeBucket

SignUp = Callable[[str], tuple[str, str]]

OWNED = {"read": "owner", "write": "owner", "delete": "owner"}


def test_only_the_owner_reads_replaces_and_deletes(
    make_bucket: MakeBucket, sign_up: SignUp
) -> None:
    bucket = make_bucket(rules=OWNED)
    uid, alice = sign_up("alice")
    _, bob = sign_up("bob")
    assert bucket.put("a.txt", b"secret", token=alice).json["owner"] == uid
    before = bucket.events()

    for token in (bob, None):
        assert bucket.put("a.txt", b"mine now", token=token).status == 403
    # Bob could read objects, his own: this one does not exist for him. Without an identity nothing
    # can ever be read: the bucket is closed.
    assert bucket.get("a.txt", token=bob).code == "object_not_found"
    assert bucket.get("no-such", token=bob).code == "object_not_found"
    assert bucket.head("a.txt", token=bob).status == 404
    assert bucket.delete("a.txt", token=bob).code == "object_not_found"
    assert bucket.get("a.txt").code == "rule_denied"
    assert bucket.get("no-such").code == "rule_denied"
    assert bucket.delete("a.txt").code == "rule_denied"
    assert bucket.events() == before
    assert bucket.get("a.txt", token=alice).body == b"secret"

    assert [item["path"] for item in bucket.page(token=alice).json["items"]] == ["a.txt"]
    assert bucket.page(token=bob).json["items"] == []
    assert bucket.page().code == "rule_denied"
    assert bucket.delete("a.txt", token=alice).status == 204


def test_members_read_what_they_may_not_write(make_bucket: MakeBucket, sign_up: SignUp) -> None:
    bucket = make_bucket(rules={"read": "authenticated", "write": "owner", "delete": "owner"})
    _, alice = sign_up("alice")
    _, bob = sign_up("bob")
    bucket.put("a", b"one", token=alice)
    before = bucket.events()
    assert bucket.get("a", token=bob).body == b"one"
    assert bucket.put("a", b"two", token=bob).code == "rule_denied"
    # He may see it, so he may know that it is not his to delete.
    assert bucket.delete("a", token=bob).code == "rule_denied"
    assert bucket.delete("b", token=bob).code == "object_not_found"
    assert bucket.events() == before


def test_a_bucket_without_rules_is_closed_but_for_the_project_itself(
    make_bucket: MakeBucket, sign_up: SignUp, project: TestProject
) -> None:
    bucket = make_bucket(rules={})
    _, alice = sign_up("alice")
    for token in (alice, None):
        for reply in (
            bucket.put("a", token=token),
            bucket.get("a", token=token),
            bucket.delete("a", token=token),
            bucket.page(token=token),
        ):
            assert (reply.status, reply.code) == (403, "rule_denied")
    assert bucket.events() == []
    assert bucket.put("a", token=project.secret_key).json["owner"] is None
    assert bucket.get("a", token=project.secret_key).status == 200


def test_a_public_bucket_shows_objects_to_those_who_know_the_path(
    make_bucket: MakeBucket, project: TestProject
) -> None:
    bucket = make_bucket(rules={}, public=True)
    bucket.put("a", token=project.secret_key)
    assert bucket.get("a").status == 200
    assert bucket.get("a").headers["cache-control"] == "no-cache"
    assert bucket.get("b").code == "object_not_found"
    assert bucket.page().code == "rule_denied"
    assert bucket.put("b").code == "rule_denied"


def test_rules_see_path_size_and_type(make_bucket: MakeBucket, sign_up: SignUp) -> None:
    bucket = make_bucket(
        rules={
            "read": "public",
            "write": "object.path.startsWith('users/' + auth.uid + '/') && object.size < 10"
            " && object.content_type.startsWith('image/')",
        }
    )
    uid, alice = sign_up("alice")
    image = {"Content_Type": "image/png", "token": alice}
    assert bucket.put(f"users/{uid}/a.png", b"x" * 9, **image).status == 201
    assert bucket.put(f"users/{uid}/b.png", b"x" * 10, **image).code == "rule_denied"
    assert bucket.put("users/bob/a.png", b"x", **image).code == "rule_denied"
    assert bucket.put(f"users/{uid}/a.txt", b"x", token=alice).code == "rule_denied"
    assert len(bucket.events()) == 1


def test_a_change_of_rules_is_in_force_at_once(make_bucket: MakeBucket) -> None:
    bucket = make_bucket()
    bucket.put("a")
    make_bucket(rules={})
    assert bucket.get("a").code == "rule_denied"


def test_lists_filter_by_the_rule_in_sql(make_bucket: MakeBucket, sign_up: SignUp) -> None:
    bucket = make_bucket(
        rules={
            "read": "object.owner == auth.uid || object.path.startsWith('public/')",
            "write": "authenticated",
        }
    )
    _, alice = sign_up("alice")
    _, bob = sign_up("bob")
    for path in ("a/1", "public/1", "z/1"):
        bucket.put(path, token=alice)
    assert [i["path"] for i in bucket.page(token=bob).json["items"]] == ["public/1"]
    folders = bucket.page(token=bob, delimiter="/").json
    assert (folders["items"], folders["prefixes"]) == ([], ["public/"])
    assert [i["path"] for i in bucket.page(token=alice, limit=2).json["items"]] == [
        "a/1",
        "public/1",
    ]


def test_what_is_closed_is_refused_before_the_body_is_read(
    make_bucket: MakeBucket, project: TestProject
) -> None:
    bucket = make_bucket(rules={"write": "authenticated"})

    # Nothing comes: whoever reads finds the body cut off.
    for method, content_type in (
        ("PUT", "image/png"),
        ("POST", "multipart/form-data; boundary=x"),
    ):
        headers = {"Content-Type": content_type, "Content-Length": "9999999"}
        for token, code in ((None, "rule_denied"), (project.secret_key, "incomplete_body")):
            reply = bucket.client.request(
                method, f"{bucket.path}/objects/a", body=b"", token=token, headers=headers
            )
            assert reply.code == code
    assert bucket.events() == []


def test_who_acts_as_a_user_is_told_why_and_nobody_else(
    make_bucket: MakeBucket, sign_up: SignUp, project: TestProject
) -> None:
    bucket = make_bucket(rules={"read": "owner", "write": "object.size < 3", "delete": "owner"})
    uid, alice = sign_up("alice")
    bob_uid, bob = sign_up("bob")
    bucket.put("a", b"x", token=alice)

    def rule_of(**headers: str) -> object:
        token = headers.pop("token", project.secret_key)
        refused = bucket.get("a", token=token, X_Explain_Rules="1", **headers)
        assert refused.code == "object_not_found"
        return refused.json.get("rule")

    told = rule_of(X_Act_As=bob_uid)
    assert isinstance(told, dict)
    assert (told["action"], told["source"]) == ("read", "owner")
    assert uid in told["why"]
    assert rule_of(token=bob) is None
    large = bucket.put(
        "b", b"xxx", token=project.secret_key, X_Act_As="anonymous", X_Explain_Rules="1"
    )
    assert "object.size < 3" in large.json["rule"]["why"]
    assert "rule" not in bucket.put("b", b"xxx").json
