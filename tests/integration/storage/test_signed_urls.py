"""Signed URLs: one method, one path, for a while, as the one who signed."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from django.conf import settings

from storage import signing
from tests.installation import Reply, TestProject
from tests.integration.storage.conftest import BucketClient, MakeBucket

SignUp = Callable[[str], tuple[str, str]]
OWNED = {"read": "owner", "write": "owner", "delete": "owner"}


def sign(bucket: BucketClient, token: str | None = None, **body: Any) -> Reply:
    return bucket.client.post(f"{bucket.path}/sign", body, token=token)


def use(bucket: BucketClient, url: str, method: str = "GET", body: bytes | None = None) -> Reply:
    assert url.startswith(settings.PUBLIC_URL + "/v1/")
    parts = urlsplit(url)
    return bucket.client.request(method, f"{unquote(parts.path)}?{parts.query}", body=body)


def test_a_signed_get_needs_no_token(make_bucket: MakeBucket, sign_up: SignUp) -> None:
    bucket = make_bucket(rules=OWNED)
    _, alice = sign_up("alice")
    bucket.put("a \u00e9+.txt", b"secret", token=alice)
    reply = sign(bucket, alice, path="a \u00e9+.txt", expires_in=60)
    assert reply.status == 200
    url = reply.json["url"]
    assert use(bucket, url).body == b"secret"
    assert use(bucket, url, "HEAD").status == 200
    assert "alice" not in unquote(url)
    # For nothing else.
    assert use(bucket, url, "PUT", b"x").code == "invalid_signature"
    assert use(bucket, url, "DELETE").code == "rule_denied"
    for changed in (url.replace("a%20", "b%20"), url[:-8] + "AAAAAAAA", url[:-1] + "!"):
        assert use(bucket, changed).code == "invalid_signature"
    token = url.partition("?token=")[2]
    other = make_bucket("other", rules={})
    assert other.get(f"a \u00e9+.txt?token={token}").status in (403, 404)
    assert len(bucket.events()) == 1


def test_a_signed_put_uploads_as_the_signer(make_bucket: MakeBucket, sign_up: SignUp) -> None:
    bucket = make_bucket(rules={"read": "owner", "write": "owner"})
    uid, alice = sign_up("alice")
    url = sign(bucket, alice, path="up", method="PUT").json["url"]
    kept = use(bucket, url, "PUT", b"hello")
    assert (kept.status, kept.json["owner"]) == (201, uid)
    assert use(bucket, url).code == "invalid_signature"
    assert bucket.get("up", token=alice).body == b"hello"


def test_the_rules_still_decide_when_it_is_used(make_bucket: MakeBucket, sign_up: SignUp) -> None:
    rules = {
        "read": "owner",
        "write": "object.owner == auth.uid && object.size < 10",
    }
    bucket = make_bucket(rules=rules)
    _, alice = sign_up("alice")
    url = sign(bucket, alice, path="up", method="PUT").json["url"]
    assert use(bucket, url, "PUT", b"x" * 10).code == "rule_denied"
    assert bucket.events() == []
    make_bucket(rules={})
    assert use(bucket, url, "PUT", b"x").code == "rule_denied"
    assert bucket.events() == []


def test_only_who_may_read_can_sign(make_bucket: MakeBucket, sign_up: SignUp) -> None:
    bucket = make_bucket(rules=OWNED)
    _, alice = sign_up("alice")
    _, bob = sign_up("bob")
    bucket.put("a", token=alice)
    assert sign(bucket, bob, path="a").code == "object_not_found"
    assert sign(bucket, path="a").code == "rule_denied"
    assert sign(bucket, path="a", method="PUT").code == "rule_denied"
    assert sign(bucket, alice, path="no-such").code == "object_not_found"


def test_the_project_signs_for_anyone(make_bucket: MakeBucket, project: TestProject) -> None:
    bucket = make_bucket(rules={})
    up = sign(bucket, project.secret_key, path="a", method="PUT").json["url"]
    assert use(bucket, up, "PUT", b"hello").json["owner"] is None
    down = sign(bucket, project.secret_key, path="a").json["url"]
    assert use(bucket, down).body == b"hello"


def test_an_expired_url_is_refused(bucket: BucketClient, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put("a")
    url = sign(bucket, path="a", expires_in=60).json["url"]
    now = time.time()
    monkeypatch.setattr(signing.time, "time", lambda: now + 61)
    refused = use(bucket, url)
    assert (refused.status, refused.code) == (403, "url_expired")


def test_a_token_of_another_project_is_none(make_project: Any, bucket: BucketClient) -> None:
    bucket.put("a")
    token = sign(bucket, path="a").json["url"].partition("?token=")[2]
    other = make_project()
    twin = BucketClient(client=bucket.client, project=other, name="photos")
    bucket.client.put(f"{other.path}/buckets/photos", {"public": True}, token=other.secret_key)
    assert twin.get(f"a?token={token}").code == "invalid_signature"


@pytest.mark.parametrize(
    "body",
    [
        {"path": "a", "method": "DELETE"},
        {"path": "a", "expires_in": 0},
        {"path": "a", "expires_in": 604801},
        {"path": "a", "expires_in": True},
        {"path": "a", "transform": {}},
        {},
    ],
)
def test_it_refuses_wrong_wishes(bucket: BucketClient, body: dict[str, Any]) -> None:
    bucket.put("a")
    assert sign(bucket, **body).status == 422
