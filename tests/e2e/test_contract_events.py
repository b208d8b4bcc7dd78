"""The contract, "Triggers, events, deliveries": shapes, retries, dead letters, HTTP triggers."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .conftest import Stack, wait_until
from .contract import App, code

RECORD = """
def handler(event, context):
    context.baas.db.collection("runs").create(
        {"event": event, "auth": context.auth, "attempt": context.attempt,
         "trace": context.trace_id, "function": context.function})
"""
FLAKY = """
def handler(event, context):
    if context.attempt < event["data"]["good"]:
        raise RuntimeError(f"attempt {context.attempt}")
    return context.attempt
"""
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        app.deploy("record", RECORD, invoke="closed")
        app.deploy("flaky", FLAKY, invoke="closed")
        app.deploy("echo", "def handler(event, context):\n    return event", signature="http")
        app("PUT", "/buckets/bk", app.key, {})
        things = {"type": "db", "collection": "things"}
        files = {"type": "storage", "bucket": "bk", "prefix": "in/", "suffix": ".txt"}
        acme = {"type": "event", "event_type": "com.acme.*"}
        retry = {"max_attempts": 3, "max_age_s": 60, "backoff_s": 0.05}
        for name, body in {
            "things": {"function": "record", "source": things},
            "files": {"function": "record", "source": files},
            "users": {"function": "record", "source": {"type": "auth", "operations": ["sign_up"]}},
            "acme": {"function": "record", "source": acme, "filter": "event.data.n > 1"},
            "flaky": {
                "function": "flaky",
                "source": {"type": "event", "event_type": "com.flaky"},
                "retry": retry,
            },
        }.items():
            reply = app("PUT", f"/triggers/{name}", app.key, body)
            assert reply.status_code == 201, reply.text
        yield app


def event(kind: str, data: Any, **more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "1", "source": "/me", "type": kind, "data": data, **more}


def publish(app: App, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    return app("POST", "/events", app.key, json.dumps(body).encode(), headers or STRUCTURED)


def runs(app: App, subject: str, count: int) -> list[dict[str, Any]]:
    body = {"filter": {"event.subject": subject}, "sort": ["event.time"]}

    def found() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = app("POST", "/db/runs/query", app.key, body).json()["items"]
        return items if len(items) >= count else []

    items: list[dict[str, Any]] = wait_until(found, 20, f"{count} runs for {subject}")
    assert len(items) == count
    return items


def deliveries(app: App, kind: str, state: str) -> list[dict[str, Any]]:
    def found() -> list[dict[str, Any]]:
        path = f"/deliveries?state={state}&function=flaky&limit=1000"
        items = app("GET", path, app.key).json()["items"]
        return [item for item in items if item["event"].get("subject") == kind]

    items: list[dict[str, Any]] = wait_until(found, 20, f"a delivery {state}")
    return items


def test_documents_as_cloudevents(app: App) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    address = "/db/things/docs/one"
    made = app("PUT", address, app.key, {"n": 1}, headers).json()
    changed = app("PATCH", address, app.key, {"n": 2}, headers).json()
    app("PATCH", address, app.key, {"n": 2}, headers)  # changes nothing
    app("DELETE", address, app.key, headers=headers)
    found = runs(app, "things/one", 3)
    assert {run["trace"] for run in found} == {trace}
    assert [(run["auth"], run["attempt"]) for run in found] == [(None, 1)] * 3
    created, updated, deleted = (run["event"] for run in found)
    for one, kind in ((created, "created"), (updated, "updated"), (deleted, "deleted")):
        assert one["specversion"] == "1.0"
        assert one["type"] == f"baas.db.document.{kind}"
        assert (one["project"], one["depth"]) == (app.slug, 0)
        assert one["source"] == f"/projects/{app.slug}/db/things"
        assert one["datacontenttype"] == "application/json"
        assert one["traceparent"].split("-")[1] == trace
    assert created["data"] == {"document": made}
    assert updated["data"] == {"document": changed, "before": made}
    assert deleted["data"] == {"before": changed}


def test_objects_and_users(app: App) -> None:
    app("PUT", "/storage/bk/objects/in/a.bin", app.key, b"x")
    app("PUT", "/storage/bk/objects/out/a.txt", app.key, b"x")
    kept = app("PUT", "/storage/bk/objects/in/a.txt", app.key, b"x").json()
    (run,) = runs(app, "bk/in/a.txt", 1)
    assert run["event"]["type"] == "baas.storage.object.created"
    assert run["event"]["data"] == {"object": kept}
    uid = app.sign_up()["user"]["id"]
    (run,) = runs(app, uid, 1)
    assert run["event"]["type"] == "baas.auth.user.created"
    assert run["event"]["data"]["object"]["id"] == uid
    body = {"filter": {"event.subject": {"$in": ["bk/in/a.bin", "bk/out/a.txt"]}}}
    assert app("POST", "/db/runs/count", app.key, body).json() == {"total": 0}


def test_custom_events_in_three_modes(app: App) -> None:
    few = event("com.acme.a", {"n": 1}, subject="filtered")
    batch = [event("com.acme.b", {"n": 2}, subject="batched", id="b1"), few]
    assert publish(app, event("com.acme.a", {"n": 2}, subject="structured")).status_code == 202
    assert publish(app, batch, BATCH).status_code == 202
    attributes = {"specversion": "1.0", "id": "x", "source": "/me", "type": "com.acme.c"}
    headers = {f"ce-{name}": value for name, value in attributes.items()}
    headers |= {"ce-subject": "binary", "Content-Type": "application/json"}
    assert publish(app, {"n": 9}, headers).status_code == 202
    for subject, n in (("structured", 2), ("batched", 2), ("binary", 9)):
        (run,) = runs(app, subject, 1)
        assert run["event"]["data"] == {"n": n}
        assert (run["event"]["source"], run["event"]["project"]) == ("/me", app.slug)
    assert app(
        "POST", "/db/runs/count", app.key, {"filter": {"event.subject": "filtered"}}
    ).json() == {"total": 0}
    listed = app("GET", "/events?type=com.acme.*", app.key).json()["items"]
    assert len(listed) == 4
    assert all("subject" not in one for one in listed if not one.get("subject"))


def test_an_event_without_a_subject_has_none(app: App) -> None:
    assert publish(app, event("com.nobody", 1)).status_code == 202
    (shown,) = app("GET", "/events?type=com.nobody", app.key).json()["items"]
    assert "subject" not in shown  # CloudEvents: absent or not empty


@pytest.mark.parametrize(
    ("body", "headers", "status", "expected"),
    [
        ({}, STRUCTURED, 422, "invalid_event"),
        ({**event("com.x", 1), "specversion": "0.3"}, STRUCTURED, 422, "invalid_event"),
        ({**event("com.x", 1), "source": ""}, STRUCTURED, 422, "invalid_event"),
        (event("baas.db.document.created", {}), STRUCTURED, 422, "reserved_event_type"),
        ([event("com.x", 1)] * 501, BATCH, 422, "batch_too_large"),
        ({}, {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    ],
)
def test_events_that_cannot_be(
    app: App, body: Any, headers: dict[str, str], status: int, expected: str
) -> None:
    reply = publish(app, body, headers)
    assert (reply.status_code, code(reply)) == (status, expected)
    assert app("GET", "/events?type=com.x", app.key).json()["items"] == []


def test_events_are_for_the_privileged(app: App) -> None:
    body = json.dumps(event("com.refused", 1)).encode()
    token = app.token()
    assert code(app("POST", "/events", token, body, STRUCTURED)) == "rule_denied"
    assert code(app("POST", "/events", None, body, STRUCTURED)) == "authentication_required"
    for path in ("/events", "/deliveries", "/triggers"):
        assert code(app("GET", path, token)) == "rule_denied"
        assert code(app("GET", path)) == "authentication_required"
    assert app("GET", "/events?type=com.refused", app.key).json()["items"] == []


def test_a_retry_succeeds(app: App) -> None:
    publish(app, event("com.flaky", {"good": 3}, subject="retried"))
    (found,) = deliveries(app, "retried", "succeeded")
    assert (found["trigger"], found["attempts"]) == ("flaky", 3)
    assert [error["message"] for error in found["errors"]] == ["attempt 1", "attempt 2"]
    assert found["event"]["data"] == {"good": 3}


def test_dead_letters_are_redriven_and_purged(app: App) -> None:
    for subject in ("dead1", "dead2"):
        publish(app, event("com.flaky", {"good": 99}, subject=subject))
    (first,), (second,) = deliveries(app, "dead1", "dead"), deliveries(app, "dead2", "dead")
    assert (first["attempts"], first["reason"]) == (3, "attempts_exhausted")
    purged = app("POST", "/deliveries:purge", app.key, {"ids": [second["id"]]})
    assert purged.json() == {"count": 1}
    app.deploy("flaky", FLAKY.replace('event["data"]["good"]', "0"), invoke="closed")
    redriven = app("POST", "/deliveries:redrive", app.key, {"function": "flaky"})
    assert redriven.json() == {"count": 1}
    assert deliveries(app, "dead1", "succeeded")[0]["id"] == first["id"]
    assert app("POST", "/deliveries:redrive", app.key, {"function": "flaky"}).json()["count"] == 0
    app.deploy("flaky", FLAKY, invoke="closed")


@pytest.mark.parametrize("body", [{}, {"ids": "x"}, {"ids": [], "function": "flaky"}])
def test_redrives_that_cannot_be(app: App, body: Any) -> None:
    assert code(app("POST", "/deliveries:redrive", app.key, body)) == "invalid"


SOURCE = {"type": "event", "event_type": "com.x"}


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({"function": "none", "source": SOURCE}, 404, "function_not_found"),
        ({"function": "record", "source": SOURCE, "alias": "none"}, 422, "alias_not_found"),
        ({"function": "record", "source": SOURCE, "filter": "(("}, 422, "invalid_filter"),
        ({"function": "record", "source": SOURCE, "retry": {"max_attempts": 0}}, 422, "invalid"),
        ({"function": "record", "source": SOURCE, "colour": 1}, 422, "invalid"),
        ({"function": "record"}, 422, "invalid"),
        ({"function": "record", "source": {"type": "none"}}, 422, "invalid"),
        ({"function": "record", "source": {"type": "db"}}, 422, "invalid"),
        (
            {
                "function": "record",
                "source": {"type": "db", "collection": "a", "operations": ["x"]},
            },
            422,
            "invalid",
        ),
        (
            {"function": "record", "source": {"type": "timer", "cron": "* * * * *"}},
            422,
            "trigger_source_not_available",
        ),
    ],
)
def test_triggers_that_cannot_be(app: App, body: Any, status: int, expected: str) -> None:
    reply = app("PUT", "/triggers/wrong", app.key, body)
    assert (reply.status_code, code(reply)) == (status, expected)
    assert code(app("GET", "/triggers/wrong", app.key)) == "trigger_not_found"


def test_a_triggered_function_is_in_use(app: App) -> None:
    refused = app("DELETE", "/functions/record", app.key)
    assert (refused.status_code, code(refused)) == (409, "function_in_use")


def test_chains_end(app: App) -> None:
    loop = "def handler(event, context):\n    context.baas.events.publish('com.loop', {})"
    app.deploy("loop", loop, invoke="closed")
    source = {"type": "event", "event_type": "com.loop"}
    app("PUT", "/triggers/loop", app.key, {"function": "loop", "source": source})
    publish(app, event("com.loop", {}))

    def dead() -> Any:
        return app("GET", "/deliveries?state=dead&function=loop", app.key).json()["items"]

    (end,) = wait_until(dead, 20, "the end of the chain")
    assert (end["reason"], end["attempts"]) == ("depth_exceeded", 0)
    ran = app("GET", "/deliveries?state=succeeded&function=loop", app.key).json()["items"]
    assert len(ran) == 8


@pytest.fixture(scope="module")
def bound(app: App) -> None:
    page = "return {'status': 201, 'headers': {'x-y': 'z'}, 'body': 'hi'}"
    app.deploy("page", f"def handler(event, context):\n    {page}", invoke="closed")
    app.deploy("wrong", "def handler(event, context):\n    return {'status': 99}")
    for name, function, path, methods, auth in (
        ("orders", "echo", "/orders/{id}", ["GET", "POST"], "rules"),
        ("page", "page", "/page", ["GET"], "rules"),
        ("open", "page", "/open", ["GET"], "none"),
        ("wrong", "wrong", "/wrong", ["GET"], "rules"),
    ):
        source = {"type": "http", "path": path, "methods": methods, "auth": auth}
        body = {"function": function, "source": source}
        assert app("PUT", f"/triggers/{name}", app.key, body).status_code == 201


@pytest.mark.usefixtures("bound")
class TestHttp:
    def test_what_the_function_receives(self, app: App) -> None:
        session = app.sign_up()
        headers = {"Content-Type": "application/x-bin", "X-Foo": "bar"}
        path, token = "/http/orders/7?a=1&a=2&b=3", session["access_token"]
        got = app("POST", path, token, b"\xff\x00", headers).json()
        assert got.keys() == {
            *("method", "path", "params", "headers", "query", "body", "is_base64", "auth")
        }
        assert (got["method"], got["path"], got["params"]) == ("POST", "/orders/7", {"id": "7"})
        assert got["query"] == {"a": ["1", "2"], "b": "3"}
        assert (got["body"], got["is_base64"]) == ("/wA=", True)
        assert (got["headers"]["x-foo"], "authorization" in got["headers"]) == ("bar", False)
        assert got["auth"]["uid"] == session["user"]["id"]
        assert app("GET", "/http/orders/7").json()["auth"] is None

    def test_what_it_answers(self, app: App) -> None:
        reply = app("GET", "/http/open")
        assert (reply.status_code, reply.text, reply.headers["x-y"]) == (201, "hi", "z")

    @pytest.mark.parametrize(
        ("method", "path", "status", "expected"),
        [
            ("GET", "/http/none", 404, "http_route_not_found"),
            ("DELETE", "/http/orders/7", 405, "method_not_allowed"),
            ("GET", "/http/page", 403, "rule_denied"),
            ("GET", "/http/wrong", 502, "function_invalid_response"),
        ],
    )
    def test_refused(self, app: App, method: str, path: str, status: int, expected: str) -> None:
        reply = app(method, path)
        assert (reply.status_code, code(reply)) == (status, expected)
