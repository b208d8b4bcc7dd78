"""One project's slow requests leave threads to the others."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from baas.kernel import db, fairness
from tests.installation import Client, Reply, TestProject

WORK = {"$map": {"input": {"$range": [0, 90000]}, "in": {"$size": {"$range": [0, 90000]}}}}
SLOW = {"pipeline": [{"$group": {"_id": None}}, {"$project": {"n": {"$size": WORK}}}]}


@pytest.fixture
def one_at_a_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import baas.wsgi  # noqa: F401 - sets the limit

    monkeypatch.setattr(fairness, "SLOW_S", 0.4)
    monkeypatch.setattr(fairness, "SLOW_BESIDE_SLOW_S", 0.2)
    before = fairness._most
    fairness.limit(1)
    yield
    fairness.limit(before)


def together(*calls: Callable[[], Any]) -> list[Any]:
    """What each of them gives, all at the same moment."""
    found: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        try:
            found[number] = calls[number]()
        except psycopg.Error as error:
            found[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def of(project_id: int, seconds: float) -> Callable[[], int]:
    """A request of the project that keeps the database busy for so long, and then asks again."""

    def work() -> int:
        fairness.enter(project_id)
        try:
            db.execute("SELECT pg_sleep(%s)", (seconds,))
            found = db.fetch_one("SELECT %s + 1", (project_id,))
            assert found is not None
            return int(found[0])
        finally:
            fairness.leave()

    return work


def test_what_is_too_much_of_one_project_is_cancelled(one_at_a_time: None) -> None:
    *first, second = together(of(1, 3), of(1, 3), of(1, 3), of(2, 3))
    assert second == 3
    assert sorted([type(each) for each in first], key=str) == [
        fairness.Refused, fairness.Refused, int,
    ]  # fmt: skip


def test_quick_requests_are_never_refused(one_at_a_time: None) -> None:
    assert together(*[of(1, 0.05)] * 8) == [2] * 8


def test_many_short_statements_of_a_request_count_together(one_at_a_time: None) -> None:
    def busy() -> str:
        fairness.enter(1)
        try:
            end = time.monotonic() + 3
            while time.monotonic() < end:
                db.execute("SELECT pg_sleep(0.05)", ())
            return "done"
        finally:
            fairness.leave()

    found = together(busy, busy)
    assert sorted([type(each) for each in found], key=str) == [fairness.Refused, str]


def test_the_refused_is_told_to_come_back_and_his_connection_goes_on(
    one_at_a_time: None, client: Client, project: TestProject
) -> None:
    path = f"{project.path}/db/notes"
    key = project.secret_key
    client.patch(f"{project.path}/settings", {"query_limits": {"timeout_ms": 3000}}, token=key)
    assert client.post(f"{path}/docs", {"_id": "a"}, token=key).status == 201

    def ask() -> tuple[Reply, Reply]:
        slow = client.post(f"{path}/aggregate", SLOW, token=key)
        return slow, client.get(f"{path}/docs/a", token=key)

    found = together(ask, ask, ask)
    assert [after.status for _, after in found] == [200] * 3
    codes = sorted([slow.code for slow, _ in found])
    assert codes == ["project_busy", "project_busy", "query_too_expensive"]
    refused = next(slow for slow, _ in found if slow.status == 503)
    assert int(refused.headers["retry-after"]) > 0


def test_a_write_by_filter_that_is_refused_changes_nothing(
    one_at_a_time: None, client: Client, project: TestProject
) -> None:
    path = f"{project.path}/db/notes"
    key = project.secret_key
    assert client.post(f"{path}/docs", {"_id": "a", "n": 1}, token=key).status == 201
    before = project.events()

    def change() -> Reply:
        filter = {"$expr": {"$gt": [{"$size": WORK}, 0]}}
        return client.post(
            f"{path}/update-many", {"filter": filter, "update": {"$inc": {"n": 1}}}, token=key
        )

    together(change, change, of(project.id, 3))
    assert client.get(f"{path}/docs/a", token=key).json["n"] == 1
    assert project.events() == before
