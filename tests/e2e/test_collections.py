"""Collections on the running stack: a worker builds indexes, a dispatcher deletes what expires."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .conftest import Stack
from .contract import App, code


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        yield app


def wait(until: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = until()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s")


def test_a_large_collection_gets_its_indexes_from_a_worker(app: App) -> None:
    for start in range(0, 2500, 500):
        documents = [{"_id": f"{n:05}", "title": f"word{n} 云函数", "v": [n, 1, 2]}
                     for n in range(start, start + 500)]  # fmt: skip
        assert app("POST", "/db/many/docs", app.key, documents).status_code == 201
    declared = {
        "indexes": [
            {"fields": ["title"], "type": "text"},
            {"fields": ["v"], "type": "vector", "dimensions": 3, "metric": "l2"},
        ]
    }
    reply = app("PUT", "/collections/many", app.key, declared)
    assert reply.status_code == 200
    assert [index["state"] for index in reply.json()["indexes"]] == ["building", "building"]

    def ready() -> bool:
        indexes = app("GET", "/collections/many", app.key).json()["indexes"]
        assert "failed" not in [index["state"] for index in indexes], indexes
        return all(index["state"] == "ready" for index in indexes)

    # By the hint at once; by the sweep within a minute, should that be lost.
    wait(ready, 90)
    search = {"filter": {"$text": {"$search": "word77"}}}
    found = app("POST", "/db/many/query", app.key, search).json()["items"]
    assert [item["_id"] for item in found] == ["00077"]
    near = {"near_vector": {"field": "v", "vector": [77.2, 1, 2], "limit": 2}}
    found = app("POST", "/db/many/query", app.key, near).json()
    assert [item["_id"] for item in found["items"]] == ["00077", "00078"]
    assert found["distances"] == pytest.approx([0.2, 0.8], abs=1e-4)
    shown = app("GET", "/collections/many", app.key).json()
    assert shown["documents"] == 2500
    assert shown["size_bytes"] > 100_000


def test_documents_expire_within_a_minute_or_so(app: App) -> None:
    assert app("PUT", "/collections/short", app.key, {"ttl_field": "at"}).status_code == 201
    documents = [
        {"_id": "past", "at": {"$date": "2020-01-01T00:00:00Z"}},
        {"_id": "future", "at": {"$date": "2999-01-01T00:00:00Z"}},
    ]
    assert app("POST", "/db/short/docs", app.key, documents).status_code == 201
    wait(lambda: app("GET", "/db/short/docs/past", app.key).status_code == 404, 100)
    assert app("GET", "/db/short/docs/future", app.key).status_code == 200
    events = app("GET", "/events?type=baas.db.document.deleted", app.key).json()["items"]
    assert [event["subject"] for event in events] == ["short/past"]


def test_a_full_collection_and_a_new_name(app: App) -> None:
    assert app("PUT", "/collections/few", app.key, {"max_docs": 1}).status_code == 201
    assert app("POST", "/db/few/docs", app.key, {"_id": "a"}).status_code == 201
    full = app("POST", "/db/few/docs", app.key, {"_id": "b"})
    assert (full.status_code, code(full)) == (409, "collection_full")
    assert app("POST", "/collections/few:rename", app.key, {"to": "other"}).status_code == 200
    assert app("GET", "/db/other/docs/a", app.key).status_code == 200
    assert app("GET", "/db/few/docs/a", app.key).status_code == 404
    assert app("POST", "/db/other/docs", app.key, {"_id": "b"}).status_code == 409
