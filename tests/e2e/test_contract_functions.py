"""The contract, "Functions": deploying, versions, aliases, calling, secrets, logs, `context`."""

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
def handler(event, context):
    context.logger.warning("called with %s", event)
    return {
        "event": event, "auth": context.auth, "function": context.function,
        "version": context.version, "attempt": context.attempt, "deadline": context.deadline,
        "remaining": context.remaining_ms(), "id": context.invocation_id,
        "trace": context.trace_id,
    }
"""


def answering(value: object) -> str:
    return f"def handler(event, context):\n    return {value!r}"


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        app.deploy("context", CONTEXT)
        app.deploy("closed", answering(1), invoke="closed")
        yield app


@pytest.fixture(scope="module")
def alice(app: App) -> dict[str, Any]:
    return app.sign_up("alice")


class TestCalling:
    def test_what_the_handler_gets(self, app: App, alice: dict[str, Any]) -> None:
        reply = app.invoke("context", {"n": 1}, alice["access_token"])
        assert reply.status_code == 200
        got = reply.json()
        assert got["event"] == {"n": 1}
        assert (got["function"], got["attempt"]) == ("context", 1)
        assert str(got["version"]) == reply.headers["x-function-version"] == "1"
        assert got["id"] == reply.headers["x-invocation-id"]
        assert float(reply.headers["x-duration-ms"]) >= 0
        assert got["deadline"].endswith("Z")
        assert 0 < got["remaining"] <= 10_000
        assert got["auth"]["uid"] == alice["user"]["id"]
        assert got["auth"].keys() == {"uid", "role", "email", "claims", "provider", "anonymous"}

    @pytest.mark.parametrize("event", [None, 5, "text", [1, {"a": None}], {"ü": 1.5}, 10**30])
    def test_any_json(self, app: App, event: Any) -> None:
        body = json.dumps(event).encode()
        reply = app("POST", "/functions/context:invoke", None, body)
        assert (reply.json()["event"], reply.json()["auth"]) == (event, None)

    @pytest.mark.parametrize(
        ("path", "status", "expected"),
        [
            ("none:invoke", 404, "function_not_found"),
            ("context:invoke?alias=none", 404, "alias_not_found"),
            ("context:invoke?version=99", 404, "version_not_found"),
            ("context:invoke?version=x", 422, "invalid"),
            ("closed:invoke", 403, "rule_denied"),
        ],
    )
    def test_refused(self, app: App, path: str, status: int, expected: str) -> None:
        reply = app("POST", f"/functions/{path}", None, {})
        assert (reply.status_code, code(reply)) == (status, expected)

    def test_bodies(self, app: App) -> None:
        path, json_type = "/functions/context:invoke", {"Content-Type": "application/json"}
        assert code(app("POST", path, app.key, b"{bad", json_type)) == "malformed_json"
        text = app("POST", path, app.key, b"a", {"Content-Type": "text/plain"})
        assert code(text) == "unsupported_media_type"
        big = app("POST", path, app.key, b'"' + b"x" * 6 * 1024 * 1024 + b'"', json_type)
        assert (big.status_code, code(big)) == (413, "body_too_large")

    def test_its_record(self, app: App, alice: dict[str, Any]) -> None:
        token = alice["access_token"]
        found = app.invoke("context", {}, token).headers["x-invocation-id"]
        path = f"/invocations/{found}"
        record = wait_until(lambda: [r for r in [app("GET", path, token)] if r.is_success])[0]
        assert record.json().keys() >= {
            *("id", "function", "version", "state", "created_at", "started_at", "duration_ms"),
            *("billed_ms", "max_memory_mb", "cold", "attempt", "trace_id"),
        }
        assert (record.json()["state"], record.json()["function"]) == ("succeeded", "context")
        assert app("GET", path, app.key).status_code == 200
        assert code(app("GET", path)) == "invocation_not_found"
        listed = app("GET", "/functions/context/invocations", app.key).json()["items"]
        assert found in [item["id"] for item in listed]

    def test_later(self, app: App, alice: dict[str, Any]) -> None:
        token, later = alice["access_token"], {"Prefer": "respond-async"}
        reply = app("POST", "/functions/context:invoke", token, {"n": 2}, later)
        assert (reply.status_code, reply.json().keys()) == (202, {"invocation_id"})
        path = f"/invocations/{reply.json()['invocation_id']}"

        def done() -> Any:
            record = app("GET", path, token).json()
            return record if record["state"] == "succeeded" else None

        record = wait_until(done, 20, "the call for later")
        assert record["result"]["event"] == {"n": 2}
        assert record["result"]["auth"]["uid"] == alice["user"]["id"]
        big = app("POST", "/functions/context:invoke", token, "x" * 262_145, later)
        assert (big.status_code, code(big)) == (413, "body_too_large")
        assert code(app("POST", "/functions/closed:invoke", token, {}, later)) == "rule_denied"


def zipped(files: dict[str, bytes]) -> str:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return base64.b64encode(stream.getvalue()).decode()


MAIN = b"def handler(event, context):\n    import lib.helper\n    return lib.helper.x\n"


class TestDeploying:
    def put(self, app: App, name: str = "new", token: str | None = "", **body: Any) -> Any:
        given = {"code": {"inline": {"main.py": answering(1)}}, **body}
        return app("PUT", f"/functions/{name}", app.key if token == "" else token, given)

    def test_a_new_version(self, app: App) -> None:
        made = self.put(app, "fresh")
        assert made.status_code == 201
        version = made.json()
        assert (version["name"], version["version"], version["state"]) == ("fresh", 1, "ready")
        assert version["runtime"].startswith("python3.")
        assert len(version["digest"]) == 64
        assert version["rules"] == {"invoke": "closed"}
        shown = app("GET", "/functions/fresh", app.key).json()
        assert (shown["version"], shown["aliases"].keys()) == (1, {"live"})

    def test_zip_and_form(self, app: App) -> None:
        package = zipped({"main.py": MAIN, "lib/helper.py": b"x = 7", "lib/__init__.py": b""})
        assert self.put(app, "zip", code={"zip_base64": package}).status_code == 201
        assert app.invoke("zip").json() == 7
        files = {"package": ("p.zip", base64.b64decode(package), "application/zip")}
        data = {"runtime": "python3", "handler": "main.handler", "timeout_s": "5"}
        form = app("PUT", "/functions/form", app.key, files=files, data=data)
        assert (form.status_code, form.json()["timeout_s"]) == (201, 5)
        assert app.invoke("form").json() == 7

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"runtime": "python2"}, "runtime_not_available"),
            ({"handler": "main.none"}, "handler_not_found"),
            ({"handler": "none.handler"}, "handler_not_found"),
            ({"handler": "main"}, "handler_not_found"),
            ({"code": {}}, "invalid"),
            ({"code": {"inline": {}}}, "invalid"),
            ({"code": {"inline": {"../main.py": "x"}}}, "package_rejected"),
            ({"code": {"inline": {"/main.py": "x"}}}, "package_rejected"),
            ({"code": {"zip_base64": "!"}}, "package_rejected"),
            ({"code": {"zip_base64": zipped({"../a": b"", "main.py": b""})}}, "package_rejected"),
            ({"code": {"zip_base64": zipped({"a": bytes(30_000_000)})}}, "package_rejected"),
            ({"timeout_s": 0}, "invalid"),
            ({"memory_mb": 1}, "invalid"),
            ({"isolation": "none"}, "invalid"),
            ({"as": "root"}, "invalid"),
            ({"colour": "red"}, "invalid"),
            ({"env": {"PATH": "x"}}, "invalid_variable_name"),
            ({"secrets": ["NOT_THERE"]}, "secret_not_found"),
            ({"rules": {"invoke": "(("}}, "invalid_rule"),
            ({"rules": {"run": "public"}}, "invalid"),
        ],
    )
    def test_refused(self, app: App, body: Any, expected: str) -> None:
        reply = self.put(app, **body)
        assert (reply.status_code, code(reply)) == (422, expected)
        assert code(app("GET", "/functions/new", app.key)) == "function_not_found"

    @pytest.mark.parametrize("name", ["Upper", "1a", "a" * 64, "a_b"])
    def test_names(self, app: App, name: str) -> None:
        assert code(self.put(app, name)) == "invalid"

    def test_for_the_privileged_only(self, app: App, alice: dict[str, Any]) -> None:
        assert code(self.put(app, token=alice["access_token"])) == "rule_denied"
        assert code(self.put(app, token=None)) == "authentication_required"

    def test_code_that_does_not_load(self, app: App) -> None:
        app.deploy("load", answering("good"))
        for text in ("def handler(event, context:", "import no_such_module\n" + answering(1)):
            failed = self.put(app, "load", code={"inline": {"main.py": text}}).json()
            assert failed["state"] == "failed"
            assert "Error" in failed["build_log"]
        assert app.invoke("load").json() == "good"
        version = app("POST", "/functions/load:invoke?version=2", app.key, {})
        assert code(version) == "version_not_ready"


def test_versions_aliases_and_rollback(app: App) -> None:
    for number in (1, 2):
        app.deploy("v", answering(number))
    app.deploy("v", answering(3), publish=False)
    assert app.invoke("v").json() == 2
    versions = app("GET", "/functions/v/versions", app.key).json()["items"]
    assert [item["version"] for item in versions] == [3, 2, 1]
    assert app("POST", "/functions/v:invoke?version=3", app.key, {}).json() == 3
    weights = {"weights": {"1": 1, "3": 1}}
    canary = app("PUT", "/functions/v/aliases/canary", app.key, weights)
    assert canary.status_code == 200
    path = "/functions/v:invoke?alias=canary"
    assert {app("POST", path, app.key, {}).json() for _ in range(25)} == {1, 3}
    sticky = {"X-Route-Key": "user-7"}
    assert len({app("POST", path, app.key, {}, sticky).json() for _ in range(8)}) == 1
    for wrong in ({"weights": {"9": 1}}, {"weights": {}}, {"weights": {"1": -1}}, {}):
        assert app("PUT", "/functions/v/aliases/canary", app.key, wrong).status_code == 422
    assert app("POST", "/functions/v:rollback", app.key, {}).status_code == 200
    assert app.invoke("v").json() == 1
    assert code(app("POST", "/functions/v:rollback", app.key, {})) == "no_version_before"
    app("POST", "/functions/v:rollback", app.key, {"version": 3})
    assert app.invoke("v").json() == 3
    assert app("DELETE", "/functions/v", app.key).status_code == 204
    assert code(app.invoke("v")) == "function_not_found"


def test_secrets_and_logs(app: App, alice: dict[str, Any]) -> None:
    put = app("PUT", "/secrets/API_KEY", app.key, {"value": "s3cr3t-value"})
    assert put.status_code == 200
    assert "s3cr3t" not in put.text + app("GET", "/secrets", app.key).text
    assert app("GET", "/secrets/API_KEY", app.key).json().keys() >= {"name", "digest"}
    text = """
import os
def handler(event, context):
    print("printed", os.environ["API_KEY"])
    context.logger.warning("logged %s", os.environ["API_KEY"])
    return [len(os.environ["API_KEY"]), os.environ["MODE"]]
"""
    app.deploy("secret", text, secrets=["API_KEY"], env={"MODE": "m"})
    reply = app.invoke("secret")
    assert reply.json() == [12, "m"]

    def logged() -> Any:
        items = app("GET", "/functions/secret/logs", app.key).json()["items"]
        return items if len(items) == 2 else None

    warning, printed = wait_until(logged, 10, "the logs")
    assert warning.keys() == {"time", "level", "message", "invocation_id", "version"}
    assert (warning["level"], printed["level"]) == ("warning", "info")
    assert "s3cr3t" not in warning["message"] + printed["message"]
    assert warning["invocation_id"] == reply.headers["x-invocation-id"]
    for query, count in (("level=warning", 1), ("q=printed", 1), ("q=none", 0), ("limit=1", 1)):
        items = app("GET", f"/functions/secret/logs?{query}", app.key).json()["items"]
        assert len(items) == count
    assert app("GET", "/functions/secret/logs?since=yesterday", app.key).status_code == 422
    assert code(app("GET", "/functions/secret/logs", alice["access_token"])) == "rule_denied"
    app("PUT", "/secrets/API_KEY", app.key, {"value": "longer-s3cr3t-value"})
    assert app.invoke("secret").json()[0] == 19  # in force from the next call


CLIENT = """
def handler(event, context):
    baas, out = context.baas, {}
    notes = baas.db.collection("notes")

    def attempt(name, call):
        try:
            out[name] = call()
        except Exception as error:
            out[name] = getattr(error, "code", repr(error))

    attempt("create", lambda: notes.create({"_id": "n1", "n": 1})["_version"])
    attempt("taken", lambda: notes.create({"_id": "n1"}))
    attempt("get", lambda: notes.get("n1")["n"])
    attempt("missing", lambda: notes.get("none"))
    def ids(**query):
        return [document["_id"] for document in notes.query({"n": 1}, **query)["items"]]

    attempt("query", lambda: ids(sort=["-n"], limit=5))
    attempt("update", lambda: notes.update("n1", {"$inc": {"n": 1}})["n"])
    attempt("set", lambda: notes.set("n2", {"m": 1})["_version"])
    attempt("delete", lambda: notes.delete("n2"))
    write = {"op": "create", "collection": "notes", "data": {}}
    attempt("commit", lambda: [r["_version"] for r in baas.db.commit([write])])
    text = {"content_type": "text/plain"}
    attempt("upload", lambda: baas.storage.upload("files", "a", b"hi", **text)["size"])
    attempt("download", lambda: baas.storage.download("files", "a").decode())
    attempt("list", lambda: [o["path"] for o in baas.storage.list("files")["items"]])
    attempt("sign", lambda: "token=" in baas.storage.sign("files", "a")["url"])
    attempt("remove", lambda: baas.storage.delete("files", "a"))
    attempt("invoke", lambda: baas.functions.invoke("context", 5)["event"])
    attempt("publish", lambda: len(baas.events.publish("com.acme.x", {"a": 1}, subject="s")["ids"]))
    return out
"""


def test_the_client_acts_for_the_caller_or_the_service(app: App, alice: dict[str, Any]) -> None:
    app("PUT", "/buckets/files", app.key, {})
    app.deploy("caller", CLIENT)
    app.deploy("service", CLIENT, **{"as": "service"})
    full = {
        **{"create": 1, "taken": "document_exists", "get": 1, "missing": None, "query": ["n1"]},
        **{"update": 2, "set": 1, "delete": None, "commit": [1], "upload": 2, "download": "hi"},
        **{"list": ["a"], "sign": True, "remove": None, "invoke": 5, "publish": 1},
    }
    assert app.invoke("caller", {}).json() == full  # the secret key is above the rules
    denied = app.invoke("caller", {}, alice["access_token"]).json()
    own = {"invoke": 5, "publish": 1}
    assert denied == {**dict.fromkeys(full, "rule_denied"), **own}
    app("DELETE", "/collections/notes", app.key)
    assert app.invoke("service", {}, alice["access_token"]).json() == full
