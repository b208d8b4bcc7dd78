"""What happens at the same moment."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection, transaction

from tests.installation import Client, TestProject

PASSWORD = "correct horse battery"


def _in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []

    def main() -> None:
        try:
            results.append(work())
        finally:
            connection.close()

    thread = threading.Thread(target=main)
    thread.start()
    return thread, results


def _ban(project: TestProject, uid: str) -> None:
    from auth import sessions, users

    users.save(replace(users.lock(project.id, uid), banned=True), project.id)
    sessions.revoke_all(project.id, uid, "ban")


def _live_sessions(project: TestProject) -> int:
    from baas.kernel import db

    row = db.fetch_one(
        "SELECT count(*) FROM baas_auth_session WHERE project_id = %s AND revoked_at IS NULL",
        (project.id,),
    )
    assert row is not None
    return int(row[0])


def test_a_sign_in_during_a_ban_gets_no_session(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    uid = sign_up()["user"]["id"]
    body = {"email": "alice@example.com", "password": PASSWORD}
    with transaction.atomic():
        _ban(project, uid)
        signing_in, replies = _in_thread(lambda: client.post(f"{project.path}/auth/sign-in", body))
        signing_in.join(0.5)
        assert signing_in.is_alive()  # the ban is not committed: it waits for it
    signing_in.join(10)
    assert replies[0].code == "user_banned"
    assert _live_sessions(project) == 0
    assert project.events("%signed_in") == []


def test_a_ban_during_a_sign_in_ends_the_new_session(project: TestProject, sign_up: Any) -> None:
    from auth import sessions
    from auth.sessions import Device

    uid = sign_up()["user"]["id"]

    def ban() -> None:
        with transaction.atomic():
            _ban(project, uid)

    with transaction.atomic():
        assert sessions.open(project.id, uid, "password", Device()) is not None
        banning, _ = _in_thread(ban)
        banning.join(0.5)
        assert banning.is_alive()
    banning.join(10)
    assert _live_sessions(project) == 0


def test_of_two_sign_ups_with_one_address_one_succeeds(
    client: Client, project: TestProject
) -> None:
    body = {"email": "alice@example.com", "password": PASSWORD}
    threads = [
        _in_thread(lambda: client.post(f"{project.path}/auth/sign-up", body)) for _ in range(4)
    ]
    for thread, _ in threads:
        thread.join(20)
    assert sorted(results[0].status for _, results in threads) == [201, 409, 409, 409]
    assert len(project.events()) == 1


def test_changes_of_data_at_the_same_time_are_all_kept(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    token = sign_up()["access_token"]
    threads = [
        _in_thread(
            lambda n=n: client.patch(f"{project.path}/auth/me", {"data": {str(n): n}}, token=token)
        )
        for n in range(6)
    ]
    for thread, _ in threads:
        thread.join(20)
    data = client.get(f"{project.path}/auth/me", token=token).json["data"]
    assert data == {str(n): n for n in range(6)}


def test_processes_that_need_the_first_key_at_once_agree_on_one(project: TestProject) -> None:
    from auth import signing_keys

    threads = [_in_thread(lambda: signing_keys.in_force(project.id).kid) for _ in range(5)]
    for thread, _ in threads:
        thread.join(20)
    assert len({results[0] for _, results in threads}) == 1


def test_a_slow_refresh_does_not_turn_the_family_back(
    client: Client, project: TestProject, sign_up: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auth import sessions
    from baas.kernel import db

    parent = sign_up()["refresh_token"]

    def refresh(token: str) -> Any:
        return client.post(f"{project.path}/auth/refresh", {"refresh_token": token})

    real = db.fetch_one
    grandchildren: list[str] = []

    def slow(query: Any, params: Any = None) -> Any:
        row = real(query, params)
        if query is sessions._READ and not grandchildren:
            grandchildren.append("")  # once: what comes now is somebody else's, in between
            child = refresh(parent).json["refresh_token"]
            grandchildren[0] = refresh(child).json["refresh_token"]
        return row

    monkeypatch.setattr(db, "fetch_one", slow)
    late = refresh(parent)
    monkeypatch.undo()
    assert late.code == "refresh_token_reused"
    row = db.fetch_one(
        "SELECT generation FROM baas_auth_session WHERE project_id = %s", (project.id,)
    )
    assert row == (2,)
