"""Objects through the door: kept, read, replaced, deleted."""

import base64
import hashlib

from tests.installation import Client, TestProject
from tests.integration.storage.conftest import BucketClient, MakeBucket


def test_it_keeps_the_body_and_says_what_it_kept(bucket: BucketClient) -> None:
    reply = bucket.put("a/b.txt", b"hello", x_meta_camera="Leica", x_meta_shot_by="Alice")
    assert reply.status == 201
    kept = reply.json
    assert kept["bucket"] == "photos"
    assert kept["path"] == "a/b.txt"
    assert kept["size"] == 5
    assert kept["content_type"] == "text/plain"
    assert kept["etag"] == hashlib.md5(b"hello").hexdigest()
    assert kept["checksum_sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert kept["owner"] is None
    assert kept["metadata"] == {"camera": "Leica", "shot-by": "Alice"}
    assert kept["created_at"] == kept["updated_at"] or kept["created_at"] < kept["updated_at"]
    assert reply.headers["etag"] == f'"{kept["etag"]}"'
    assert len(kept["version"]) == 26


def test_it_gives_the_bytes_back_with_safe_headers(bucket: BucketClient) -> None:
    bucket.put("a.txt", b"hello", x_meta_camera="Leica")
    reply = bucket.get("a.txt")
    assert (reply.status, reply.body) == (200, b"hello")
    assert reply.headers["content-type"] == "text/plain"
    assert reply.headers["content-length"] == "5"
    assert reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "private, no-cache"
    assert reply.headers["x-meta-camera"] == "Leica"
    assert reply.headers["last-modified"].endswith("GMT")
    assert "content-security-policy" not in reply.headers


def test_it_shows_html_and_svg_only_in_a_sandbox(bucket: BucketClient) -> None:
    for content_type in ("text/html; charset=utf-8", "image/svg+xml", "application/xhtml+xml"):
        bucket.put("x", b"<script>", Content_Type=content_type)
        reply = bucket.get("x")
        assert reply.headers["content-type"] == content_type
        assert reply.headers["content-security-policy"].startswith("sandbox;")
        assert reply.headers["x-content-type-options"] == "nosniff"


def test_a_body_without_a_type_is_octets(bucket: BucketClient) -> None:
    assert bucket.put("x", Content_Type="").json["content_type"] == "application/octet-stream"


def test_it_refuses_a_content_type_that_is_none(bucket: BucketClient) -> None:
    for content_type in ("image", "a/b\nX-Evil: 1", "a/b; \u00e9", "x" * 300 + "/y"):
        assert bucket.put("x", Content_Type=content_type).code == "invalid_content_type"
    assert bucket.events() == []


def test_head_tells_everything_but_the_bytes(bucket: BucketClient) -> None:
    bucket.put("a.txt", b"hello")
    got, head = bucket.get("a.txt"), bucket.head("a.txt")
    assert (head.status, head.body) == (200, b"")
    skip = {"x-request-id", "ratelimit-remaining", "ratelimit-reset"}
    assert {k: v for k, v in head.headers.items() if k not in skip} == {
        k: v for k, v in got.headers.items() if k not in skip
    }
    assert bucket.head("nothing").status == 404


def test_it_keeps_an_empty_object(bucket: BucketClient) -> None:
    assert bucket.put("empty", b"").json["size"] == 0
    reply = bucket.get("empty")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "0")
    assert bucket.get("empty", Range="bytes=0-").code == "range_not_satisfiable"


def test_an_upload_over_an_object_replaces_it(bucket: BucketClient) -> None:
    first = bucket.put("a.txt", b"one").json
    second = bucket.put("a.txt", b"two", Content_Type="text/css").json
    assert second["version"] != first["version"]
    assert second["created_at"] == first["created_at"]
    assert bucket.get("a.txt").body == b"two"
    assert bucket.get("a.txt").headers["content-type"] == "text/css"
    assert bucket.events() == [("baas.storage.object.created", "photos/a.txt")] * 2


def test_the_event_carries_the_object(bucket: BucketClient, installation: None) -> None:
    import json

    from baas.kernel import db

    kept = bucket.put("a/b.txt", b"hello").json
    row = db.fetch_one(
        "SELECT source, subject, data::text FROM kernel_event WHERE project_id = %s",
        (bucket.project.id,),
    )
    assert row is not None
    assert row[0] == f"/projects/{bucket.project.slug}/storage/photos"
    assert row[1] == "photos/a/b.txt"
    assert json.loads(row[2]) == {"object": kept}


def test_if_none_match_star_never_overwrites(bucket: BucketClient) -> None:
    assert bucket.put("a", b"one", If_None_Match="*").status == 201
    refused = bucket.put("a", b"two", If_None_Match="*")
    assert (refused.status, refused.code) == (412, "object_exists")
    assert bucket.get("a").body == b"one"
    assert len(bucket.events()) == 1


def test_if_match_overwrites_only_what_the_caller_saw(bucket: BucketClient) -> None:
    etag = bucket.put("a", b"one").headers["etag"]
    assert bucket.put("a", b"two", If_Match=etag).status == 201
    assert bucket.put("a", b"three", If_Match=etag).status == 412
    assert bucket.put("new", b"three", If_Match=etag).status == 412
    assert bucket.delete("a", If_Match=etag).status == 412
    assert bucket.get("a").body == b"two"
    assert len(bucket.events()) == 2


def test_a_deleted_object_is_gone_and_announced(bucket: BucketClient) -> None:
    bucket.put("a", b"one")
    assert bucket.delete("a").status == 204
    assert bucket.get("a").code == "object_not_found"
    assert bucket.delete("a").code == "object_not_found"
    assert bucket.events() == [
        ("baas.storage.object.created", "photos/a"),
        ("baas.storage.object.deleted", "photos/a"),
    ]


def test_ranges(bucket: BucketClient) -> None:
    bucket.put("digits", b"0123456789")
    part = bucket.get("digits", Range="bytes=2-4")
    assert (part.status, part.body) == (206, b"234")
    assert part.headers["content-range"] == "bytes 2-4/10"
    assert part.headers["content-length"] == "3"
    assert bucket.get("digits", Range="bytes=-3").body == b"789"
    assert bucket.get("digits", Range="bytes=7-").body == b"789"
    assert bucket.get("digits", Range="bytes=8-100").headers["content-range"] == "bytes 8-9/10"
    beyond = bucket.get("digits", Range="bytes=10-")
    assert (beyond.status, beyond.code) == (416, "range_not_satisfiable")
    assert beyond.headers["content-range"] == "bytes */10"
    several = bucket.get("digits", Range="bytes=0-1,4-5")
    assert (several.status, several.body) == (200, b"0123456789")
    assert bucket.get("digits", Range="lines=1-2").status == 200


def test_conditional_reads(bucket: BucketClient) -> None:
    bucket.put("a", b"one")
    full = bucket.get("a")
    etag, modified = full.headers["etag"], full.headers["last-modified"]
    same = bucket.get("a", If_None_Match=etag)
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", etag)
    assert "content-length" not in same.headers
    assert bucket.get("a", If_None_Match=f'W/{etag}, "other"').status == 304
    assert bucket.get("a", If_None_Match='"other"').status == 200
    assert bucket.get("a", If_Modified_Since=modified).status == 304
    assert bucket.get("a", If_Modified_Since="Mon, 01 Jan 2001 00:00:00 GMT").status == 200
    assert bucket.get("a", If_Modified_Since="yesterday").status == 200
    assert bucket.get("a", If_Match='"other"').status == 412
    assert bucket.get("a", If_Range=etag, Range="bytes=0-0").status == 206
    assert bucket.get("a", If_Range='"other"', Range="bytes=0-0").status == 200
    assert bucket.get("a", If_Range=modified, Range="bytes=0-0").status == 206


def test_download_names_the_file(bucket: BucketClient) -> None:
    bucket.put("dir/r\u00e9sum\u00e9.pdf", b"x")
    reply = bucket.get("dir/r\u00e9sum\u00e9.pdf?download=")
    assert reply.headers["content-disposition"] == (
        "attachment; filename=\"r_sum_.pdf\"; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf"
    )
    reply = bucket.get('dir/r\u00e9sum\u00e9.pdf?download=a";b/c.pdf')
    assert reply.headers["content-disposition"] == (
        "attachment; filename=\"a__b_c.pdf\"; filename*=UTF-8''a%22%3Bb_c.pdf"
    )
    plain = bucket.get("dir/r\u00e9sum\u00e9.pdf?download=cv.pdf")
    assert plain.headers["content-disposition"] == 'attachment; filename="cv.pdf"'


def test_a_path_may_be_any_text_and_both_normal_forms_are_one(bucket: BucketClient) -> None:
    assert bucket.put("\u76f8\u518c/e\u0301 \U0001f600%2F.jpg").json["path"] == (
        "\u76f8\u518c/\u00e9 \U0001f600%2F.jpg"
    )
    assert bucket.get("\u76f8\u518c/\u00e9 \U0001f600%2F.jpg").status == 200
    assert bucket.get("\u76f8\u518c/e\u0301 \U0001f600%2F.jpg").status == 200


def test_it_refuses_paths_that_are_none(bucket: BucketClient) -> None:
    for path in ("a//b", "a/", "../x", "a/./b", "a\x7fb", "x" * 1025, "a\r\nb"):
        reply = bucket.put(path)
        assert (reply.status, reply.code) == (422, "invalid_path"), path
    assert bucket.put("a\x00b").status == 400
    assert bucket.events() == []


def test_it_refuses_an_object_over_the_buckets_size(make_bucket: MakeBucket) -> None:
    bucket = make_bucket(max_size=10)
    assert bucket.put("a", b"x" * 10).status == 201
    refused = bucket.put("b", b"x" * 11)
    assert (refused.status, refused.code) == (413, "object_too_large")
    assert bucket.get("b").status == 404
    assert len(bucket.events()) == 1


def test_it_takes_only_the_buckets_types(make_bucket: MakeBucket) -> None:
    bucket = make_bucket(allowed_types=["image/*", "application/pdf"])
    assert bucket.put("a", Content_Type="image/JPEG").status == 201
    assert bucket.put("a", Content_Type="application/pdf; x=1").status == 201
    for content_type in ("text/html", "application/pdfx", "imagex/png", ""):
        refused = bucket.put("b", Content_Type=content_type)
        assert (refused.status, refused.code) == (415, "type_not_allowed")
    assert len(bucket.events()) == 2


def test_a_body_that_is_cut_off_leaves_nothing(bucket: BucketClient) -> None:
    from storage import backends
    from storage.objects import project_prefix

    refused = bucket.put("a", b"half", Content_Length="1000")
    assert (refused.status, refused.code) == (400, "incomplete_body")
    assert bucket.get("a").status == 404
    assert bucket.events() == []
    assert list(backends.default().keys(project_prefix(bucket.project.id))) == []


def test_a_body_without_a_length_is_refused(bucket: BucketClient) -> None:
    refused = bucket.put("a", Content_Length="")
    assert (refused.status, refused.code) == (411, "length_required")
    assert bucket.events() == []


def test_content_digest_is_checked(bucket: BucketClient) -> None:
    digest = base64.b64encode(hashlib.sha256(b"hello").digest()).decode()
    assert bucket.put("a", Content_Digest=f"sha-256=:{digest}:").status == 201
    refused = bucket.put("a", b"hullo", Content_Digest=f"sha-256=:{digest}:")
    assert (refused.status, refused.code) == (422, "checksum_mismatch")
    assert bucket.get("a").body == b"hello"
    assert len(bucket.events()) == 1


def test_metadata_that_no_header_can_carry_is_refused(bucket: BucketClient) -> None:
    assert bucket.put("a", x_meta_name="caf\u00e9").code == "invalid_metadata"
    assert bucket.put("a", x_meta_name="x" * 3000).code == "invalid_metadata"
    assert bucket.events() == []


def test_old_bytes_go_after_the_new_ones_are_in_place(bucket: BucketClient) -> None:
    from storage import backends
    from storage.objects import project_prefix

    for number in range(3):
        bucket.put("a", str(number).encode())
    stored = list(backends.default().keys(project_prefix(bucket.project.id)))
    assert [key.size for key in stored] == [1]
    bucket.delete("a")
    assert list(backends.default().keys(project_prefix(bucket.project.id))) == []


def test_unknown_buckets_and_methods(client: Client, project: TestProject) -> None:
    ghost = BucketClient(client=client, project=project, name="ghost")
    for reply in (ghost.put("a"), ghost.get("a"), ghost.delete("a"), ghost.page()):
        assert (reply.status, reply.code) == (404, "bucket_not_found")
    assert client.patch(f"{ghost.path}/objects/a", {}).code == "method_not_allowed"
    assert ghost.events() == []


def test_a_repeated_upload_gets_the_first_reply(bucket: BucketClient) -> None:
    key = {"Idempotency_Key": "upload-1"}
    first = bucket.put("a", b"one", If_None_Match="*", **key)
    again = bucket.put("a", b"one", If_None_Match="*", **key)
    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["idempotency-replayed"] == "true"
    assert len(bucket.events()) == 1
    other = bucket.put("a", b"two", **key)
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert bucket.put("a", b"three", If_None_Match="*", Idempotency_Key="k-2").status == 412
    assert bucket.put("a", b"three", Idempotency_Key="k-3").status == 201
    assert bucket.get("a").body == b"three"
    assert len(bucket.events()) == 2
    assert stored_keys(bucket) == 1


def stored_keys(bucket: BucketClient) -> int:
    from storage import backends
    from storage.objects import project_prefix

    return len(list(backends.default().keys(project_prefix(bucket.project.id))))


def test_a_refused_upload_with_a_key_leaves_no_bytes(make_bucket: MakeBucket) -> None:
    bucket = make_bucket(rules={"write": "object.size < 3", "read": "public"})
    key = {"Idempotency_Key": "upload-1"}
    for _ in range(2):
        form = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nlong\r\n--x--\r\n'
        refused = bucket.client.request(
            "POST",
            f"{bucket.path}/objects/a",
            body=form,
            headers={
                "Content-Type": "multipart/form-data; boundary=x",
                "Idempotency-Key": key["Idempotency_Key"],
            },
        )
        assert (refused.status, refused.code) == (403, "rule_denied")
    assert refused.headers["idempotency-replayed"] == "true"
    assert stored_keys(bucket) == 0
    assert bucket.events() == []
