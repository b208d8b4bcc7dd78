"""multipart/form-data: what browsers and mini programs send."""

import hashlib

import pytest

from tests.installation import Reply
from tests.integration.storage.conftest import BucketClient, MakeBucket

BOUNDARY = "----WebKitFormBoundaryX"


def part(name: str, body: bytes, filename: str | None = None, content_type: str = "") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"'
    if content_type:
        head += f"\r\nContent-Type: {content_type}"
    return head.encode() + b"\r\n\r\n" + body + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def post(bucket: BucketClient, path: str, body: bytes, **headers: str) -> Reply:
    fields = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **headers}
    return bucket.client.request("POST", f"{bucket.path}/objects/{path}", body=body, headers=fields)


def test_it_keeps_the_file_part_and_ignores_the_other_fields(bucket: BucketClient) -> None:
    image = bytes(range(256)) * 4000  # more than two chunks
    body = (
        part("key", b"ignored")
        + part("file", image, "p.jpg", "image/jpeg")
        + part("after", b"ignored too")
        + END
    )
    reply = post(bucket, "a/p.jpg", body, **{"x-meta-album": "summer"})
    assert reply.status == 201, reply
    assert reply.json["size"] == len(image)
    assert reply.json["content_type"] == "image/jpeg"
    assert reply.json["checksum_sha256"] == hashlib.sha256(image).hexdigest()
    assert reply.json["metadata"] == {"album": "summer"}
    assert bucket.get("a/p.jpg").body == image
    assert bucket.events() == [("baas.storage.object.created", "photos/a/p.jpg")]


def test_the_file_may_look_like_boundaries(bucket: BucketClient) -> None:
    tricky = f"\r\n--{BOUNDARY[:-1]}\r\n--\r\n\r\n".encode() * 3000 + b"\r\n-"
    assert post(bucket, "a", part("file", tricky, "x") + END).status == 201
    assert bucket.get("a").body == tricky


def test_an_empty_file_is_kept(bucket: BucketClient) -> None:
    assert post(bucket, "a", part("file", b"", "x") + END).json["size"] == 0


def test_if_none_match_works_for_forms_too(bucket: BucketClient) -> None:
    body = part("file", b"x", "x") + END
    assert post(bucket, "a", body, **{"If-None-Match": "*"}).status == 201
    assert post(bucket, "a", body, **{"If-None-Match": "*"}).code == "object_exists"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (part("file", b"x" * 1000, "x"), "incomplete_body"),
        (part("file", b"x" * 1000, "x") + END[:-6], "incomplete_body"),
        (part("file", b"x" * 1000)[:40], "incomplete_body"),
        (b"", "incomplete_body"),
        (END, "file_part_missing"),
        (part("photo", b"x", "x") + END, "file_part_missing"),
        (part("photo", b"x" * 70_000, "x") + END, "file_part_missing"),
        # Headers without an end must not fill the memory either.
        (part("file", b"x", "x" * 70_000) + END, "malformed_form"),
        (
            part("file", b"x", "x").replace(b"\r\n\r\n", b"\r\nA: " + b"x" * 70_000),
            "malformed_form",
        ),
        (part("file", b"x", "x") + part("file", b"y", "y") + END, "too_many_files"),
        (b"no form at all", "malformed_form"),
        (part("file", b"x", "x", "not a type") + END, "invalid_content_type"),
        (
            f"--{BOUNDARY}\r\n".encode() + b"a: b\r\n" * 50 + b"\r\nx\r\n" + END,
            "malformed_form",
        ),
    ],
)
def test_a_form_that_is_none_leaves_nothing(bucket: BucketClient, body: bytes, code: str) -> None:
    reply = post(bucket, "a", body)
    assert reply.status in (400, 422)
    assert reply.code == code
    assert bucket.get("a").status == 404
    assert bucket.events() == []


def test_other_bodies_are_refused(bucket: BucketClient) -> None:
    for content_type, status in (
        ("application/json", 415),
        ("", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=" + "x" * 200, 400),
    ):
        reply = post(bucket, "a", b"{}", **{"Content-Type": content_type})
        assert reply.status == status, content_type
    assert bucket.events() == []


def test_the_buckets_limits_hold_for_forms(make_bucket: MakeBucket) -> None:
    bucket = make_bucket(max_size=1000, allowed_types=["image/*"])
    image = part("file", b"x" * 1000, "x", "image/png") + END
    assert post(bucket, "a", image).status == 201
    over = part("file", b"x" * 1001, "x", "image/png") + END
    assert post(bucket, "b", over).code == "object_too_large"
    text = part("file", b"x", "x", "text/plain") + END
    assert post(bucket, "b", text).code == "type_not_allowed"
    # A body that cannot hold so small a file is refused by its length alone.
    assert post(bucket, "b", image, **{"Content-Length": "200000"}).code == "object_too_large"
    assert len(bucket.events()) == 1


def test_a_rule_about_the_size_is_asked_at_the_end(make_bucket: MakeBucket) -> None:
    bucket = make_bucket(rules={"read": "public", "write": "object.size > 10 && object.size < 100"})
    assert post(bucket, "a", part("file", b"x" * 50, "x") + END).status == 201
    assert post(bucket, "b", part("file", b"x" * 5, "x") + END).code == "rule_denied"
    assert post(bucket, "b", part("file", b"x" * 500, "x") + END).code == "rule_denied"
    assert bucket.get("b").status == 404
    assert len(bucket.events()) == 1
