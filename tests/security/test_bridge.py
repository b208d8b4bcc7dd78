"""`context.baas`: what is forwarded, as whom, and what is not."""

import json
import threading
import time

import pytest

from tests.security.api_server import Answer, ApiServer, Request
from tests.security.harness import Host

RAW = """
import json, socket, struct
def ask(context, **header):
    # Speaks to the host itself, without the honest client.
    base = {"invocation_id": context.invocation_id, "method": "GET", "path": "/db/c/docs/x",
            "content_type": "application/json"}
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, 4)
    try:
        packed = json.dumps({**base, **header}).encode()
        sock.sendall(struct.pack(">I", len(packed)) + packed)
        (size,) = struct.unpack(">I", sock.recv(4, socket.MSG_WAITALL))
        answer = json.loads(sock.recv(size, socket.MSG_WAITALL))
        body = sock.recv(answer.get("body", 0), socket.MSG_WAITALL) if answer.get("body") else b""
        return answer["status"], body.decode()
    finally:
        sock.detach()
"""


def test_each_method_asks_for_the_route_of_the_contract(host: Host, api: ApiServer) -> None:
    def respond(request: Request) -> Answer:
        return 200, b'{"items": [], "results": []}'

    api.respond = respond
    text = """
    def handler(event, context):
        b = context.baas
        c = b.db.collection("a-b")
        c.create({"x": 1}); c.get("id/1")
        c.query({"x": {"$gt": 1}}, sort="-x", limit=5, cursor="q")
        c.update("i", {"$inc": {"x": 1}}); c.set("i", {}); c.delete("i")
        c.aggregate([{"$match": {}}])
        b.db.commit([{"op": "delete", "collection": "c", "id": "i"}])
        b.storage.upload("bk", "a b/c.txt", b"hello", content_type="text/plain")
        b.storage.download("bk", "a b/c.txt"); b.storage.delete("bk", "f")
        b.storage.list("bk", prefix="a/")
        b.storage.sign("bk", "f", expires_in=60)
        b.functions.invoke("other", [1]); b.events.publish("com.acme.x", {"k": 1}, subject="s")
        b.queues.send("q1", {"m": 1})
    """
    host.value(text, token="tok-1", trace_id="ab" * 16)
    p = "/v1/projects/alice-app"
    assert [(r.method, r.path) for r in api.requests] == [
        ("POST", f"{p}/db/a-b/docs"),
        ("GET", f"{p}/db/a-b/docs/id%2F1"),
        ("POST", f"{p}/db/a-b/query"),
        ("PATCH", f"{p}/db/a-b/docs/i"),
        ("PUT", f"{p}/db/a-b/docs/i"),
        ("DELETE", f"{p}/db/a-b/docs/i"),
        ("POST", f"{p}/db/a-b/aggregate"),
        ("POST", f"{p}/db/commit"),
        ("PUT", f"{p}/storage/bk/objects/a%20b/c.txt"),
        ("GET", f"{p}/storage/bk/objects/a%20b/c.txt"),
        ("DELETE", f"{p}/storage/bk/objects/f"),
        ("GET", f"{p}/storage/bk/objects?prefix=a%2F"),
        ("POST", f"{p}/storage/bk/sign"),
        ("POST", f"{p}/functions/other:invoke"),
        ("POST", f"{p}/events"),
        ("POST", f"{p}/queues/q1/messages"),
    ]
    assert {r.headers["authorization"] for r in api.requests} == {"Bearer tok-1"}
    assert all(r.headers["traceparent"].startswith("00-" + "ab" * 16) for r in api.requests)
    assert json.loads(api.requests[2].body) == {
        "filter": {"x": {"$gt": 1}},
        "sort": "-x",
        "limit": 5,
        "cursor": "q",
    }
    assert api.requests[8].headers["content-type"] == "text/plain"
    assert api.requests[8].body == b"hello"
    assert api.requests[14].headers["content-type"] == "application/cloudevents+json"


def test_a_problem_becomes_an_exception_and_a_missing_document_none(
    host: Host, api: ApiServer
) -> None:
    def respond(request: Request) -> Answer:
        code = "document_not_found" if request.method == "GET" else "rule_denied"
        return 404 if request.method == "GET" else 403, json.dumps(
            {"code": code, "detail": "No."}
        ).encode()

    api.respond = respond
    text = """
    from baas import BaasError
    def handler(event, context):
        c = context.baas.db.collection("c")
        try:
            c.create({})
        except BaasError as e:
            return [c.get("x"), e.status, e.code, e.detail]
    """
    assert host.value(text) == [None, 403, "rule_denied", "No."]


def test_large_bodies_pass_in_both_directions(host: Host, api: ApiServer) -> None:
    api.respond = lambda request: (200, b"z" * (20 << 20))
    text = """
    def handler(event, context):
        s = context.baas.storage
        with_upload = s.upload("b", "p", b"y" * (10 << 20)) if event else None
        return len(s.download("b", "p"))
    """
    assert host.value(text, memory_mb=256) == 20 << 20
    api.respond = lambda request: (200, b"{}")
    host.value("def handler(e, c): c.baas.storage.upload('b', 'p', b'y' * (10 << 20))")
    assert len(api.requests[-1].body) == 10 << 20


def test_no_token_is_anywhere_in_the_sandbox(host: Host) -> None:
    text = """
    import gc, os
    def handler(event, context):
        seen = repr(os.environ) + repr([o for o in gc.get_objects() if isinstance(o, (str, dict))])
        return "tok-" + "secret" in seen
    """
    assert host.value(text, token="tok-secret") is False


@pytest.mark.parametrize(
    "path",
    [
        "/../other/db/c/docs",
        "/db/../../other/docs",
        "/db/%2e%2e/%2e%2e/other",
        "/db/%252e%252e/x",
        "/db/..%2f..%2fother",
        "/./x",
        "/\\evil.example/x",
        "db/c/docs",
        "/x y",
        "/x\r\nX-Evil: 1",
        "/x\nGET /v1/admin HTTP/1.1",
        "/ü",
        "/x#frag",
        "",
        None,
        7,
    ],
)
def test_it_forwards_nothing_outside_of_the_project(
    host: Host, api: ApiServer, path: object
) -> None:
    text = RAW + "\ndef handler(event, context): return ask(context, path=event)"
    status, body = host.value(text, path)
    assert status == 400
    assert json.loads(body)["code"] == "invalid_request"
    assert api.requests == []


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"method": "CONNECT"}, 405),
        ({"method": "TRACE"}, 405),
        ({"method": "get"}, 405),
        ({"method": ["GET"]}, 405),
        ({"content_type": "a\r\nAuthorization: Bearer x"}, 400),
        ({"content_type": None}, 400),
        ({"invocation_id": "another"}, 409),
        ({"invocation_id": None}, 409),
    ],
)
def test_it_refuses_odd_requests(
    host: Host, api: ApiServer, header: dict[str, object], status: int
) -> None:
    text = RAW + "\ndef handler(event, context): return ask(context, **event)"
    assert host.value(text, header)[0] == status
    assert api.requests == []


def test_it_refuses_more_requests_than_the_cap(host: Host, api: ApiServer) -> None:
    text = """
    from baas import BaasError
    def handler(event, context):
        for n in range(1200):
            try:
                context.baas.db.collection("c").get("x")
            except BaasError as e:
                return [n, e.status, e.code]
    """
    assert host.value(text, timeout_s=30.0) == [1000, 429, "too_many_requests"]


def test_a_request_still_under_way_ends_with_the_invocation(host: Host, api: ApiServer) -> None:
    release = threading.Event()

    def respond(request: Request) -> Answer:
        release.wait(5)
        return 200, b"{}"

    api.respond = respond
    text = """
    import threading, time
    def handler(event, context):
        threading.Thread(target=context.baas.db.collection("c").get, args=("x",)).start()
        time.sleep(0.1)
        return "early"
    """
    assert host.value(text, function="early") == "early"
    api.respond = api.echo
    release.set()
    # The instance whose channel was in the middle of a request is not used again.
    result = host.run("def handler(e, c): return 1", function="early")
    assert result.outcome == "ok"


def test_a_request_after_the_reply_is_never_forwarded(host: Host, api: ApiServer) -> None:
    text = """
    import threading, time
    def late(context):
        time.sleep(0.05)
        context.baas.db.collection("late").create({})
    def handler(event, context):
        threading.Thread(target=late, args=(context,)).start()
        return 1
    """
    assert host.value(text, function="late", token="first") == 1
    time.sleep(0.2)
    assert api.requests == []
    # Thawed by the next call, the thread sends its request in the name of a call that is over or
    # of the present one; never as the one that it was started by.
    host.run(text, function="late", token="second")
    assert all(r.headers["authorization"] == "Bearer second" for r in api.requests)


def test_a_warm_instance_may_ask_in_every_call_as_the_caller_of_that_call(
    host: Host, api: ApiServer
) -> None:
    text = "def handler(e, c): return c.baas.db.collection('c').create({'n': e})['method']"
    for number in range(5):
        found = host.value(text, number, function="again", token=f"tok-{number}", timeout_s=3.0)
        assert found == "POST"
    assert [r.headers["authorization"] for r in api.requests] == [
        f"Bearer tok-{number}" for number in range(5)
    ]
