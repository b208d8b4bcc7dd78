"""The contract, "Common" and "Health": what holds at every address."""

import re
import secrets
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .conftest import Stack
from .contract import App, code

TOO_DEEP = b'{"a":' * 101 + b"1" + b"}" * 101
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        rules = {"read": "public", "create": "public"}
        assert app("PUT", "/collections/open", app.key, {"rules": rules}).status_code == 201
        assert app("PUT", "/buckets/b", app.key, {}).status_code == 201
        app.deploy("f", "def handler(event, context): ...")
        yield app


def test_health_and_meta(app: App) -> None:
    assert app("GET", "/healthz").json() == {"status": "ok"}
    ready = app("GET", "/readyz")
    assert ready.status_code == 200
    assert ready.json()["failing"] == []
    assert ready.json()["parts"].keys() == {
        "database",
        "redis",
        "object_store",
        "function_host",
    }
    metrics = app.client.get("/metrics")
    assert "baas_http_request_duration_seconds" in metrics.text
    assert re.search(r"^baas_event_drift 0(\.0)?$", metrics.text, re.M)
    document = app("GET", "/v1/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert "/v1/projects/{project}/db/{collection}/docs" in document["paths"]


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("POST", "/v1/nothing", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/projects/none-such/db/c/docs", 404, "project_not_found"),
        ("GET", "/v1/projects/none-such/nothing", 404, "project_not_found"),
        ("GET", "/v1/projects/UPPER/settings", 404, "project_not_found"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("GET", "/db/open/query", 405, "method_not_allowed"),
        ("PUT", "/auth/me", 405, "method_not_allowed"),
        ("TRACE", "/db/open/docs", 405, "method_not_allowed"),
    ],
)
def test_where_nothing_is(app: App, method: str, path: str, status: int, expected: str) -> None:
    reply = app(method, path)
    assert (reply.status_code, code(reply)) == (status, expected)
    if status == 405 and method != "TRACE":
        assert method not in reply.headers["allow"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "expected"),
    [
        (b"{bad", JSON, 400, "malformed_json"),
        (b"", JSON, 400, "malformed_json"),
        (b'{"a": NaN}', JSON, 400, "malformed_json"),
        (b'{"a": "\xff"}', JSON, 400, "malformed_json"),
        (b'"text"', JSON, 400, "malformed_request"),
        (TOO_DEEP, JSON, 400, "nesting_too_deep"),
        (b'{"a": "' + b"x" * 1_048_576 + b'"}', JSON, 413, "body_too_large"),
        (b"a=b", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b"{}", {**JSON, "Idempotency-Key": "x" * 256}, 400, "invalid_idempotency_key"),
    ],
)
def test_bodies_that_cannot_be(
    app: App, body: bytes, headers: dict[str, str], status: int, expected: str
) -> None:
    before = app.events()
    reply = app("POST", "/db/open/docs", app.key, body, headers)
    assert (reply.status_code, code(reply)) == (status, expected)
    assert app.events() == before


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer x",
        "Basic YTpi",
        "Bearer a.b.c",
        "Bearer sk_nonsense",
        "Bearer pat_nonsense",
        "Bearer inv_nonsense",
        "Bearer " + "x" * 5000,
    ],
)
@pytest.mark.parametrize("path", ["/db/open/docs", "/collections", "/auth/me"])
def test_a_wrong_token_is_never_anonymous(app: App, authorization: str, path: str) -> None:
    reply = app("GET", path, headers={"Authorization": authorization})
    assert (reply.status_code, code(reply)) == (401, "invalid_token")
    assert reply.headers["www-authenticate"].startswith("Bearer")


def test_another_projects_tokens_are_refused(app: App, stack: Stack) -> None:
    with App(stack) as other:
        tokens = other.key, other.token()
    for token in tokens:
        reply = app("GET", "/db/open/docs", token)
        assert (reply.status_code, code(reply)) == (401, "invalid_token")


def test_request_ids_and_traces(app: App) -> None:
    assert app("GET", "/db/open/docs").headers["x-request-id"]
    given = app("GET", "/db/open/docs", headers={"X-Request-Id": "my-request-1"})
    assert given.headers["x-request-id"] == "my-request-1"
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    made = app("POST", "/db/open/docs", app.key, {}, headers).json()
    events = app("GET", f"/events?subject=open/{made['_id']}", app.key).json()["items"]
    assert [event["traceparent"].split("-")[1] for event in events] == [trace]


@pytest.mark.parametrize(
    "path", ["/db/open/docs", "/users", "/collections", "/events", "/functions"]
)
@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001", "1.5", ""])
def test_limits_of_lists(app: App, path: str, limit: str) -> None:
    token = app.operator if path.startswith("/v1/") else app.key
    reply = app("GET", f"{path}?limit={limit}", token)
    assert (reply.status_code, code(reply)) == (422, "invalid_limit")
    page = app("GET", f"{path}?limit=1000", token)
    assert (page.status_code, page.json().keys() - {"prefixes"}) == (200, {"items", "next_cursor"})
    assert code(app("GET", f"{path}?cursor=!", token)) == "invalid_cursor"


def test_pages_follow_one_another(app: App) -> None:
    for number in range(5):
        app("PUT", f"/collections/page{number}", app.key, {})
    seen: list[str] = []
    path = "/collections?limit=2"
    while True:
        page = app("GET", path, app.key).json()
        assert page.keys() == {"items", "next_cursor"}
        seen += [item["name"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        path = f"/collections?limit=2&cursor={page['next_cursor']}"
    assert len(seen) == len(set(seen))
    assert set(seen) >= {f"page{number}" for number in range(5)}
    assert code(app("GET", "/collections?cursor=zzz", app.key)) == "invalid_cursor"


class TestIdempotency:
    def send(self, app: App, key: str, body: Any, path: str = "/db/idem/docs") -> httpx.Response:
        return app("POST", path, app.key, body, {"Idempotency-Key": key})

    def test_a_repeat_gets_the_first_reply(self, app: App) -> None:
        key = secrets.token_hex(4)
        first, again = self.send(app, key, {"a": 1}), self.send(app, key, {"a": 1})
        assert first.status_code == again.status_code == 201
        assert first.content == again.content
        assert first.headers["etag"] == again.headers["etag"]
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"

    def test_another_body_is_refused(self, app: App) -> None:
        key = secrets.token_hex(4)
        self.send(app, key, {"a": 1})
        reused = self.send(app, key, {"a": 2})
        assert (reused.status_code, code(reused)) == (422, "idempotency_key_reused")

    def test_another_path_or_caller_is_another_request(self, app: App) -> None:
        key = secrets.token_hex(4)
        first = self.send(app, key, {"a": 1}).json()["_id"]
        second = self.send(app, key, {"a": 1}, "/db/idem2/docs").json()["_id"]
        headers = {"Idempotency-Key": key}
        third = app("POST", "/db/idem/docs", app.operator, {"a": 1}, headers).json()["_id"]
        assert len({first, second, third}) == 3

    def test_refusals_are_repeated_too(self, app: App) -> None:
        key = secrets.token_hex(4)
        first, again = self.send(app, key, {"$a": 1}), self.send(app, key, {"$a": 1})
        assert (code(first), code(again)) == ("invalid_field_name", "invalid_field_name")

    def test_parallel_repeats_wait_for_the_first(self, app: App) -> None:
        key, replies = secrets.token_hex(4), []
        collection = f"par{secrets.token_hex(3)}"

        def send() -> None:
            replies.append(
                httpx.post(
                    f"{app.stack.url}{app.path}/db/{collection}/docs",
                    json={"a": 1},
                    headers={"Authorization": f"Bearer {app.key}", "Idempotency-Key": key},
                    timeout=30,
                    trust_env=False,
                )
            )

        threads = [threading.Thread(target=send) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {reply.status_code for reply in replies} == {201}
        assert len({reply.json()["_id"] for reply in replies}) == 1
        assert sum("idempotency-replayed" in reply.headers for reply in replies) == 5
        assert app("POST", f"/db/{collection}/count", app.key, {}).json() == {"total": 1}

    def test_the_control_plane_keeps_it(self, app: App) -> None:
        key = {"Idempotency-Key": secrets.token_hex(4)}
        first = app("PUT", "/collections/idemc", app.key, {}, key)
        again = app("PUT", "/collections/idemc", app.key, {}, key)
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.headers["idempotency-replayed"] == "true"


def test_cors_answers_listed_origins_only(app: App) -> None:
    listed, other = "https://app.example", "https://other.example"
    assert app("PATCH", "/settings", app.key, {"cors_origins": [listed]}).status_code == 200
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-a"}
    for path in ("/db/open/docs", "/settings"):
        preflight = app("OPTIONS", path, headers={"Origin": listed, **asked})
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == listed
        assert "PUT" in preflight.headers["access-control-allow-methods"]
        assert preflight.headers["access-control-allow-headers"] == "x-a"
        assert "Origin" in preflight.headers["vary"]
        reply = app("GET", path, app.key, headers={"Origin": listed})
        assert reply.headers["access-control-allow-origin"] == listed
        for headers in ({"Origin": other}, {"Origin": "null"}):
            for method in ("OPTIONS", "GET"):
                refused = app(method, path, app.key, headers={**headers, **asked})
                assert "access-control-allow-origin" not in refused.headers
    problem = app("GET", "/db/secret/docs", headers={"Origin": listed})
    assert problem.headers["access-control-allow-origin"] == listed  # else apps cannot read it


def test_head_is_get_without_a_body(app: App) -> None:
    made = app("POST", "/db/open/docs", app.key, {"a": 1}).json()["_id"]
    for path in (f"/db/open/docs/{made}", "/settings"):
        get, head = app("GET", path, app.key), app("HEAD", path, app.key)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(get.content))


@pytest.mark.parametrize(
    ("method", "path", "size", "status"),
    [
        ("POST", "/db/_a/docs", 2, 422),
        ("PUT", "/storage/none/objects/", 1, 404),
        ("POST", "/v1/projects/none-such/db/c/docs", 2000, 404),
        ("POST", "/db/open/docs", 1_200_000, 413),
        ("PUT", "/storage/none/objects/a", 1_200_000, 404),
        ("PUT", "/storage/none/objects/a", 12_000_000, 404),
    ],
)
def test_a_refusal_arrives_whatever_the_body(
    app: App, method: str, path: str, size: int, status: int
) -> None:
    # Answered before the body was read, these were a 503 of the proxy now and then.
    replies = [app(method, path, app.key, b"x" * size, JSON) for _ in range(15)]
    assert {reply.status_code for reply in replies} == {status}
