"""Health, CORS, and the doors' manners."""

from typing import Any

import psycopg
import pytest

from tests.installation import Client, TestProject


def test_the_process_is_up_whatever_its_parts_do(client: Client) -> None:
    assert client.get("/healthz").json == {"status": "ok"}


def test_ready_names_the_part_that_fails(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from baas.kernel import health

    monkeypatch.setattr(health, "_checks", {"database": health._database, "redis": health._redis})
    ready = client.get("/readyz")
    assert (ready.status, ready.json["failing"]) == (200, [])

    def broken() -> None:
        raise OSError("no route to host")

    health.register("object_store", broken)
    reply = client.get("/readyz")
    assert (reply.status, reply.json["failing"]) == (503, ["object_store"])
    assert reply.json["parts"]["object_store"] == {"ok": False, "detail": "no route to host"}
    assert reply.json["parts"]["database"]["ok"] is True
    assert reply.headers["retry-after"]


def test_ready_does_not_wait_for_a_part_that_hangs(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading
    import time

    from baas.kernel import health

    released = threading.Event()
    monkeypatch.setattr(health, "_checks", {"host": lambda: released.wait(20) and None})
    monkeypatch.setattr(health, "CHECK_TIMEOUT_S", 0.2)
    began = time.monotonic()
    reply = client.get("/readyz")
    released.set()
    assert time.monotonic() - began < 5
    assert (reply.status, reply.json["failing"]) == (503, ["host"])


def test_metrics_count_requests_by_route(client: Client, project: TestProject) -> None:
    client.get(f"{project.path}/auth/me")
    body = client.get("/metrics").body.decode()
    assert 'route="/v1/projects/{project}/auth/me",status="401"' in body
    assert project.slug not in body


PREFLIGHT = {
    "Origin": "https://app.example.com",
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "authorization,x-custom",
}


def _allow(client: Client, project: TestProject, *origins: str) -> None:
    reply = client.patch(
        f"{project.path}/settings", {"cors_origins": list(origins)}, token=project.secret_key
    )
    assert reply.status == 200


@pytest.mark.parametrize("path", ["/auth/me", "/settings", "/users"])
def test_browsers_of_a_listed_origin_are_let_in_on_both_doors(
    client: Client, project: TestProject, path: str
) -> None:
    _allow(client, project, "https://app.example.com")
    preflight = client.request("OPTIONS", project.path + path, headers=PREFLIGHT)
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "authorization,x-custom"
    reply = client.get(project.path + path, headers={"Origin": "https://app.example.com"})
    assert reply.status == 401  # a refusal must be readable for the app, too
    assert reply.headers["access-control-allow-origin"] == "https://app.example.com"
    assert reply.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "https://app.example.com.evil.com", "null", ""]
)
def test_other_origins_get_no_permission(client: Client, project: TestProject, origin: str) -> None:
    _allow(client, project, "https://app.example.com")
    headers = {**PREFLIGHT, "Origin": origin}
    preflight = client.request("OPTIONS", f"{project.path}/auth/me", headers=headers)
    assert "access-control-allow-origin" not in preflight.headers
    reply = client.get(f"{project.path}/auth/me", headers={"Origin": origin})
    assert "access-control-allow-origin" not in reply.headers
    assert reply.headers["vary"] == "Origin"


def test_an_origin_is_let_in_by_its_own_project_only(
    client: Client, project: TestProject, make_project: Any
) -> None:
    _allow(client, project, "https://app.example.com")
    reply = client.get(
        f"{make_project().path}/auth/me", headers={"Origin": "https://app.example.com"}
    )
    assert "access-control-allow-origin" not in reply.headers


def test_a_lost_database_connection_is_one_retried_read_or_an_honest_503(
    client: Client, project: TestProject
) -> None:
    from django.db import connection

    from baas.kernel import db

    def kill() -> None:
        row = db.fetch_one("SELECT pg_backend_pid()")
        assert row is not None
        params = connection.get_connection_params()
        params = {k: v for k, v in params.items() if k not in ("cursor_factory", "context")}
        with psycopg.connect(**params) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (row[0],))

    kill()
    assert client.get(f"{project.path}/.well-known/jwks.json").status == 200
    kill()
    lost = client.post(f"{project.path}/auth/anonymous")
    assert (lost.status, lost.code) == (503, "service_unavailable")
    assert lost.headers["retry-after"]
    assert client.post(f"{project.path}/auth/anonymous").status == 201


def test_an_unexpected_error_is_a_500_without_a_trace_of_it(
    client: Client, project: TestProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auth import accounts, users

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the secret plan")

    monkeypatch.setattr(accounts, "sign_in_anonymously", broken)
    monkeypatch.setattr(users, "page", broken)
    slim = client.post(f"{project.path}/auth/anonymous")
    django = client.get(f"{project.path}/users", token=project.secret_key)
    for reply in (slim, django):
        assert (reply.status, reply.code) == (500, "internal_error")
        assert b"secret plan" not in reply.body
        assert b"Traceback" not in reply.body
