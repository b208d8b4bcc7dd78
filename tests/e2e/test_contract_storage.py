"""The contract, "Storage": buckets, objects, ranges, forms, lists, rules, events."""

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .conftest import Stack
from .contract import App, code

PNG = {"Content-Type": "image/png"}
OBJECT = {
    *("bucket", "path", "size", "content_type", "etag", "checksum_sha256", "version"),
    *("owner", "metadata", "created_at", "updated_at"),
}
RULES = {
    "read": "object.path.startsWith('public/') || object.owner == auth.uid",
    "write": "auth != null && object.size < 5000",
    "delete": "owner",
}


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        body = {"rules": RULES, "max_size": 10_000, "allowed_types": ["image/*", "text/plain"]}
        assert app("PUT", "/buckets/pics", app.key, body).status_code == 201
        assert app("PUT", "/buckets/closed", app.key, {}).status_code == 201
        yield app


@pytest.fixture(scope="module")
def alice(app: App) -> str:
    return app.token("alice")


@pytest.fixture(scope="module")
def bob(app: App) -> str:
    return app.token("bob")


def address(path: str) -> str:
    return f"/storage/pics/objects/{path}"


def put(app: App, token: str | None, path: str, body: bytes = b"0123456789") -> httpx.Response:
    return app("PUT", address(path), token, body, PNG)


class TestBuckets:
    def test_the_whole_configuration(self, app: App) -> None:
        made = app("PUT", "/buckets/full", app.key, {"public": True, "cache_control": "max-age=9"})
        assert made.status_code == 201
        shown = app("GET", "/buckets/full", app.operator).json()
        assert shown == made.json()
        assert (shown["public"], shown["cache_control"]) == (True, "max-age=9")
        assert shown["rules"] == {"read": "closed", "write": "closed", "delete": "closed"}
        assert app("PUT", "/buckets/full", app.key, {}).json()["public"] is False
        assert "full" in [item["name"] for item in app("GET", "/buckets", app.key).json()["items"]]
        assert app("DELETE", "/buckets/full", app.key).status_code == 204
        assert code(app("GET", "/buckets/full", app.key)) == "bucket_not_found"

    @pytest.mark.parametrize(
        ("name", "body", "expected"),
        [
            ("A B", {}, "invalid_bucket_name"),
            ("x", {"no_such": 1}, "invalid"),
            ("x", {"public": "no"}, "invalid"),
            ("x", {"public": 1}, "invalid"),
            ("x", {"max_size": -1}, "invalid"),
            ("x", {"rules": {"read": "(("}}, "invalid_rule"),
            ("x", {"rules": {"read": "doc.a == 1"}}, "invalid_rule"),
            ("x", {"rules": {"list": "public"}}, "invalid_rule"),
        ],
    )
    def test_refused(self, app: App, name: str, body: Any, expected: str) -> None:
        reply = app("PUT", f"/buckets/{name}", app.key, body)
        assert (reply.status_code, code(reply)) == (422, expected)
        assert code(app("GET", "/buckets/x", app.key)) == "bucket_not_found"

    def test_for_the_privileged_only(self, app: App, alice: str) -> None:
        for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
            assert code(app(method, "/buckets/pics", alice, body)) == "rule_denied"
            assert code(app(method, "/buckets/pics", None, body)) == "authentication_required"

    def test_full_ones_stay(self, app: App) -> None:
        app("PUT", "/buckets/filled", app.key, {})
        app("PUT", "/storage/filled/objects/a", app.key, b"x")
        assert code(app("DELETE", "/buckets/filled", app.key)) == "bucket_not_empty"


def test_an_upload(app: App, alice: str) -> None:
    reply = app("PUT", address("u/a.png"), alice, b"hello", {**PNG, "x-meta-album": "summer"})
    assert (reply.status_code, reply.json().keys()) == (201, OBJECT)
    found = reply.json()
    assert (found["bucket"], found["path"], found["size"]) == ("pics", "u/a.png", 5)
    assert found["checksum_sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert (found["content_type"], found["metadata"]) == ("image/png", {"album": "summer"})
    assert found["owner"] == app("GET", "/auth/me", alice).json()["id"]
    got = app("GET", address("u/a.png"), alice)
    assert (got.content, got.headers["x-meta-album"]) == (b"hello", "summer")
    assert got.headers["etag"] == f'"{found["etag"]}"'
    assert got.headers["x-content-type-options"] == "nosniff"
    events = app("GET", "/events?subject=pics/u/a.png", app.key).json()["items"]
    assert [event["type"] for event in events] == ["baas.storage.object.created"]
    assert events[0]["data"]["object"] == found


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "expected"),
    [
        ("big", b"x" * 5001, PNG, 403, "rule_denied"),
        ("page", b"x", {"Content-Type": "text/html"}, 415, "type_not_allowed"),
        ("a//b", b"x", PNG, 422, "invalid_path"),
        ("a/", b"x", PNG, 422, "invalid_path"),
        ("%2e%2e/a", b"x", PNG, 422, "invalid_path"),
        ("x" * 1025, b"x", PNG, 422, "invalid_path"),
        ("%ff", b"x", PNG, 400, "invalid_path"),
        ("", b"x", PNG, 404, "not_found"),
        ("sum", b"x", {**PNG, "Content-Digest": f"sha-256=:{'A' * 43}=:"}, 422, None),
    ],
)
def test_uploads_that_cannot_be(
    app: App,
    alice: str,
    path: str,
    body: bytes,
    headers: dict[str, str],
    status: int,
    expected: str | None,
) -> None:
    before = app.events()
    reply = app("PUT", address(path), alice, body, headers)
    assert (reply.status_code, code(reply)) == (status, expected or "checksum_mismatch")
    assert app.events() == before


def test_what_no_rule_allows(app: App) -> None:
    reply = put(app, app.key, "big", b"x" * 10_001)
    assert (reply.status_code, code(reply)) == (413, "object_too_large")


def test_who_may_not_write(app: App, bob: str) -> None:
    before = app.events()
    assert code(put(app, None, "x.png")) == "rule_denied"
    assert code(app("PUT", "/storage/closed/objects/a", bob, b"x")) == "rule_denied"
    assert code(app("PUT", "/storage/none/objects/a", bob, b"x")) == "bucket_not_found"
    assert app.events() == before


def test_only_new_ones(app: App, alice: str) -> None:
    put(app, alice, "once.png")
    again = app("PUT", address("once.png"), alice, b"x", {**PNG, "If-None-Match": "*"})
    assert (again.status_code, code(again)) == (412, "object_exists")
    assert app("GET", address("once.png"), alice).content == b"0123456789"


@pytest.fixture(scope="module")
def uploaded(app: App, alice: str) -> None:
    assert put(app, alice, "d.png").status_code == 201


@pytest.mark.usefixtures("uploaded")
class TestDownloads:
    @pytest.mark.parametrize(
        ("header", "status", "content", "content_range"),
        [
            ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
            ("bytes=5-", 206, b"56789", "bytes 5-9/10"),
            ("bytes=-3", 206, b"789", "bytes 7-9/10"),
            ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
            ("bytes=10-", 416, None, "bytes */10"),
            ("bytes=5-2", 200, b"0123456789", None),
            ("lines=1-2", 200, b"0123456789", None),
        ],
    )
    def test_ranges(
        self,
        app: App,
        alice: str,
        header: str,
        status: int,
        content: bytes | None,
        content_range: str | None,
    ) -> None:
        reply = app("GET", address("d.png"), alice, headers={"Range": header})
        assert reply.status_code == status
        assert reply.headers.get("content-range") == content_range
        if content is None:
            assert code(reply) == "range_not_satisfiable"
        else:
            assert reply.content == content

    def test_conditions_and_head(self, app: App, alice: str) -> None:
        whole = app("GET", address("d.png"), alice)
        etag, modified = whole.headers["etag"], whole.headers["last-modified"]
        for headers in ({"If-None-Match": etag}, {"If-Modified-Since": modified}):
            reply = app("GET", address("d.png"), alice, headers=headers)
            assert (reply.status_code, reply.content) == (304, b"")
        other = app("GET", address("d.png"), alice, headers={"If-None-Match": '"x"'})
        assert other.status_code == 200
        head = app("HEAD", address("d.png"), alice)
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "10")
        for name in ("etag", "last-modified", "content-type", "cache-control", "accept-ranges"):
            assert head.headers[name] == whole.headers[name]
        assert app("HEAD", address("none.png"), alice).status_code == 404

    def test_saved_under_a_name(self, app: App, alice: str) -> None:
        reply = app("GET", address('d.png?download=my "ä".png'), alice)
        assert reply.headers["content-disposition"].startswith("attachment;")
        assert "filename*=UTF-8''my%20%22%C3%A4%22.png" in reply.headers["content-disposition"]

    def test_what_is_not_built_is_not_ignored(self, app: App, alice: str) -> None:
        assert code(app("GET", address("d.png?width=10"), alice)) == "not_supported"
        assert code(app("GET", address("d.png?version=none"), alice)) == "object_not_found"
        version = put(app, alice, "v.png").json()["version"]
        assert app("GET", address(f"v.png?version={version}"), alice).status_code == 200

    def test_what_may_not_be_read_is_not_there(self, app: App, bob: str) -> None:
        hidden, missing = (app("GET", address(path), bob) for path in ("d.png", "none.png"))
        assert code(hidden) == code(missing) == "object_not_found"
        assert code(app("GET", "/storage/closed/objects/a", bob)) == "rule_denied"
        assert code(app("GET", "/storage/none/objects/a", bob)) == "bucket_not_found"


def test_deleting(app: App, alice: str, bob: str) -> None:
    put(app, alice, "public/del.png")
    before = app.events()
    refused = app("DELETE", address("public/del.png"), bob)
    assert (refused.status_code, code(refused)) == (403, "rule_denied")
    assert app.events() == before
    assert app("DELETE", address("public/del.png"), alice).status_code == 204
    assert code(app("DELETE", address("public/del.png"), alice)) == "object_not_found"
    path = "/events?subject=pics/public/del.png"
    kinds = [event["type"] for event in app("GET", path, app.key).json()["items"]]
    assert kinds == ["baas.storage.object.deleted", "baas.storage.object.created"]


def test_lists(app: App, alice: str, bob: str) -> None:
    for path in ("public/l/1", "public/l/2", "public/l/deep/3", "private/l/4"):
        assert put(app, alice, path).status_code == 201

    def listed(query: str, token: str | None) -> tuple[list[str], list[str], str | None]:
        page = app("GET", f"/storage/pics/objects?{query}", token).json()
        assert page.keys() == {"items", "prefixes", "next_cursor"}
        return [item["path"] for item in page["items"]], page["prefixes"], page["next_cursor"]

    whole = ["public/l/1", "public/l/2", "public/l/deep/3"]
    for token in (alice, bob, None):
        assert listed("prefix=public/l/", token) == (whole, [], None)
    folder = listed("prefix=public/l/&delimiter=/", bob)
    assert folder == (whole[:2], ["public/l/deep/"], None)
    assert listed("prefix=private/", bob) == ([], [], None)
    assert listed("prefix=private/", alice)[0] == ["private/l/4"]
    first, _, cursor = listed("prefix=public/l/&limit=2", bob)
    assert (first, listed(f"prefix=public/l/&cursor={cursor}", bob)[0]) == (whole[:2], whole[2:])
    assert code(app("GET", "/storage/closed/objects", bob)) == "rule_denied"


class TestForms:
    def post(self, app: App, token: str, path: str, **given: Any) -> httpx.Response:
        return app("POST", address(path), token, **given)

    def test_a_mini_programs_upload(self, app: App, alice: str) -> None:
        files = {"file": ("tmp.png", b"abc", "image/png")}
        reply = self.post(app, alice, "form.png", files=files, data={"key": "value"})
        assert (reply.status_code, reply.json().keys()) == (201, OBJECT)
        assert app("GET", address("form.png"), alice).content == b"abc"

    @pytest.mark.parametrize(
        ("given", "status", "expected"),
        [
            ({"files": {"upload": ("x", b"a", "image/png")}}, 422, "file_part_missing"),
            ({"files": [("file", ("x", b"a", "image/png"))] * 2}, 422, "too_many_files"),
            ({"files": {"file": ("x", b"a", "text/html")}}, 415, "type_not_allowed"),
            ({"files": {"file": ("x", b"a" * 20_000, "image/png")}}, 413, "object_too_large"),
            ({"body": b"abc", "headers": PNG}, 415, "unsupported_media_type"),
            (
                {"body": b"abc", "headers": {"Content-Type": "multipart/form-data"}},
                400,
                "malformed_form",
            ),
        ],
    )
    def test_refused(
        self, app: App, alice: str, given: dict[str, Any], status: int, expected: str
    ) -> None:
        before = app.events()
        reply = self.post(app, alice, "bad-form", **given)
        assert (reply.status_code, code(reply)) == (status, expected)
        assert code(app("GET", address("bad-form"), alice)) == "object_not_found"
        assert app.events() == before


def test_copy_move_delete_many_and_sign(app: App, alice: str, bob: str) -> None:
    put(app, alice, "cm/a.png")
    copied = app("POST", "/storage/pics/copy", alice, {"from": "cm/a.png", "to": "cm/b.png"})
    assert (copied.status_code, copied.json()["path"]) == (201, "cm/b.png")
    moved = app("POST", "/storage/pics/move", alice, {"from": "cm/b.png", "to": "cm/c.png"})
    assert (moved.status_code, moved.json()["path"]) == (200, "cm/c.png")
    assert app("GET", address("cm/b.png"), alice).status_code == 404
    skipped = app("POST", "/storage/pics/delete", bob, {"prefix": "cm/"})
    assert skipped.json() == {"deleted": 0}
    gone = app("POST", "/storage/pics/delete", alice, {"paths": ["cm/c.png", "none"]})
    assert gone.json() == {"deleted": 1}
    signed = app("POST", "/storage/pics/sign", alice, {"path": "cm/a.png", "expires_in": 60})
    assert signed.json().keys() == {"url", "expires_at"}
    url = signed.json()["url"]
    assert app.client.get(url).content == b"0123456789"
    for reply in (app.client.put(url, content=b"x"), app.client.get(url.replace("a.png", "x"))):
        assert (reply.status_code, code(reply)) == (403, "invalid_signature")
    assert code(app("POST", "/storage/pics/sign", bob, {"path": "cm/a.png"})) == "object_not_found"


def test_a_repeated_upload(app: App, alice: str) -> None:
    headers = {**PNG, "Idempotency-Key": "upload-1"}
    first = app("PUT", address("idem.png"), alice, b"x", headers)
    again = app("PUT", address("idem.png"), alice, b"x", headers)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    other = app("PUT", address("idem.png"), alice, b"y", headers)
    assert (other.status_code, code(other)) == (422, "idempotency_key_reused")
    events = app("GET", "/events?subject=pics/idem.png", app.key).json()["items"]
    assert len(events) == 1
