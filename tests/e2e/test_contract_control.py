"""The contract, "Control plane": operators, tokens, projects, keys, settings."""

import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Stack
from .contract import App, code

PROJECTS = "/v1/admin/projects"


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        yield app


def test_operators_log_in(app: App, stack: Stack) -> None:
    login = {name: stack.operator[name] for name in ("email", "password")}
    reply = app("POST", "/v1/admin/login", None, login)
    assert reply.status_code == 200
    assert app("GET", PROJECTS, reply.json()["token"]).status_code == 200
    for wrong in ({**login, "password": "x"}, {**login, "email": "nobody@example.com"}):
        refused = app("POST", "/v1/admin/login", None, wrong)
        assert (refused.status_code, code(refused)) == (401, "invalid_credentials")


def test_personal_access_tokens(app: App) -> None:
    made = app("POST", "/v1/admin/tokens", app.operator, {"name": "ci"})
    assert made.status_code == 201
    assert made.json()["token"].startswith("pat_")
    token = made.json()["token"]
    assert app("GET", PROJECTS, token).status_code == 200
    listed = app("GET", "/v1/admin/tokens?limit=1000", app.operator).json()
    assert made.json()["id"] in [item["id"] for item in listed["items"]]
    assert all("token" not in item for item in listed["items"])
    address = f"/v1/admin/tokens/{made.json()['id']}"
    assert app("DELETE", address, app.operator).status_code == 204
    assert code(app("DELETE", address, app.operator)) == "token_not_found"
    assert code(app("GET", PROJECTS, token)) == "invalid_token"


@pytest.mark.parametrize(
    ("token", "expected"),
    [(None, "authentication_required"), ("key", "invalid_token"), ("x", "invalid_token")],
)
def test_projects_are_for_operators(app: App, token: str | None, expected: str) -> None:
    token = app.key if token == "key" else token
    for method, path in (("GET", PROJECTS), ("POST", PROJECTS), ("GET", f"{PROJECTS}/{app.slug}")):
        reply = app(method, path, token, {"slug": "abc-def", "name": "x"})
        assert (reply.status_code, code(reply)) == (401, expected)


def test_a_projects_life(app: App) -> None:
    slug = f"life-{secrets.token_hex(4)}"
    made = app("POST", PROJECTS, app.operator, {"slug": slug, "name": "Näme"})
    assert made.status_code == 201
    keys = {"slug", "name", "secret_key", "publishable_key", "created_at"}
    assert made.json().keys() == keys
    taken = app("POST", PROJECTS, app.operator, {"slug": slug, "name": "x"})
    assert (taken.status_code, code(taken)) == (409, "project_exists")
    shown = app("GET", f"{PROJECTS}/{slug}", app.operator).json()
    assert shown.keys() == keys - {"secret_key"}  # shown once
    changed = app("PATCH", f"{PROJECTS}/{slug}", app.operator, {"name": "B"}).json()
    assert changed == {**shown, "name": "B"}
    document = app("POST", f"/v1/projects/{slug}/db/c/docs", made.json()["secret_key"], {"a": 1})
    assert document.status_code == 201
    for confirm in ("", "?confirm=x"):
        reply = app("DELETE", f"{PROJECTS}/{slug}{confirm}", app.operator)
        assert (reply.status_code, code(reply)) == (422, "confirmation_required")
    gone = app("DELETE", f"{PROJECTS}/{slug}?confirm={slug}", app.operator)
    assert (gone.status_code, gone.content) == (204, b"")
    for path in (f"{PROJECTS}/{slug}", f"/v1/projects/{slug}/db/c/docs"):
        assert code(app("GET", path, app.operator)) == "project_not_found"
    again = app("POST", PROJECTS, app.operator, {"slug": slug, "name": "x"})
    assert again.status_code == 201  # and empty
    path = f"/v1/projects/{slug}/db/c/count"
    assert app("POST", path, again.json()["secret_key"], {}).json() == {"total": 0}


@pytest.mark.parametrize("slug", ["ab", "a" * 41, "A-b", "a_b", "-ab", "ab-", None, "", "a b"])
def test_slugs(app: App, slug: Any) -> None:
    reply = app("POST", PROJECTS, app.operator, {"slug": slug, "name": "x"})
    assert (reply.status_code, code(reply)) == (422, "invalid")
    assert reply.json()["errors"][0]["field"] == "slug"


def test_keys_rotate(stack: Stack) -> None:
    with App(stack) as app:
        rotated = app("POST", f"{PROJECTS}/{app.slug}/keys:rotate", app.operator)
        assert rotated.status_code == 200
        assert rotated.json().keys() == app.project.keys()
        assert rotated.json()["secret_key"] != app.key
        assert app("GET", "/settings", rotated.json()["secret_key"]).status_code == 200
        time.sleep(1.2)
        assert code(app("GET", "/settings", app.key)) == "invalid_token"


def test_settings(app: App) -> None:
    changed = app("PATCH", "/settings", app.key, {"redirect_urls": ["https://a.example/cb"]})
    assert changed.status_code == 200
    assert app("GET", "/settings", app.operator).json() == changed.json()
    for wrong in ({"cors_origins": "https://a.example"}, {"no_such": 1}):
        reply = app("PATCH", "/settings", app.key, wrong)
        assert (reply.status_code, code(reply)) == (422, "invalid")
        assert reply.json()["errors"][0]["field"] in wrong
    assert code(app("GET", "/settings")) == "authentication_required"
    publishable = app.project["publishable_key"]
    assert code(app("GET", "/settings", publishable)) == "authentication_required"
    assert app("GET", "/settings", app.key).json() == changed.json()


def test_the_data_directory(stack: Stack) -> None:
    assert stack.data_dir.stat().st_mode & 0o777 == 0o700
    operator = stack.data_dir / "operator.json"
    assert operator.stat().st_mode & 0o777 == 0o600
    assert stack.operator.keys() == {"url", "email", "password", "token"}
    assert stack.operator["url"] == stack.url
    names = {"postgres", "redis", "web", "realtime", "dispatcher", "worker", "function-host"}
    assert stack.processes().keys() >= names
    assert all(process["pid"] > 0 for process in stack.processes().values())
