"""Refresh tokens, sign-out, and how long what was ended still works."""

import threading
from typing import Any

import pytest

from tests.installation import Client, TestProject

PASSWORD = "correct horse battery"


def refresh(client: Client, project: TestProject, token: str) -> Any:
    return client.post(f"{project.path}/auth/refresh", {"refresh_token": token})


def age(session_of: str, seconds: int) -> None:
    """Make the last rotation of the session longer ago."""
    from auth import refresh_tokens
    from baas.kernel import db

    parsed = refresh_tokens.parse(session_of)
    assert parsed is not None
    db.execute(
        "UPDATE baas_auth_session SET rotated_at = rotated_at - make_interval(secs => %s)"
        " WHERE id = %s",
        (seconds, parsed.session_id),
    )


def me(client: Client, project: TestProject, token: str) -> int:
    return client.get(f"{project.path}/auth/me", token=token).status


def test_a_refresh_token_is_exchanged_for_the_next_one(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    grant = sign_up()
    first = refresh(client, project, grant["refresh_token"])
    assert first.status == 200
    assert first.json["refresh_token"] != grant["refresh_token"]
    assert first.json["user"] == grant["user"]
    second = refresh(client, project, first.json["refresh_token"])
    assert second.status == 200
    assert me(client, project, second.json["access_token"]) == 200
    assert project.events() == [("baas.auth.user.created", grant["user"]["id"])]


def test_the_same_parent_gets_the_same_child_for_ten_seconds(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    parent = sign_up()["refresh_token"]
    child = refresh(client, project, parent).json["refresh_token"]
    age(parent, 8)
    assert refresh(client, project, parent).json["refresh_token"] == child


def test_parallel_tabs_get_one_child(client: Client, project: TestProject, sign_up: Any) -> None:
    from django.db import connection

    parent = sign_up()["refresh_token"]
    children: list[str] = []
    barrier = threading.Barrier(6)

    def tab() -> None:
        try:
            barrier.wait()
            children.append(refresh(client, project, parent).json["refresh_token"])
        finally:
            connection.close()

    tabs = [threading.Thread(target=tab) for _ in range(6)]
    for thread in tabs:
        thread.start()
    for thread in tabs:
        thread.join()
    assert len(children) == 6
    assert len(set(children)) == 1
    assert children[0] != parent


def test_a_later_reuse_ends_the_whole_family(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    from auth import principals

    grant = sign_up()
    parent = grant["refresh_token"]
    child = refresh(client, project, parent).json
    other = client.post(
        f"{project.path}/auth/sign-in", {"email": "alice@example.com", "password": PASSWORD}
    ).json
    age(parent, 11)
    before = project.events()
    reused = refresh(client, project, parent)
    assert (reused.status, reused.code) == (401, "refresh_token_reused")
    legitimate = refresh(client, project, child["refresh_token"])
    assert (legitimate.status, legitimate.code) == (401, "refresh_token_reused")
    principals.forget()  # what another process does within RECHECK_S
    assert me(client, project, child["access_token"]) == 401
    assert me(client, project, other["access_token"]) == 200
    assert refresh(client, project, other["refresh_token"]).status == 200
    assert project.events() == before


def test_a_grandparent_is_reuse_even_at_once(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    grandparent = sign_up()["refresh_token"]
    parent = refresh(client, project, grandparent).json["refresh_token"]
    assert refresh(client, project, parent).status == 200
    assert refresh(client, project, grandparent).code == "refresh_token_reused"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-2] + ("AA" if token[-2:] != "AA" else "BB"),
        lambda token: "rt_" + token[3:].swapcase(),
        lambda token: token[3:],
        lambda token: token[:40],
        lambda token: "rt_",
        lambda token: "rt_" + "A" * 84,
        lambda token: "rt_é",
        lambda token: "x" * 100_000,
    ],
)
def test_a_token_that_is_none_ends_nothing(
    client: Client, project: TestProject, sign_up: Any, spoil: Any
) -> None:
    token = sign_up()["refresh_token"]
    reply = refresh(client, project, spoil(token))
    assert (reply.status, reply.code) == (401, "invalid_token")
    assert refresh(client, project, token).status == 200


def test_a_refresh_token_is_good_in_its_project_only(
    client: Client, project: TestProject, make_project: Any, sign_up: Any
) -> None:
    token = sign_up()["refresh_token"]
    assert refresh(client, make_project(), token).code == "invalid_token"
    assert refresh(client, project, token).status == 200


def test_a_session_that_was_not_refreshed_for_its_days_is_over(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    from baas.kernel import db

    token = sign_up()["refresh_token"]
    db.execute(
        "UPDATE baas_auth_session SET expires_at = now() - interval '1 s' WHERE project_id = %s",
        (project.id,),
    )
    assert refresh(client, project, token).code == "invalid_token"


def test_neither_the_database_nor_the_key_alone_makes_a_refresh_token(
    project: TestProject, sign_up: Any
) -> None:
    from auth import refresh_tokens
    from baas.kernel import db

    token = sign_up()["refresh_token"]
    parsed = refresh_tokens.parse(token)
    assert parsed is not None
    row = db.fetch_one("SELECT to_jsonb(s)::text FROM baas_auth_session s WHERE id = %s",
                       (parsed.session_id,))  # fmt: skip
    assert row is not None
    assert parsed.proof.hex() not in row[0]
    assert not parsed.is_genuine(b"another session's")


def test_signing_out_ends_this_session_alone(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    phone = sign_up()
    laptop = sign_in(client, project)
    reply = client.post(f"{project.path}/auth/sign-out", token=phone["access_token"])
    assert (reply.status, reply.body) == (204, b"")
    assert me(client, project, phone["access_token"]) == 401
    assert refresh(client, project, phone["refresh_token"]).code == "invalid_token"
    assert me(client, project, laptop["access_token"]) == 200


def test_signing_out_the_others_keeps_this_one(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    phone, laptop = sign_up(), sign_in(client, project)
    client.post(f"{project.path}/auth/sign-out", {"scope": "others"}, token=phone["access_token"])
    assert me(client, project, phone["access_token"]) == 200
    assert me(client, project, laptop["access_token"]) == 401


def test_signing_out_globally_ends_all_of_this_user_and_nobody_elses(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    phone, laptop = sign_up(), sign_in(client, project)
    bob = sign_up("bob@example.com")
    client.post(f"{project.path}/auth/sign-out", {"scope": "global"}, token=phone["access_token"])
    assert me(client, project, phone["access_token"]) == 401
    assert me(client, project, laptop["access_token"]) == 401
    assert me(client, project, bob["access_token"]) == 200


@pytest.mark.parametrize("scope", ["everywhere", 1, None, ["local"]])
def test_it_refuses_an_unknown_scope(
    client: Client, project: TestProject, sign_up: Any, scope: Any
) -> None:
    token = sign_up()["access_token"]
    reply = client.post(f"{project.path}/auth/sign-out", {"scope": scope}, token=token)
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, "scope")
    assert me(client, project, token) == 200


def test_another_process_hears_of_a_sign_out_within_the_recheck_time(
    client: Client, project: TestProject, sign_up: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auth import principals, refresh_tokens, sessions

    grant = sign_up()
    assert me(client, project, grant["access_token"]) == 200
    parsed = refresh_tokens.parse(grant["refresh_token"])
    assert parsed is not None
    sessions.revoke(project.id, parsed.session_id, "sign_out")  # without telling this process
    assert me(client, project, grant["access_token"]) == 200
    now = principals.time.monotonic()
    monkeypatch.setattr(principals.time, "monotonic", lambda: now + principals.RECHECK_S + 0.001)
    assert me(client, project, grant["access_token"]) == 401


def test_swept_sessions_are_the_old_ones(project: TestProject, sign_up: Any) -> None:
    from auth import sessions
    from baas.kernel import db

    sign_up()
    sign_up("bob@example.com")
    db.execute(
        "UPDATE baas_auth_session SET revoked_at = now() - interval '8 days' WHERE user_id ="
        " (SELECT uid FROM baas_auth_user WHERE email = 'bob@example.com' AND project_id = %s)",
        (project.id,),
    )
    sessions.sweep()
    rows = db.fetch_all("SELECT 1 FROM baas_auth_session WHERE project_id = %s", (project.id,))
    assert len(rows) == 1


def sign_in(client: Client, project: TestProject) -> Any:
    reply = client.post(
        f"{project.path}/auth/sign-in", {"email": "alice@example.com", "password": PASSWORD}
    )
    assert reply.status == 200
    return reply.json
