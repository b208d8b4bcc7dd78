"""Which runtimes a deployment may name: Python is ours, all others are the host's to know."""

from typing import Any

import pytest

from functions.runner import HostUnreachableError

from .conftest import Functions

INLINE = {"code": {"inline": {"index.js": "exports.main = () => 1"}}}
INSTALLED = {"python3": "python3.11", "nodejs": "nodejs24", "nodejs24": "nodejs24"}


@pytest.fixture
def with_node(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Functions:
    status = {"ready": True, "runtimes": INSTALLED}
    monkeypatch.setattr(functions.runner, "status", lambda: status)
    return functions


def put(functions: Functions, body: dict[str, Any]) -> Any:
    path = f"{functions.project.path}/functions/f"
    return functions.client.put(path, {**INLINE, **body}, token=functions.project.secret_key)


@pytest.mark.parametrize("named", ["nodejs", "nodejs24"])
def test_the_exact_runtime_is_kept_and_asked_for(with_node: Functions, named: str) -> None:
    with_node.runner.handlers["f"] = lambda event, spec: [spec.runtime, spec.handler]
    deployed = put(with_node, {"runtime": named})
    assert deployed.status == 201, deployed
    assert (deployed.json["runtime"], deployed.json["handler"]) == ("nodejs24", "index.main")
    path = f"{with_node.project.path}/functions/f:invoke"
    answer = with_node.client.post(path, {}, token=with_node.project.secret_key)
    assert answer.json == ["nodejs24", "index.main"]


def test_a_handler_that_is_named_wins(with_node: Functions) -> None:
    deployed = put(with_node, {"runtime": "nodejs", "handler": "src.app.run"})
    assert deployed.json["handler"] == "src.app.run"
    assert put(with_node, {}).json["handler"] == "main.handler"


@pytest.mark.parametrize("named", ["nodejs22", "nodejs", "ruby", ""])
def test_what_is_not_there_is_refused_with_the_list(
    functions: Functions, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    kept = {"python3": "python3.11"} if named == "nodejs" else INSTALLED
    monkeypatch.setattr(functions.runner, "status", lambda: {"ready": True, "runtimes": kept})
    reply = put(functions, {"runtime": named})
    if not named:
        assert (reply.status, reply.code) == (422, "invalid")
        return
    assert (reply.status, reply.code) == (422, "runtime_not_available")
    assert set(kept) <= set(reply.json["available"])
    assert ("nodejs24" in reply.json["available"]) == (kept is INSTALLED)


def test_without_a_host_only_python_is_known(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable() -> dict[str, Any]:
        raise HostUnreachableError("it is down", started=False)

    monkeypatch.setattr(functions.runner, "status", unreachable)
    reply = put(functions, {"runtime": "nodejs"})
    assert (reply.status, reply.code) == (503, "function_host_unavailable")
    assert put(functions, {"runtime": "python3"}).status == 201
