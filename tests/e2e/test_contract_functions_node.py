"""The contract, "Functions": JavaScript and TypeScript on the whole stack."""

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Stack, wait_until
from .contract import App, code

CONTEXT = """
exports.main = async (event, context) => {
  console.warn('called with %j', event);
  return {
    event, auth: context.auth, function: context.function, version: context.version,
    deadline: context.deadline, remaining: context.remaining_ms(), id: context.invocation_id,
  };
};
"""
COPY = """
import { helper } from './lib/helper.mjs';
export const main = async (event, {baas}) => {
  const seen = baas.db.collection('seen');
  const { document } = event.data;
  await baas.storage.upload('files', `${document._id}.bin`, new Uint8Array([0, 255, 1]));
  const bytes = await baas.storage.download('files', `${document._id}.bin`);
  await seen.set(document._id, {n: helper(document.n), bytes: [...bytes]});
};
"""


def deploy(app: App, name: str, files: dict[str, str], **more: Any) -> Any:
    body = {
        "runtime": "nodejs",
        "code": {"inline": files},
        "rules": {"invoke": "public"},
        **more,
    }
    return app("PUT", f"/functions/{name}", app.key, body)


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        yield app


def test_a_function_given_inline(app: App) -> None:
    reply = deploy(app, "context", {"index.js": CONTEXT})
    assert reply.status_code == 201, reply.text
    assert (reply.json()["state"], reply.json()["handler"]) == ("ready", "index.main")
    assert reply.json()["runtime"].startswith("nodejs2")
    alice = app.sign_up("alice")
    answer = app.invoke("context", {"n": 1}, alice["access_token"])
    got = answer.json()
    assert (got["event"], got["function"]) == ({"n": 1}, "context")
    assert got["auth"]["uid"] == alice["user"]["id"]
    assert got["id"] == answer.headers["x-invocation-id"]
    assert 0 < got["remaining"] <= 10_000
    path = f"/functions/context/logs?invocation_id={got['id']}"
    logs = wait_until(lambda: app("GET", path, app.key).json()["items"], 10, "its log")
    assert (logs[0]["level"], logs[0]["message"]) == ("warning", 'called with {"n":1}')


def test_the_exact_runtime_may_be_named_and_others_are_refused(app: App) -> None:
    exact = deploy(app, "exact", {"index.js": CONTEXT}).json()["runtime"]
    assert deploy(app, "exact", {"index.js": CONTEXT}, runtime=exact).status_code == 201
    for runtime in ("nodejs8", "nodejs99", "nodejs-24", "ruby"):
        refused = deploy(app, "exact", {"index.js": CONTEXT}, runtime=runtime)
        assert (refused.status_code, code(refused)) == (422, "runtime_not_available")
        assert {"nodejs", exact, "python3"} <= set(refused.json()["available"])


def test_a_zip_that_is_triggered_by_documents(app: App) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("index.mjs", COPY)
        archive.writestr("lib/helper.mjs", "export const helper = (n) => n * 2;")
    package = base64.b64encode(stream.getvalue()).decode()
    rules = dict.fromkeys(("read", "create", "update", "delete"), "closed")
    for collection in ("orders", "seen"):
        app("PUT", f"/collections/{collection}", app.key, {"rules": rules})
    app("PUT", "/buckets/files", app.key, {})
    body = {"runtime": "nodejs", "code": {"zip_base64": package}, "handler": "index.main"}
    assert app("PUT", "/functions/copy", app.key, body).status_code == 201
    source = {"type": "db", "collection": "orders", "operations": ["create"]}
    made = app("PUT", "/triggers/copy", app.key, {"function": "copy", "source": source})
    assert made.status_code == 201, made.text
    app("POST", "/db/orders/docs", app.key, {"_id": "o1", "n": 21})

    def copied() -> Any:
        found = app("GET", "/db/seen/docs/o1", app.key)
        return found.json() if found.is_success else None

    copy = wait_until(copied, 30, "the copy")
    assert (copy["n"], copy["bytes"]) == (42, [0, 255, 1])


def test_an_http_trigger(app: App) -> None:
    text = "exports.main = ({params, method}) => ({status: 201, body: `${method} ${params.id}`})"
    assert deploy(app, "web", {"index.js": text}).status_code == 201
    source = {"type": "http", "path": "/node/{id}"}
    app("PUT", "/triggers/web", app.key, {"function": "web", "source": source})
    reply = app("POST", "/http/node/7", None, {})
    assert (reply.status_code, reply.text) == (201, "POST 7")


@pytest.mark.parametrize(
    ("text", "status", "expected"),
    [
        ("exports.main = () => { throw new TypeError('bad') }", 502, "function_error"),
        ("exports.main = () => process.exit(3)", 502, "function_crashed"),
        ("exports.main = () => { for (;;); }", 504, "function_timeout"),
        (
            "exports.main = () => { const a = []; for (;;) a.push('x'.repeat(99) + a.length) }",
            502,
            "function_out_of_memory",
        ),
        ("exports.main = () => 1n", 502, "function_invalid_response"),
        ("exports.main = () => 'x'.repeat(6 << 20)", 502, "function_result_too_large"),
    ],
)
def test_failures_have_the_codes_of_the_contract(
    app: App, text: str, status: int, expected: str
) -> None:
    timeout_s = 1 if expected == "function_timeout" else 20
    deploy(app, "fails", {"index.js": text}, timeout_s=timeout_s)
    reply = app.invoke("fails")
    assert (reply.status_code, code(reply)) == (status, expected)
    if expected == "function_error":
        assert reply.json()["error"] == {"type": "TypeError", "message": "bad"}


@pytest.mark.parametrize(
    ("files", "status", "expected"),
    [
        ({"index.js": "exports.other = 1"}, 422, "handler_not_found"),
        ({"main.js": "exports.main = () => 1"}, 422, "handler_not_found"),
        ({"../index.js": "exports.main = () => 1"}, 422, "package_rejected"),
        ({"index.js": "syntax error"}, 201, ""),
    ],
)
def test_broken_packages_leave_the_serving_version(
    app: App, files: dict[str, str], status: int, expected: str
) -> None:
    deploy(app, "serving", {"index.js": "exports.main = () => 'serving'"})
    reply = deploy(app, "serving", files)
    assert (reply.status_code, code(reply)) == (status, expected)
    if status == 201:
        assert reply.json()["state"] == "failed"
        assert "SyntaxError" in json.dumps(reply.json()["build_log"])
    assert app.invoke("serving").json() == "serving"
