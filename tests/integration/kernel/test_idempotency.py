"""Idempotency-Key, on both doors and against the ways in which requests die."""

import threading
import time
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from baas.kernel import db, idempotency, ids
from baas.kernel.http.request import Response, json_response
from baas.kernel.problems import (
    Conflict,
    Internal,
    Invalid,
    Malformed,
    NotFound,
    Problem,
    TooMany,
    Unauthenticated,
)
from tests.installation import Client, TestProject


def run(handle: Any, **given: Any) -> Response:
    """`idempotency.run` for one caller; a failing handler is rendered as its code."""
    return idempotency.run(
        **{
            "key": "key",
            "identity": "user:alice",
            "project_id": 1,
            "method": "POST",
            "path": "/x",
            "body": b"{}",
            "mode": "atomic",
            "handle": handle,
            "render": lambda problem: json_response(problem.code, problem.status),
            **given,
        }
    )


@pytest.fixture
def key(installation: None) -> str:
    return ids.new_id()


class Counter:
    """A handler that counts its calls, and may leave a trace in the database."""

    def __init__(self, project: TestProject | None = None, error: Problem | None = None) -> None:
        self.calls = 0
        self._project = project
        self._error = error

    def __call__(self) -> Response:
        self.calls += 1
        if self._project is not None:
            db.execute(
                "UPDATE kernel_project SET name = %s WHERE id = %s",
                (f"written {self.calls}", self._project.id),
            )
        if self._error is not None:
            raise self._error
        return json_response({"call": self.calls}, 201, [("ETag", '"1"')])


def _name(project: TestProject) -> str:
    row = db.fetch_one("SELECT name FROM kernel_project WHERE id = %s", (project.id,))
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize("mode", ["atomic", "after"])
def test_a_repeat_gets_the_first_reply(key: str, mode: str) -> None:
    handle = Counter()
    first = run(handle, key=key, mode=mode)
    again = run(handle, key=key, mode=mode)
    assert handle.calls == 1
    assert (again.status, again.body) == (201, first.body)
    assert ("ETag", '"1"') in again.headers
    assert ("Idempotency-Replayed", "true") in again.headers
    assert ("Idempotency-Replayed", "true") not in first.headers


@pytest.mark.parametrize(
    "other", [{"identity": "user:bob"}, {"path": "/y"}, {"method": "PUT"}, {"project_id": 2}]
)
def test_a_key_belongs_to_its_caller_and_address(key: str, other: dict[str, Any]) -> None:
    handle = Counter()
    run(handle, key=key)
    run(handle, key=key, **other)
    assert handle.calls == 2


def test_another_body_is_refused(key: str) -> None:
    handle = Counter()
    run(handle, key=key)
    with pytest.raises(Invalid) as refused:
        run(handle, key=key, body=b'{"other":1}')
    assert refused.value.code == "idempotency_key_reused"
    assert handle.calls == 1


@pytest.mark.parametrize("bad", ["", "x" * 256, "a\nb"])
def test_a_key_that_is_none_is_refused(bad: str, installation: None) -> None:
    with pytest.raises(Malformed):
        run(Counter(), key=bad)


@pytest.mark.parametrize("mode", ["atomic", "after"])
def test_a_refusal_is_repeated_and_a_failure_is_not(key: str, mode: str) -> None:
    refusal = Counter(error=NotFound("Not there."))
    assert [run(refusal, key=key, mode=mode).status for _ in range(2)] == [404, 404]
    assert refusal.calls == 1
    for error in (Internal("Broken."), TooMany("Wait."), Unauthenticated("Who are you?")):
        failure = Counter(error=error)
        for _ in range(2):
            assert run(failure, key=key + error.code, mode=mode).status == error.status
        assert failure.calls == 2


def test_a_refused_write_is_undone_and_its_reply_kept(key: str, project: TestProject) -> None:
    run(Counter(project, Conflict("No.")), key=key)
    assert _name(project) == project.slug
    assert run(Counter(project), key=key).status == 409


def test_write_and_reply_are_stored_together_or_not_at_all(
    key: str, project: TestProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise psycopg.OperationalError("the server went away")

    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "_store", broken)
        with pytest.raises(psycopg.OperationalError):
            run(Counter(project), key=key)
    assert _name(project) == project.slug
    run(Counter(project), key=key)
    assert _name(project) == "written 1"


def _in_thread(work: Any) -> threading.Thread:
    def main() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=main)
    thread.start()
    return thread


@pytest.mark.parametrize("mode", ["atomic", "after"])
def test_a_parallel_repeat_waits_for_the_first(key: str, mode: str) -> None:
    handle = Counter()
    started, go = threading.Event(), threading.Event()

    def slow() -> Response:
        started.set()
        assert go.wait(10)
        return handle()

    replies: list[Response] = []
    first = _in_thread(lambda: replies.append(run(slow, key=key, mode=mode)))
    assert started.wait(10)
    second = _in_thread(lambda: replies.append(run(handle, key=key, mode=mode)))
    second.join(0.3)
    assert second.is_alive()  # it waits
    go.set()
    first.join(10)
    second.join(10)
    assert handle.calls == 1
    assert replies[0].body == replies[1].body


def test_a_parallel_repeat_does_not_wait_for_ever(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "WAIT_S", 1)
    started, go = threading.Event(), threading.Event()

    def slow() -> Response:
        started.set()
        assert go.wait(10)
        return Response()

    first = _in_thread(lambda: run(slow, key=key))
    assert started.wait(10)
    began = time.monotonic()
    with pytest.raises(Conflict) as refused:
        run(Counter(), key=key)
    assert refused.value.code == "idempotency_in_progress"
    assert 0.9 < time.monotonic() - began < 5
    go.set()
    first.join(10)
    # Nothing of the wait is left behind on this connection.
    assert db.fetch_one("SHOW lock_timeout") == ("0",)
    assert not db.in_transaction()


def test_a_first_call_whose_connection_dies_leaves_nothing(key: str, project: TestProject) -> None:
    started, die = threading.Event(), threading.Event()
    failures: list[BaseException] = []
    backend: list[int] = []

    def killed() -> Response:
        Counter(project)()
        row = db.fetch_one("SELECT pg_backend_pid()")
        assert row is not None
        backend.append(row[0])
        started.set()
        assert die.wait(10)
        db.execute("SELECT 1")
        return Response()

    def first() -> None:
        try:
            run(killed, key=key)
        except Exception as error:  # noqa: BLE001 - which one it is, is the driver's affair
            failures.append(error)

    thread = _in_thread(first)
    assert started.wait(10)
    db.execute("SELECT pg_terminate_backend(%s)", (backend[0],))
    die.set()
    thread.join(10)
    assert len(failures) == 1
    assert _name(project) == project.slug
    began = time.monotonic()
    assert run(Counter(project), key=key).status == 201
    assert time.monotonic() - began < 5  # no lock of the dead one is in the way
    assert _name(project) == "written 1"


def test_it_works_within_a_transaction_of_the_caller(key: str) -> None:
    with transaction.atomic():
        assert run(Counter(), key=key).status == 201
    assert ("Idempotency-Replayed", "true") in run(Counter(), key=key).headers


def test_replies_older_than_a_day_are_forgotten(key: str) -> None:
    handle = Counter()
    run(handle, key=key)
    db.execute("UPDATE kernel_firstreply SET created_at = created_at - interval '25 hours'")
    run(handle, key=key)
    assert handle.calls == 2
    db.execute("UPDATE kernel_firstreply SET created_at = created_at - interval '25 hours'")
    assert idempotency.sweep() >= 1
    assert db.fetch_one("SELECT count(*) FROM kernel_firstreply") == (0,)


def test_a_key_does_not_lift_the_limit_of_a_body(client: Client, project: TestProject) -> None:
    reply = client.post(
        f"{project.path}/auth/sign-up",
        {"email": "a@example.com", "password": "x" * 2_000_000},
        headers={"Idempotency-Key": ids.new_id()},
    )
    assert (reply.status, reply.code) == (413, "body_too_large")
    reply = client.post(
        f"{project.path}/users",
        {"email": "a@example.com", "password": "x" * 2_000_000},
        token=project.secret_key,
        headers={"Idempotency-Key": ids.new_id()},
    )
    assert (reply.status, reply.code) == (413, "body_too_large")


def test_the_control_plane_keeps_its_promise_too(client: Client, operator_token: str) -> None:
    headers = {"Idempotency-Key": ids.new_id()}
    slug = "idem-" + ids.new_id()[-8:]
    first = client.post("/v1/admin/projects", {"slug": slug}, token=operator_token, headers=headers)
    again = client.post("/v1/admin/projects", {"slug": slug}, token=operator_token, headers=headers)
    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    other = client.post(
        "/v1/admin/projects", {"slug": slug + "x"}, token=operator_token, headers=headers
    )
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    # Somebody else's token with the same key is somebody else.
    stranger = client.post(
        "/v1/admin/projects", {"slug": slug}, token="pat_unknown", headers=headers
    )
    assert stranger.status == 401
