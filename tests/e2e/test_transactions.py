"""Interactive transactions over the wire: any process may die while one is open."""

from collections.abc import Iterator

import httpx
import pytest

from .conftest import Stack, wait_until
from .contract import App, code


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        yield app


def begin(app: App) -> dict[str, str]:
    reply = app("POST", "/db/transactions", app.key)
    assert reply.status_code == 201, reply.text
    assert reply.json().keys() == {"id", "expires_at"}
    return {"X-Transaction": reply.json()["id"]}


def end(app: App, inside: dict[str, str], how: str, **headers: str) -> httpx.Response:
    path = f"/db/transactions/{inside['X-Transaction']}/{how}"
    return app("POST", path, app.key, headers=headers)


def test_it_commits_together(app: App) -> None:
    app("POST", "/db/tx/docs", app.key, {"_id": "a", "n": 1})
    before = app.events()
    inside = begin(app)
    assert app("GET", "/db/tx/docs/a", app.key, headers=inside).json()["n"] == 1
    assert app("PATCH", "/db/tx/docs/a", app.key, {"n": 2}, inside).json()["n"] == 2
    assert app("POST", "/db/tx/docs", app.key, {"_id": "b"}, inside).status_code == 201
    assert app("POST", "/db/tx/count", app.key, {}, inside).json() == {"total": 2}
    assert app("POST", "/db/tx/count", app.key, {}).json() == {"total": 1}
    assert app.events() == before
    assert end(app, inside, "commit").status_code == 200
    assert app("GET", "/db/tx/docs/a", app.key).json()["n"] == 2
    assert app.events() == before + 2
    assert code(end(app, inside, "commit")) == "transaction_not_found"


def test_the_web_process_may_be_killed_between_its_calls(app: App, stack: Stack) -> None:
    inside = begin(app)
    made = app("POST", "/db/tx/docs", app.key, {"n": 7}, inside).json()
    stack.kill_and_wait("web")
    seen = app("GET", f"/db/tx/docs/{made['_id']}", app.key, headers=inside)
    assert seen.json() == made
    stack.kill_and_wait("web")
    assert end(app, inside, "commit").status_code == 200
    assert app("GET", f"/db/tx/docs/{made['_id']}", app.key).json() == made


def test_a_crash_of_the_database_ends_it_and_leaves_nothing(app: App, stack: Stack) -> None:
    inside = begin(app)
    assert app("POST", "/db/tx/docs", app.key, {"_id": "lost"}, inside).status_code == 201
    before = app.events()
    stack.kill_and_wait("postgres")
    # Connections from before the crash are answered with 503 once.
    wait_until(lambda: app("GET", "/db/tx/docs/a", app.key).status_code == 200)
    wait_until(lambda: code(end(app, inside, "commit")) == "transaction_not_found")
    assert app("GET", "/db/tx/docs/lost", app.key).status_code == 404
    assert app.events() == before


def test_a_conflict_ends_it_and_the_retry_works(app: App) -> None:
    app("PUT", "/db/tx/docs/c", app.key, {"n": 1})
    first, second = begin(app), begin(app)
    for inside in (first, second):
        n = app("GET", "/db/tx/docs/c", app.key, headers=inside).json()["n"]
        app("PATCH", "/db/tx/docs/c", app.key, {"n": n + 1}, inside)
    assert end(app, first, "commit").status_code == 200
    conflict = end(app, second, "commit")
    assert (conflict.status_code, code(conflict)) == (409, "transaction_conflict")
    assert app("GET", "/db/tx/docs/c", app.key).json()["n"] == 2


def test_idempotency_keys(app: App) -> None:
    inside = begin(app)
    headers = inside | {"Idempotency-Key": "create-1"}
    first = app("POST", "/db/tx/docs", app.key, {"k": 1}, headers)
    again = app("POST", "/db/tx/docs", app.key, {"k": 1}, headers)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    done = end(app, inside, "commit", **{"Idempotency-Key": "commit-1"})
    repeated = end(app, inside, "commit", **{"Idempotency-Key": "commit-1"})
    assert (done.status_code, repeated.json()) == (200, done.json())
    found = app("POST", "/db/tx/query", app.key, {"filter": {"k": 1}}).json()["items"]
    assert len(found) == 1


def test_a_collection_of_this_name_is_an_ordinary_one(app: App) -> None:
    for id in ("commit", "rollback", "x"):
        assert app("PUT", f"/db/transactions/docs/{id}", app.key, {"n": 1}).status_code == 201
        assert app("GET", f"/db/transactions/docs/{id}", app.key).json()["n"] == 1
    assert len(app("GET", "/db/transactions/docs", app.key).json()["items"]) == 3
