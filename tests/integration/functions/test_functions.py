"""Deploying and calling functions, secrets, aliases: through the doors, with a fake host."""

import base64
import io
import zipfile
from typing import Any

import pytest

from functions.runtypes import InspectResult, LogItem, RunError, RunResult, RunSpec
from tests.installation import Client, TestProject

from .conftest import FakeRunner, Functions, Pipeline

LATER = {"Prefer": "respond-async"}


def invoke(functions: Functions, name: str, body: Any = None, **more: Any) -> Any:
    more.setdefault("token", functions.project.secret_key)
    query = more.pop("query", "")
    return functions.client.post(
        f"{functions.project.path}/functions/{name}:invoke{query}", body, **more
    )


def put(functions: Functions, name: str, body: Any, **more: Any) -> Any:
    return functions.client.put(
        f"{functions.project.path}/functions/{name}",
        body,
        token=functions.project.secret_key,
        **more,
    )


INLINE = {"code": {"inline": {"main.py": "def handler(event, context): ..."}}}


def test_each_deploy_is_a_new_version_and_live_moves(functions: Functions) -> None:
    first = functions.deploy("f", lambda event, spec: spec.version)
    second = functions.deploy("f")
    assert (first["version"], second["version"]) == (1, 2)
    assert first["digest"] == second["digest"]  # the same code makes the same package
    assert invoke(functions, "f").json == 2
    reply = functions.client.get(
        f"{functions.project.path}/functions/f", token=functions.project.secret_key
    )
    assert reply.json["aliases"] == {"live": {"2": 100}}


def test_an_unpublished_version_is_called_by_number_only(functions: Functions) -> None:
    functions.deploy("f", lambda event, spec: spec.version)
    functions.deploy("f", publish=False)
    assert invoke(functions, "f").json == 1
    reply = invoke(functions, "f", query="?version=2")
    assert reply.json == 2
    assert reply.headers["x-function-version"] == "2"


def test_an_alias_splits_calls_and_a_route_key_stays_with_its_version(
    functions: Functions,
) -> None:
    functions.deploy("f", lambda event, spec: spec.version)
    functions.deploy("f")
    path = f"{functions.project.path}/functions/f"
    reply = functions.client.put(
        f"{path}/aliases/canary",
        {"weights": {"1": 50, "2": 50}},
        token=functions.project.secret_key,
    )
    assert reply.status == 200
    answers = {
        key: {
            invoke(functions, "f", query="?alias=canary", headers={"X-Route-Key": key}).json
            for _ in range(3)
        }
        for key in map(str, range(20))
    }
    assert all(len(found) == 1 for found in answers.values())
    assert {found.pop() for found in answers.values()} == {1, 2}


def test_a_rollback_goes_to_the_version_before(functions: Functions) -> None:
    for _ in range(3):
        functions.deploy("f", lambda event, spec: spec.version)
    path = f"{functions.project.path}/functions/f:rollback"
    for expected in (2, 1):
        functions.client.post(path, {}, token=functions.project.secret_key)
        assert invoke(functions, "f").json == expected
    reply = functions.client.post(path, {}, token=functions.project.secret_key)
    assert (reply.status, reply.code) == (409, "no_version_before")
    functions.client.post(path, {"version": 3}, token=functions.project.secret_key)
    assert invoke(functions, "f").json == 3


def test_a_package_comes_as_zip_or_as_a_form(functions: Functions) -> None:
    from functions import packages

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("main.py", "def handler(event, context): ...")
    package = buffer.getvalue()
    by_json = put(functions, "f", {"code": {"zip_base64": base64.b64encode(package).decode()}}).json
    boundary = "xyz"
    form = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="timeout_s"\r\n\r\n3\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="package"; filename="p.zip"\r\n'
        "Content-Type: application/zip\r\n\r\n"
    ).encode()
    by_form = functions.client.request(
        "PUT",
        f"{functions.project.path}/functions/f",
        body=form + package + f"\r\n--{boundary}--\r\n".encode(),
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        token=functions.project.secret_key,
    )
    assert by_form.status == 201, by_form
    assert by_form.json["timeout_s"] == 3
    assert by_form.json["digest"] == by_json["digest"] == packages.digest(package)
    assert packages.load(functions.project.id, by_json["digest"]) == package


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({**INLINE, "runtime": "nodejs"}, 422, "runtime_not_available"),
        ({**INLINE, "runtime": "python2"}, 422, "runtime_not_available"),
        ({**INLINE, "requirements": "numpy"}, 422, "requirements_not_available"),
        ({**INLINE, "rules": {"invoke": "auth.nothing =="}}, 422, "invalid_rule"),
        ({**INLINE, "rules": {"invoke": "doc.x == 1"}}, 422, "invalid_rule"),
        ({**INLINE, "secrets": ["NOT_THERE"]}, 422, "secret_not_found"),
        ({**INLINE, "env": {"PATH": "/evil"}}, 422, "invalid_variable_name"),
        ({**INLINE, "env": {"A-B": "x"}}, 422, "invalid_variable_name"),
        ({**INLINE, "timeout_s": 100_000}, 422, "invalid"),
        ({**INLINE, "handler": "nodots"}, 422, "handler_not_found"),
        ({**INLINE, "time_out": 3}, 422, "invalid"),
        ({}, 422, "invalid"),
        ({"code": {}}, 422, "invalid"),
        ({"code": {"zip_base64": "!!"}}, 422, "package_rejected"),
        ([], 400, "malformed_request"),
    ],
)
def test_it_refuses_a_deployment_that_cannot_work(
    functions: Functions, body: Any, status: int, code: str
) -> None:
    reply = put(functions, "f", body)
    assert (reply.status, reply.code) == (status, code), reply
    assert functions.project.events() == []
    reply = functions.client.get(
        f"{functions.project.path}/functions/f", token=functions.project.secret_key
    )
    assert (reply.status, reply.code) == (404, "function_not_found")


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        ("handler_not_found", 422, "handler_not_found"),
        ("package_rejected", 422, "package_rejected"),
        ("unavailable", 503, "function_host_unavailable"),
        ("unsupported", 422, "not_supported"),
    ],
)
def test_what_the_host_refuses_makes_no_version(
    functions: Functions, runner: FakeRunner, outcome: Any, status: int, code: str
) -> None:
    runner.inspected = InspectResult(outcome=outcome, detail="because")
    reply = put(functions, "f", INLINE)
    assert (reply.status, reply.code) == (status, code)


def test_a_package_that_does_not_load_is_a_failed_version_and_live_stays(
    functions: Functions, runner: FakeRunner
) -> None:
    functions.deploy("f", lambda event, spec: spec.version)
    line = LogItem(time="2026-01-01T00:00:00.000Z", level="error", message="SyntaxError: line 3")
    runner.inspected = InspectResult(outcome="load_error", detail="It failed.", logs=(line,))
    failed = put(functions, "f", INLINE).json
    assert (failed["version"], failed["state"]) == (2, "failed")
    assert "SyntaxError: line 3" in failed["build_log"]
    assert invoke(functions, "f").json == 1
    assert invoke(functions, "f", query="?version=2").code == "version_not_ready"


def test_only_operators_and_secret_keys_deploy(functions: Functions) -> None:
    path = f"{functions.project.path}/functions/f"
    assert functions.client.put(path, INLINE).status == 401
    publishable = functions.project.publishable_key
    assert functions.client.put(path, INLINE, token=publishable).status == 401


# Alice calls what she may; the rule decides.


def sign_up(client: Client, project: TestProject) -> str:
    import secrets

    body = {"email": f"a-{secrets.token_hex(4)}@example.com", "password": "correct horse"}
    reply = client.post(f"{project.path}/auth/sign-up", body)
    assert reply.status in (200, 201), reply
    token: str = reply.json["access_token"]
    return token


def test_a_function_without_a_rule_is_closed(functions: Functions, runner: FakeRunner) -> None:
    functions.deploy("f", lambda event, spec: None)
    alice = sign_up(functions.client, functions.project)
    before = functions.project.events()
    for token in (None, alice):
        reply = invoke(functions, "f", token=token)
        assert (reply.status, reply.code) == (403, "rule_denied")
    assert runner.specs == []
    assert functions.project.events() == before


def test_the_rule_decides_who_calls_and_the_function_knows_who_it_was(
    functions: Functions, runner: FakeRunner
) -> None:
    functions.deploy("f", lambda event, spec: spec.auth, rules={"invoke": "authenticated"})
    alice = sign_up(functions.client, functions.project)
    assert invoke(functions, "f", token=None).status == 403
    assert invoke(functions, "f", token=alice).json["email"].startswith("a-")
    assert invoke(functions, "f").json is None  # the secret key is nobody's


def principal_of(functions: Functions, spec: RunSpec) -> Any:
    from auth import invocations

    found = invocations.read(spec.token, functions.project.id)
    assert found is not None
    return found[0]


def test_a_function_acts_for_its_caller_unless_it_is_a_service(
    functions: Functions, runner: FakeRunner
) -> None:
    functions.deploy("mine", lambda event, spec: None, rules={"invoke": "public"})
    functions.deploy(
        "ours", lambda event, spec: None, rules={"invoke": "public"}, **{"as": "service"}
    )
    alice = sign_up(functions.client, functions.project)
    for name, token, bypasses, knows in (
        ("mine", alice, False, True),
        ("mine", None, False, False),
        ("mine", functions.project.secret_key, True, False),
        ("ours", alice, True, False),
    ):
        assert invoke(functions, name, token=token).status == 200
        principal = principal_of(functions, runner.specs[-1])
        assert principal.bypasses_rules is bypasses
        assert (principal.uid is not None) is knows
        assert not principal.is_privileged
        assert principal.depth == 1


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        ("error", 502, "function_error"),
        ("load_error", 502, "function_load_error"),
        ("crashed", 502, "function_crashed"),
        ("timeout", 504, "function_timeout"),
        ("out_of_memory", 502, "function_out_of_memory"),
        ("invalid_response", 502, "function_invalid_response"),
        ("result_too_large", 502, "function_result_too_large"),
        ("throttled", 429, "function_throttled"),
        ("unavailable", 503, "function_host_unavailable"),
    ],
)
def test_how_a_run_ended_is_the_problem_that_the_caller_sees(
    functions: Functions, outcome: Any, status: int, code: str
) -> None:
    error = RunError(type="KeyError", message="'x'")
    functions.deploy("f", lambda e, s: RunResult(outcome=outcome, error=error))
    reply = invoke(functions, "f")
    assert (reply.status, reply.code) == (status, code)
    assert reply.headers["x-invocation-id"] == reply.json["invocation_id"]
    if outcome not in ("throttled", "unavailable"):
        assert reply.json["error"] == {"type": "KeyError", "message": "'x'"}
        found = functions.client.get(
            f"{functions.project.path}/invocations/{reply.json['invocation_id']}",
            token=functions.project.secret_key,
        )
        assert found.json["state"] == "failed"
    else:
        assert "retry-after" in reply.headers


def test_a_call_leaves_a_record_and_its_log_lines(functions: Functions) -> None:
    lines = tuple(
        LogItem(time=f"2026-01-01T00:00:0{n}.000Z", level=level, message=text)
        for n, (level, text) in enumerate([("info", "Hello\0there"), ("error", "Boom \ud800")])
    )
    functions.deploy(
        "f", lambda e, s: RunResult(outcome="ok", result=b"1", logs=lines, billed_ms=7, cold=True)
    )
    reply = invoke(functions, "f", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    path = functions.project.path
    token = functions.project.secret_key
    invocation_id = reply.headers["x-invocation-id"]
    record = functions.client.get(f"{path}/invocations/{invocation_id}", token=token).json
    assert (record["state"], record["billed_ms"], record["cold"]) == ("succeeded", 7, True)
    assert record["trace_id"] == "a" * 32
    shown = functions.client.get(f"{path}/functions/f/logs", token=token).json["items"]
    assert [line["message"] for line in shown] == ["Boom ?", "Hello\ufffdthere"]
    for query, count in (("level=error", 1), ("q=hello", 1), ("q=nothing", 0)):
        found = functions.client.get(f"{path}/functions/f/logs?{query}", token=token)
        assert len(found.json["items"]) == count


def test_an_invocation_is_seen_by_its_caller_and_by_operators_only(
    functions: Functions,
) -> None:
    functions.deploy("f", lambda e, s: None, rules={"invoke": "authenticated"})
    alice = sign_up(functions.client, functions.project)
    charlie = sign_up(functions.client, functions.project)
    invocation_id = invoke(functions, "f", token=alice).headers["x-invocation-id"]
    path = f"{functions.project.path}/invocations/{invocation_id}"
    assert functions.client.get(path, token=alice).status == 200
    assert functions.client.get(path, token=functions.project.secret_key).status == 200
    for token in (charlie, None):
        reply = functions.client.get(path, token=token)
        assert (reply.status, reply.code) == (404, "invocation_not_found")


def test_an_asynchronous_call_is_kept_run_and_answered_later(
    functions: Functions, pipeline: Pipeline, runner: FakeRunner, drift: Any
) -> None:
    functions.deploy("f", lambda e, s: {"twice": e["n"] * 2}, rules={"invoke": "public"})
    alice = sign_up(functions.client, functions.project)
    reply = invoke(functions, "f", {"n": 21}, token=alice, headers=LATER)
    assert reply.status == 202
    path = f"{functions.project.path}/invocations/{reply.json['invocation_id']}"
    assert functions.client.get(path, token=alice).json["state"] == "queued"
    assert runner.specs == []
    pipeline.step()
    done = functions.client.get(path, token=alice).json
    assert (done["state"], done["result"]) == ("succeeded", {"twice": 42})
    assert principal_of(functions, runner.specs[0]).uid is not None


def test_an_asynchronous_call_that_never_succeeds_is_dead_with_its_error(
    functions: Functions, pipeline: Pipeline, runner: FakeRunner, drift: Any
) -> None:
    def fail(event: Any, spec: RunSpec) -> None:
        raise ValueError("no")

    functions.deploy("f", fail)
    reply = invoke(functions, "f", headers=LATER)
    for _ in range(4):
        pipeline.hurry()
        pipeline.step()
    path = f"{functions.project.path}/invocations/{reply.json['invocation_id']}"
    record = functions.client.get(path, token=functions.project.secret_key).json
    assert (record["state"], record["attempt"]) == ("dead", 3)
    assert record["error"] == {"type": "ValueError", "message": "no"}
    assert len(runner.specs) == 3


def test_the_body_is_json_within_its_limits(functions: Functions, runner: FakeRunner) -> None:
    functions.deploy("f", lambda e, s: len(e))
    big = {"x": "a" * (5 * 1024 * 1024)}
    assert invoke(functions, "f", big).json == 1
    assert invoke(functions, "f", {"x": "a" * (6 * 1024 * 1024)}).status == 413
    assert invoke(functions, "f", big, headers=LATER).status == 413
    path = f"{functions.project.path}/functions/f:invoke"
    token = functions.project.secret_key
    assert functions.client.request("POST", path, body=b"{", token=token).code == "malformed_json"
    assert len(runner.specs) == 1


def test_calls_beyond_the_servers_slots_are_told_to_come_back(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from functions import invocations

    slots = threading.BoundedSemaphore(1)
    monkeypatch.setattr(invocations, "_slots", lambda: slots)
    inner: list[Any] = []

    def nested(event: Any, spec: RunSpec) -> None:
        inner.append(invoke(functions, "leaf", token=spec.token))

    functions.deploy("leaf", lambda e, s: None)
    functions.deploy("nested", nested)
    assert invoke(functions, "nested").status == 200
    assert (inner[0].status, inner[0].code) == (429, "too_many_invocations")
    assert "retry-after" in inner[0].headers
    assert invoke(functions, "leaf").status == 200  # the slot was given back


def test_functions_that_call_one_another_end_at_the_depth_cap(
    functions: Functions, runner: FakeRunner
) -> None:
    last: list[Any] = []

    def again(event: Any, spec: RunSpec) -> None:
        reply = invoke(functions, "loop", token=spec.token)
        if not last:
            last.append(reply)

    functions.deploy("loop", again)
    assert invoke(functions, "loop").status == 200
    assert len(runner.specs) == 8
    assert last[0].code == "depth_exceeded"


def test_a_secret_reaches_the_function_and_nobody_else(
    functions: Functions, runner: FakeRunner
) -> None:
    from functions.models import Secret

    token = functions.project.secret_key
    path = f"{functions.project.path}/secrets"
    assert functions.client.put(f"{path}/API_KEY", {"value": "s3cret-1"}, token=token).status == 200
    functions.deploy("f", lambda e, s: s.env, env={"MODE": "x"}, secrets=["API_KEY"])
    assert invoke(functions, "f").json == {"MODE": "x", "API_KEY": "s3cret-1"}
    assert runner.specs[-1].secret_names == ("API_KEY",)
    listed = functions.client.get(path, token=token)
    assert b"s3cret" not in listed.body
    digest = listed.json["items"][0]["digest"]
    stored = Secret.objects.get(project_id=functions.project.id)
    assert b"s3cret" not in bytes(stored.sealed_value)
    # A new value is in force without a new deployment.
    functions.client.put(f"{path}/API_KEY", {"value": "s3cret-2"}, token=token)
    assert invoke(functions, "f").json["API_KEY"] == "s3cret-2"
    assert functions.client.get(f"{path}/API_KEY", token=token).json["digest"] != digest
    assert functions.client.delete(f"{path}/API_KEY", token=token).status == 204
    assert invoke(functions, "f").json == {"MODE": "x"}
    shown = functions.client.get(f"{functions.project.path}/functions/f", token=token)
    assert shown.json["env"] == ["MODE"]


def test_a_function_with_triggers_is_not_deleted(functions: Functions) -> None:
    functions.deploy("f", lambda e, s: None)
    functions.trigger("t", "f", {"type": "db", "collection": "c"})
    path, token = functions.project.path, functions.project.secret_key
    reply = functions.client.delete(f"{path}/functions/f", token=token)
    assert (reply.status, reply.code) == (409, "function_in_use")
    assert reply.json["triggers"] == ["t"]
    assert functions.client.delete(f"{path}/triggers/t", token=token).status == 204
    assert functions.client.delete(f"{path}/functions/f", token=token).status == 204
    assert invoke(functions, "f").code == "function_not_found"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"source": {"type": "timer", "cron": "* * * * *"}}, "trigger_source_not_available"),
        ({"source": {"type": "nothing"}}, "invalid"),
        ({"source": {"type": "db"}}, "invalid"),
        ({"source": {"type": "db", "collection": "c", "operations": ["read"]}}, "invalid"),
        ({"source": {"type": "db", "collection": "c", "colection": "d"}}, "invalid"),
        ({"alias": "nowhere"}, "alias_not_found"),
        ({"function": "nobody"}, "function_not_found"),
        ({"filter": "event.data. >"}, "invalid_filter"),
        ({"filter": "auth.uid == 'x'"}, "invalid_filter"),
        ({"retry": {"max_attempts": 0}}, "invalid"),
        ({"on_success": "x"}, "invalid"),
    ],
)
def test_it_refuses_a_trigger_that_cannot_work(
    functions: Functions, change: dict[str, Any], code: str
) -> None:
    functions.deploy("f", lambda e, s: None)
    body = {"function": "f", "source": {"type": "db", "collection": "c"}, **change}
    reply = functions.client.put(
        f"{functions.project.path}/triggers/t", body, token=functions.project.secret_key
    )
    assert reply.code == code, reply
    assert reply.status in (404, 422)
    listed = functions.client.get(
        f"{functions.project.path}/triggers", token=functions.project.secret_key
    )
    assert listed.json["items"] == []


def test_a_filter_picks_events_by_their_content(
    functions: Functions, pipeline: Pipeline, drift: Any
) -> None:
    seen: list[Any] = []
    functions.deploy("f", lambda e, s: seen.append(e["data"]))
    functions.trigger(
        "t",
        "f",
        {"type": "event", "event_type": "com.acme.*"},
        filter='event.data.total > 100 && event.type == "com.acme.order"',
    )
    for kind, data in (
        ("com.acme.order", {"total": 50}),
        ("com.acme.order", {"total": 150}),
        ("com.acme.other", {"total": 150}),
        ("com.acme.order", {"other": 1}),  # an error in the filter: not this one
    ):
        functions.publish(kind, data)
    pipeline.step()
    assert seen == [{"total": 150}]


def test_deleting_a_project_leaves_nothing_of_its_functions(
    functions: Functions, pipeline: Pipeline, runner: FakeRunner, drift: Any
) -> None:
    from baas.kernel import db, projects
    from functions import packages
    from storage import backends

    functions.deploy("f", lambda e, s: None)
    functions.trigger("t", "f", {"type": "event", "event_type": "com.acme.*"})
    functions.publish("com.acme.x")
    pipeline.step()
    functions.publish("com.acme.y")
    pipeline.dispatch()
    project_id = functions.project.id
    assert list(backends.default().keys(f"functions/{project_id}/"))
    projects.delete(projects.get(functions.project.slug))
    for table in ("function", "trigger", "delivery", "invocation", "logline", "secret"):
        count = f"SELECT count(*) FROM functions_{table} WHERE project_id = %s"
        assert db.fetch_one(count.encode(), (project_id,)) == (0,)
    assert list(backends.default().keys(f"functions/{project_id}/")) == []
    assert runner.forgotten == [str(project_id)]
    pipeline.work()  # the batch that is still under way finds nothing
    assert packages.key(project_id, "0").startswith("functions/")


def test_figures_of_a_function_by_the_minute(functions: Functions) -> None:
    def handle(event: Any, spec: RunSpec) -> Any:
        if event["fail"]:
            raise ValueError("no")
        return RunResult(outcome="ok", result=b"1", duration_ms=10, billed_ms=100, cold=True)

    functions.deploy("f", handle, memory_mb=512)
    for failing in (False, False, False, True):
        invoke(functions, "f", {"fail": failing})
    path = f"{functions.project.path}/functions/f/metrics"
    token = functions.project.secret_key
    items = functions.client.get(f"{path}?step=3600", token=token).json["items"]
    assert sum(item["calls"] for item in items) == 4
    assert sum(item["errors"] for item in items) == 1
    assert sum(item["cold_starts"] for item in items) == 3
    assert sum(item["gb_seconds"] for item in items) == pytest.approx(302 * 512 / 1024 / 1000)
    assert max(item["duration_ms"]["p50"] for item in items) == 10
    for query in (
        "step=0",
        "step=x",
        "from=2026-01-01T00:00:00Z&to=2025-01-01T00:00:00Z",
        "from=x",
    ):
        assert functions.client.get(f"{path}?{query}", token=token).status == 422


def test_an_environment_under_another_key_is_told_and_stops_only_its_own(
    functions: Functions, pipeline: Pipeline, runner: FakeRunner, drift: Any
) -> None:
    from baas.kernel import config_cache, db

    functions.deploy("lost", lambda e, s: None, env={"A": "1"})
    functions.deploy("fine", lambda e, s: None)
    for name in ("lost", "fine"):
        functions.trigger(f"t-{name}", name, {"type": "event", "event_type": "com.acme.*"})
    db.execute(
        "UPDATE functions_version v SET sealed_env = 'x' FROM functions_function f"
        " WHERE f.id = v.function_id AND f.project_id = %s AND f.name = 'lost'",
        (functions.project.id,),
    )
    config_cache.clear()
    reply = invoke(functions, "lost")
    assert (reply.status, reply.code) == (503, "secret_unreadable")
    functions.publish("com.acme.x")
    pipeline.step()
    found = {item["function"]: (item["state"], item["reason"]) for item in functions.deliveries()}
    assert found == {"lost": ("dead", "secret_unreadable"), "fine": ("succeeded", None)}


@pytest.mark.parametrize("number", ["nan", "NaN", "inf", "-inf"])
def test_what_is_no_number_is_refused_before_it_can_stop_the_dispatcher(
    functions: Functions, number: str
) -> None:
    functions.deploy("f")
    trigger = {"function": "f", "source": {"type": "event", "event_type": "a.b"}}
    version = {"code": {"inline": {"main.py": ""}}, "timeout_s": number}
    for path, body in (
        ("triggers/t", {**trigger, "retry": {"backoff_s": number}}),
        ("functions/f", version),
    ):
        reply = functions.client.put(
            f"{functions.project.path}/{path}", body, token=functions.project.secret_key
        )
        assert reply.code == "invalid"
