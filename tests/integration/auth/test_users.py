"""A user's own account, and the users of a project as its secret key sees them."""

from typing import Any

import jwt
import pytest

from tests.installation import Client, TestProject

PASSWORD = "correct horse battery"


def test_a_users_data_is_changed_by_a_merge_patch(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    grant = sign_up(data={"name": "Alice", "theme": {"dark": True, "size": 2}})
    reply = client.patch(
        f"{project.path}/auth/me",
        {"data": {"name": None, "theme": {"size": 3}, "tags": ["a"]}},
        token=grant["access_token"],
    )
    assert reply.status == 200
    assert reply.json["data"] == {"theme": {"dark": True, "size": 3}, "tags": ["a"]}
    me = client.get(f"{project.path}/auth/me", token=grant["access_token"])
    assert me.json == reply.json


@pytest.mark.parametrize("field", ["email", "role", "claims", "banned", "id", "password"])
def test_users_do_not_change_what_is_not_theirs(
    client: Client, project: TestProject, sign_up: Any, field: str
) -> None:
    grant = sign_up()
    reply = client.patch(
        f"{project.path}/auth/me", {field: "x", "data": {"a": 1}}, token=grant["access_token"]
    )
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, field)
    assert client.get(f"{project.path}/auth/me", token=grant["access_token"]).json == grant["user"]


def test_data_does_not_grow_without_bound(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    token = sign_up(data={"a": "x" * 10_000})["access_token"]
    reply = client.patch(f"{project.path}/auth/me", {"data": {"b": "x" * 10_000}}, token=token)
    assert (reply.status, reply.json["errors"][0]["code"]) == (422, "too_large")


def test_a_deleted_account_is_gone_with_its_sessions_and_announced(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    grant = sign_up()
    reply = client.delete(f"{project.path}/auth/me", token=grant["access_token"])
    assert reply.status == 204
    assert client.get(f"{project.path}/auth/me", token=grant["access_token"]).status == 401
    body = {"refresh_token": grant["refresh_token"]}
    assert client.post(f"{project.path}/auth/refresh", body).status == 401
    body = {"email": "alice@example.com", "password": PASSWORD}
    assert client.post(f"{project.path}/auth/sign-in", body).code == "invalid_credentials"
    assert project.events()[-1] == ("baas.auth.user.deleted", grant["user"]["id"])
    assert sign_up()["user"]["id"] != grant["user"]["id"]


def test_me_is_for_users(client: Client, project: TestProject) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        path = f"{project.path}/auth/me"
        anonymous = client.request(method, path, json={})
        assert (anonymous.status, anonymous.code) == (401, "authentication_required")
        key = client.request(method, path, json={}, token=project.secret_key)
        assert (key.status, key.code) == (403, "rule_denied")
    assert project.events() == []


def test_a_secret_key_makes_users_who_then_sign_in(client: Client, project: TestProject) -> None:
    made = client.post(
        f"{project.path}/users",
        {
            "email": "Bob@example.com",
            "password": PASSWORD,
            "role": "editor",
            "claims": {"team": 7},
            "data": {"n": 1},
        },
        token=project.secret_key,
    )
    assert made.status == 201
    assert (made.json["email"], made.json["role"]) == ("bob@example.com", "editor")
    assert (made.json["claims"], made.json["data"]) == ({"team": 7}, {"n": 1})
    assert made.json["last_sign_in_at"] is None
    assert project.events() == [("baas.auth.user.created", made.json["id"])]
    body = {"email": "bob@example.com", "password": PASSWORD}
    token = client.post(f"{project.path}/auth/sign-in", body).json["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["role"], claims["claims"]) == ("editor", {"team": 7})


def test_a_user_without_password_cannot_sign_in_by_one(
    client: Client, project: TestProject
) -> None:
    made = client.post(
        f"{project.path}/users", {"email": "bob@example.com"}, token=project.secret_key
    )
    assert (made.status, made.json["identities"]) == (201, [])
    for password in (PASSWORD, "", "null"):
        body = {"email": "bob@example.com", "password": password}
        assert client.post(f"{project.path}/auth/sign-in", body).code == "invalid_credentials"


def test_users_are_listed_page_by_page(client: Client, project: TestProject) -> None:
    made = [
        client.post(
            f"{project.path}/users", {"email": f"u{n}@example.com"}, token=project.secret_key
        ).json["id"]
        for n in range(5)
    ]
    seen: list[str] = []
    query = "?limit=2"
    while True:
        page = client.get(f"{project.path}/users{query}", token=project.secret_key).json
        seen += [user["id"] for user in page["items"]]
        if page["next_cursor"] is None:
            break
        query = f"?limit=2&cursor={page['next_cursor']}"
    assert sorted(seen) == sorted(made)
    assert len(seen) == 5
    found = client.get(f"{project.path}/users?email=U3@example.com", token=project.secret_key)
    assert [user["id"] for user in found.json["items"]] == [made[3]]


@pytest.mark.parametrize(
    ("query", "status"),
    [("limit=0", 422), ("limit=1001", 422), ("limit=x", 422), ("cursor=%21", 400),
     ("cursor=W10", 400), ("cursor=MQ", 400), ("email=%00", 400), ("email=%ff", 400)],
)  # fmt: skip
def test_it_refuses_a_bad_list_query(
    client: Client, project: TestProject, query: str, status: int
) -> None:
    reply = client.get(f"{project.path}/users?{query}", token=project.secret_key)
    assert reply.status == status
    assert reply.code


def test_role_and_claims_are_in_force_from_the_next_token(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    grant = sign_up()
    path = f"{project.path}/users/{grant['user']['id']}"
    changed = client.patch(
        path, {"role": "admin", "claims": {"a": 1}, "data": {"b": 2}}, token=project.secret_key
    )
    assert (changed.json["role"], changed.json["claims"]) == ("admin", {"a": 1})
    assert changed.json["data"] == {"b": 2}
    body = {"refresh_token": grant["refresh_token"]}
    token = client.post(f"{project.path}/auth/refresh", body).json["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["role"] == "admin"


def test_a_ban_ends_sessions_and_keeps_out(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    grant = sign_up()
    path = f"{project.path}/users/{grant['user']['id']}"
    assert client.patch(path, {"banned": True}, token=project.secret_key).json["banned"] is True
    assert client.get(f"{project.path}/auth/me", token=grant["access_token"]).status == 401
    body = {"refresh_token": grant["refresh_token"]}
    assert client.post(f"{project.path}/auth/refresh", body).status == 401
    before = project.events()
    right = {"email": "alice@example.com", "password": PASSWORD}
    wrong = {**right, "password": "wrong password"}
    assert client.post(f"{project.path}/auth/sign-in", right).code == "user_banned"
    assert client.post(f"{project.path}/auth/sign-in", wrong).code == "invalid_credentials"
    assert project.events() == before
    client.patch(path, {"banned": False}, token=project.secret_key)
    assert client.post(f"{project.path}/auth/sign-in", right).status == 200


def test_a_new_password_ends_the_sessions_of_the_old_one(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    grant = sign_up()
    path = f"{project.path}/users/{grant['user']['id']}"
    reply = client.patch(path, {"password": "another password"}, token=project.secret_key)
    assert reply.status == 200
    assert client.get(f"{project.path}/auth/me", token=grant["access_token"]).status == 401
    old = {"email": "alice@example.com", "password": PASSWORD}
    assert client.post(f"{project.path}/auth/sign-in", old).status == 401
    new = {**old, "password": "another password"}
    assert client.post(f"{project.path}/auth/sign-in", new).status == 200


@pytest.mark.parametrize(
    "change",
    [
        {"email": "bob@example.com"},
        {"email": "no address"},
        {"role": 7},
        {"role": ""},
        {"claims": []},
        {"claims": {"a": "x" * 5000}},
        {"banned": "yes"},
        {"password": "short"},
        {"data": None},
        {"nothing": 1},
    ],
    ids=str,
)
def test_it_refuses_a_bad_change_as_a_whole(
    client: Client, project: TestProject, sign_up: Any, change: dict[str, Any]
) -> None:
    grant = sign_up()
    sign_up("bob@example.com")
    before = project.events()
    path = f"{project.path}/users/{grant['user']['id']}"
    unchanged = client.get(path, token=project.secret_key).json
    reply = client.patch(path, {"data": {"x": 1}, **change}, token=project.secret_key)
    assert reply.code == ("email_taken" if change.get("email", "").startswith("bob") else "invalid")
    assert client.get(path, token=project.secret_key).json == unchanged
    assert project.events() == before


def test_users_of_another_project_are_out_of_reach(
    client: Client, project: TestProject, make_project: Any, sign_up: Any
) -> None:
    uid = sign_up()["user"]["id"]
    other = make_project()
    path = f"{other.path}/users/{uid}"
    for method in ("GET", "PATCH", "DELETE"):
        reply = client.request(method, path, json={"role": "admin"}, token=other.secret_key)
        assert (reply.status, reply.code) == (404, "user_not_found")
    assert client.get(f"{other.path}/users", token=other.secret_key).json["items"] == []
    assert client.get(f"{project.path}/users/{uid}", token=project.secret_key).json["role"] is None


def test_end_users_do_not_see_the_list(client: Client, project: TestProject, sign_up: Any) -> None:
    token = sign_up()["access_token"]
    for method, path in (("GET", "/users"), ("POST", "/users"), ("DELETE", "/users/x")):
        reply = client.request(method, project.path + path, json={}, token=token)
        assert (reply.status, reply.code) == (403, "rule_denied")


def test_a_projects_users_go_with_it(client: Client, project: TestProject, sign_up: Any) -> None:
    from baas.kernel import db, projects

    token = sign_up()["access_token"]
    projects.delete(projects.get(project.slug))
    for table in ("user", "identity", "session", "signingkey"):
        rows = db.fetch_all(
            f"SELECT 1 FROM baas_auth_{table} WHERE project_id = %s",  # type: ignore[arg-type]
            (project.id,),
        )
        assert rows == []
    assert client.get(f"{project.path}/auth/me", token=token).code == "project_not_found"
