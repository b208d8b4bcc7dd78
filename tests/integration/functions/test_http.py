"""Functions behind addresses of their own."""

import base64
from typing import Any

import pytest

from functions.runtypes import RunSpec

from .conftest import FakeRunner, Functions


def echo(event: Any, spec: RunSpec) -> Any:
    return event


def call(functions: Functions, method: str, path: str, **more: Any) -> Any:
    return functions.client.request(method, f"{functions.project.path}/http{path}", **more)


@pytest.fixture
def bound(functions: Functions) -> Functions:
    functions.deploy("f", echo, rules={"invoke": "public"})
    functions.trigger("orders", "f", {"type": "http", "path": "/orders/{id}"})
    functions.trigger("new", "f", {"type": "http", "path": "/orders/new", "methods": ["post"]})
    return functions


def test_the_function_gets_the_request(bound: Functions) -> None:
    reply = call(
        bound,
        "PUT",
        "/orders/7?a=1&b=2&b=3",
        body=b'{"n": 1}',
        token=bound.project.secret_key,
        headers={"X-Custom": "yes"},
    )
    event = reply.json
    assert (event["method"], event["path"], event["params"]) == ("PUT", "/orders/7", {"id": "7"})
    assert event["query"] == {"a": "1", "b": ["2", "3"]}
    assert (event["body"], event["is_base64"]) == ('{"n": 1}', False)
    assert event["headers"]["x-custom"] == "yes"
    assert event["headers"]["content-type"] == "application/json"
    assert "authorization" not in event["headers"]
    assert bound.project.secret_key not in reply.body.decode()


def test_binary_bodies_come_as_base64(bound: Functions) -> None:
    event = call(bound, "POST", "/orders/7", body=b"\xff\xfe\x00").json
    assert event["is_base64"]
    assert base64.b64decode(event["body"]) == b"\xff\xfe\x00"


def test_literal_paths_win_and_methods_are_told_apart(bound: Functions) -> None:
    assert call(bound, "POST", "/orders/new").json["params"] == {}
    # A literal path hides no other one from methods that it does not take.
    assert call(bound, "GET", "/orders/new").json["params"] == {"id": "new"}
    bound.trigger("only", "f", {"type": "http", "path": "/only", "methods": ["post"]})
    reply = call(bound, "GET", "/only")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert call(bound, "GET", "/orders/7/items").code == "http_route_not_found"


@pytest.mark.parametrize(
    ("result", "status", "body", "content_type"),
    [
        ({"status": 201, "body": "made"}, 201, b"made", "text/plain; charset=utf-8"),
        ({"status": 200, "body": {"a": 1}}, 200, b'{"a":1}', "application/json"),
        ({"status": 204, "body": "x"}, 204, b"", None),
        (
            {"status": 200, "headers": {"Content-Type": "text/html"}, "body": "<p>"},
            200,
            b"<p>",
            "text/html",
        ),
        (
            {"status": 200, "body": "AAE=", "is_base64": True},
            200,
            b"\0\1",
            "application/octet-stream",
        ),
        ({"status": "open", "id": 1}, 200, b'{"status": "open", "id": 1}', "application/json"),
        ([1, 2], 200, b"[1, 2]", "application/json"),
        (None, 200, b"null", "application/json"),
    ],
)
def test_the_result_is_the_reply(
    functions: Functions, result: Any, status: int, body: bytes, content_type: str | None
) -> None:
    functions.deploy("f", lambda e, s: result, rules={"invoke": "public"})
    functions.trigger("t", "f", {"type": "http", "path": "/x"})
    reply = call(functions, "GET", "/x")
    assert (reply.status, reply.body) == (status, body)
    assert reply.headers.get("content-type") == content_type
    assert reply.headers["content-security-policy"].startswith("sandbox")


@pytest.mark.parametrize(
    "result",
    [
        {"status": 99},
        {"status": 999},
        {"status": 200, "headers": {"a b": "x"}},
        {"status": 200, "headers": {"x": "a\r\nSet-Cookie: b"}},
        {"status": 200, "headers": {"x": "\u4e2d"}},
        {"status": 200, "headers": [1]},
        {"status": 200, "body": "?", "is_base64": True},
    ],
)
def test_a_reply_that_is_none_is_the_functions_fault(functions: Functions, result: Any) -> None:
    functions.deploy("f", lambda e, s: result, rules={"invoke": "public"})
    functions.trigger("t", "f", {"type": "http", "path": "/x"})
    reply = call(functions, "GET", "/x")
    assert (reply.status, reply.code) == (502, "function_invalid_response")


def test_headers_between_us_and_the_client_are_ours(functions: Functions) -> None:
    result = {"status": 200, "body": "x", "headers": {"Content-Length": "99", "X-A": ["1", "2"]}}
    functions.deploy("f", lambda e, s: result, rules={"invoke": "public"})
    functions.trigger("t", "f", {"type": "http", "path": "/x"})
    reply = call(functions, "GET", "/x")
    assert reply.headers["content-length"] == "1"


def test_the_rule_applies_unless_the_trigger_is_open(
    functions: Functions, runner: FakeRunner
) -> None:
    functions.deploy("f", echo)
    functions.trigger("closed", "f", {"type": "http", "path": "/closed"})
    functions.trigger("open", "f", {"type": "http", "path": "/open", "auth": "none"})
    reply = call(functions, "GET", "/closed")
    assert (reply.status, reply.code) == (403, "rule_denied")
    assert runner.specs == []
    assert functions.project.events() == []
    assert call(functions, "GET", "/open").status == 200


@pytest.mark.parametrize(
    "source",
    [
        {"path": "orders"},
        {"path": "/"},
        {"path": "/a//b"},
        {"path": "/{Id}"},
        {"path": "/x", "methods": []},
        {"path": "/x", "methods": ["TRACE"]},
        {"path": "/x", "auth": "maybe"},
    ],
)
def test_it_refuses_an_address_that_cannot_be(functions: Functions, source: Any) -> None:
    functions.deploy("f", echo)
    reply = functions.client.put(
        f"{functions.project.path}/triggers/t",
        {"function": "f", "source": {"type": "http", **source}},
        token=functions.project.secret_key,
    )
    assert (reply.status, reply.code) == (422, "invalid")
