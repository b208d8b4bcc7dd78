"""Sign-up, sign-in and the tokens that they give."""

import json
from typing import Any

import jwt
import pytest

from tests.installation import Client, TestProject

PASSWORD = "correct horse battery"


def test_a_new_user_is_signed_in_and_announced(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    grant = sign_up("Alice@Example.com", data={"name": "Alice"})
    assert grant["token_type"] == "bearer"
    assert grant["expires_in"] == 900
    user = grant["user"]
    assert (user["email"], user["anonymous"]) == ("alice@example.com", False)
    assert user["data"] == {"name": "Alice"}
    assert user["identities"] == [{"provider": "password"}]
    me = client.get(f"{project.path}/auth/me", token=grant["access_token"])
    assert (me.status, me.json) == (200, user)
    assert me.headers["cache-control"] == "no-store"
    assert project.events() == [("baas.auth.user.created", user["id"])]


def test_the_event_shows_the_user_and_no_secret(project: TestProject, sign_up: Any) -> None:
    from baas.kernel import db

    user = sign_up()["user"]
    row = db.fetch_one(
        "SELECT data FROM kernel_event WHERE project_id = %s AND data->'object'->>'id' = %s",
        (project.id, user["id"]),
    )
    assert row is not None
    shown = row[0] if isinstance(row[0], dict) else json.loads(row[0])
    assert shown == {"object": {**user, "last_sign_in_at": None}}


def test_signing_in_is_announced_and_gives_a_session_of_its_own(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    first = sign_up()
    second = client.post(
        f"{project.path}/auth/sign-in", {"email": " ALICE@example.com", "password": PASSWORD}
    )
    assert second.status == 200
    assert second.json["user"]["id"] == first["user"]["id"]
    assert second.json["refresh_token"] != first["refresh_token"]
    assert project.events("%signed_in") == [("baas.auth.user.signed_in", first["user"]["id"])]


def test_an_anonymous_user_is_a_user(client: Client, project: TestProject) -> None:
    grant = client.post(f"{project.path}/auth/anonymous", {"data": {"level": 1}})
    assert grant.status == 201
    user = client.get(f"{project.path}/auth/me", token=grant.json["access_token"]).json
    assert (user["anonymous"], user["email"], user["identities"]) == (True, None, [])
    claims = jwt.decode(grant.json["access_token"], options={"verify_signature": False})
    assert (claims["anonymous"], claims["provider"]) == (True, "anonymous")
    assert project.events() == [("baas.auth.user.created", user["id"])]


def test_the_published_keys_verify_an_access_token(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    token = sign_up()["access_token"]
    published = client.get(f"{project.path}/.well-known/jwks.json").json
    key = jwt.PyJWKSet.from_dict(published)[jwt.get_unverified_header(token)["kid"]]
    configuration = client.get(f"{project.path}/.well-known/openid-configuration").json
    claims = jwt.decode(
        token, key, algorithms=["ES256"], audience=project.slug, issuer=configuration["issuer"]
    )
    assert claims["email"] == "alice@example.com"
    assert claims["exp"] - claims["iat"] == 900
    assert configuration["jwks_uri"].endswith(f"{project.path}/.well-known/jwks.json")
    assert set(published["keys"][0]) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("alice@example.com", "wrong password"),
        ("nobody@example.com", PASSWORD),
        ("", ""),
        ("alice@example.com", "x" * 5000),
        ("' OR 1=1 --", PASSWORD),
    ],
)
def test_wrong_password_and_unknown_account_are_answered_alike(
    client: Client, project: TestProject, sign_up: Any, email: str, password: str
) -> None:
    sign_up()
    before = project.events()
    reply = client.post(f"{project.path}/auth/sign-in", {"email": email, "password": password})
    assert (reply.status, reply.code) == (401, "invalid_credentials")
    assert reply.json["detail"] == "E-mail or password is wrong."
    assert project.events() == before


def test_an_unknown_account_costs_a_hash_as_well(
    client: Client, project: TestProject, sign_up: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Counted, not timed: a clock on a busy machine proves nothing.
    from baas.kernel import passwords

    sign_up()
    passwords.verify(None, "x")  # the decoy is there
    verified: list[str] = []
    real = passwords._hasher

    class Counting:
        def verify(self, password_hash: str, password: str) -> bool:
            verified.append(password_hash)
            return real.verify(password_hash, password)

        def hash(self, password: str) -> str:
            raise AssertionError("a sign-in that fails must not cost more than one hash")

    monkeypatch.setattr(passwords, "_hasher", Counting())
    for email in ("alice@example.com", "nobody@example.com", "not an address"):
        reply = client.post(
            f"{project.path}/auth/sign-in", {"email": email, "password": "wrong password"}
        )
        assert reply.status == 401
    assert len(verified) == 3
    # The same parameters, so the same work.
    assert len({text.rsplit("$", 2)[0] for text in verified}) == 1


def test_it_refuses_a_taken_address(client: Client, project: TestProject, sign_up: Any) -> None:
    sign_up()
    before = project.events()
    reply = client.post(
        f"{project.path}/auth/sign-up", {"email": "ALICE@example.com", "password": PASSWORD}
    )
    assert (reply.status, reply.code) == (409, "email_taken")
    assert project.events() == before


def test_the_same_address_is_another_user_in_another_project(
    client: Client, project: TestProject, make_project: Any, sign_up: Any
) -> None:
    grant = sign_up()
    other = make_project()
    reply = client.post(
        f"{other.path}/auth/sign-in", {"email": "alice@example.com", "password": PASSWORD}
    )
    assert reply.code == "invalid_credentials"
    second = client.post(
        f"{other.path}/auth/sign-up", {"email": "alice@example.com", "password": PASSWORD}
    )
    assert second.status == 201
    assert second.json["user"]["id"] != grant["user"]["id"]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"password": PASSWORD}, "email", "required"),
        ({"email": 1, "password": PASSWORD}, "email", "required"),
        ({"email": "no address", "password": PASSWORD}, "email", "invalid"),
        ({"email": "a@b.c" + "d" * 250, "password": PASSWORD}, "email", None),
        ({"email": "a\0@example.com", "password": PASSWORD}, "email", "required"),
        ({"email": "a@example.com"}, "password", "required"),
        ({"email": "a@example.com", "password": "short"}, "password", "too_short"),
        ({"email": "a@example.com", "password": "x" * 1025}, "password", "too_long"),
        ({"email": "a@example.com", "password": PASSWORD, "data": []}, "data", "invalid"),
        ({"email": "a@example.com", "password": PASSWORD, "data": {"a": "\0"}}, "data", "invalid"),
        (
            {"email": "a@example.com", "password": PASSWORD, "data": {"a": "x" * 20_000}},
            "data",
            "too_large",
        ),
        ({"email": "a@example.com", "password": PASSWORD, "role": "admin"}, "role", "unknown"),
        ({"email": "a@example.com", "password": PASSWORD, "claims": {}}, "claims", "unknown"),
    ],
)
def test_it_refuses_an_invalid_sign_up_and_names_the_field(
    client: Client, project: TestProject, body: dict[str, Any], field: str, code: str | None
) -> None:
    reply = client.post(f"{project.path}/auth/sign-up", body)
    assert (reply.status, reply.code) == (422, "invalid")
    error = reply.json["errors"][0]
    assert error["field"] == field
    assert code is None or error["code"] == code
    assert project.events() == []


@pytest.mark.parametrize("method", ["username", "phone"])
def test_ways_that_are_not_built_yet_are_refused_clearly(
    client: Client, project: TestProject, method: str
) -> None:
    reply = client.post(f"{project.path}/auth/sign-in", {method: "alice", "password": PASSWORD})
    assert (reply.status, reply.code) == (422, "sign_in_method_not_available")


def test_a_repeated_sign_up_with_its_key_gets_the_first_reply(
    client: Client, project: TestProject
) -> None:
    body = {"email": "alice@example.com", "password": PASSWORD}
    headers = {"Idempotency-Key": "a-key-of-the-caller"}
    first = client.post(f"{project.path}/auth/sign-up", body, headers=headers)
    again = client.post(f"{project.path}/auth/sign-up", body, headers=headers)
    assert (first.status, again.status) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json == first.json
    assert len(project.events()) == 1


def test_a_repeated_sign_up_that_was_refused_is_refused_again(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    sign_up()
    body = {"email": "alice@example.com", "password": PASSWORD}
    headers = {"Idempotency-Key": "k"}
    replies = [client.post(f"{project.path}/auth/sign-up", body, headers=headers) for _ in range(2)]
    assert [reply.code for reply in replies] == ["email_taken", "email_taken"]
    assert len(project.events()) == 1


def test_stored_first_replies_do_not_hold_tokens_in_clear(
    client: Client, project: TestProject
) -> None:
    from baas.kernel import db

    grant = client.post(
        f"{project.path}/auth/sign-up",
        {"email": "alice@example.com", "password": PASSWORD},
        headers={"Idempotency-Key": "k1"},
    ).json
    rows = db.fetch_all(
        "SELECT body FROM kernel_firstreply WHERE created_at > now() - interval '1 minute'"
    )
    assert rows
    assert all(grant["refresh_token"].encode() not in bytes(row[0]) for row in rows)


def test_ten_failures_lock_the_account_for_that_address_only(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    sign_up()
    sign_up("bob@example.com")

    def attempt(email: str, password: str, ip: str) -> Any:
        return client.post(
            f"{project.path}/auth/sign-in",
            {"email": email, "password": password},
            headers={"X-Forwarded-For": ip},
        )

    before = project.events()
    for _ in range(10):
        assert attempt("alice@example.com", "wrong password", "192.0.2.1").status == 401
    locked = attempt("Alice@example.com", PASSWORD, "192.0.2.1")
    assert (locked.status, locked.code) == (429, "too_many_attempts")
    assert 1 <= int(locked.headers["retry-after"]) <= 600
    assert project.events() == before
    assert attempt("alice@example.com", PASSWORD, "192.0.2.2").status == 200
    assert attempt("bob@example.com", PASSWORD, "192.0.2.1").status == 200


def test_a_lock_ends_with_its_window_and_success_forgets_failures(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    from auth import lockout
    from baas.kernel import db

    sign_up()
    scope = lockout.scope(project.id, "alice@example.com", "127.0.0.1")
    for _ in range(lockout.MAX_FAILURES):
        lockout.count_failure(scope)
    body = {"email": "alice@example.com", "password": PASSWORD}
    assert client.post(f"{project.path}/auth/sign-in", body).status == 429
    db.execute(
        "UPDATE baas_auth_failedsignin SET began_at = began_at - interval '601 s' WHERE scope = %s",
        (scope,),
    )
    assert client.post(f"{project.path}/auth/sign-in", body).status == 200
    assert db.fetch_one("SELECT 1 FROM baas_auth_failedsignin WHERE scope = %s", (scope,)) is None


def test_a_password_with_old_parameters_is_hashed_anew(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    from argon2 import PasswordHasher

    from baas.kernel import db, passwords

    uid = sign_up(data={"keep": 1})["user"]["id"]
    weak = PasswordHasher(time_cost=1, memory_cost=8192).hash(PASSWORD)
    db.execute("UPDATE baas_auth_user SET password_hash = %s WHERE uid = %s", (weak, uid))
    body = {"email": "alice@example.com", "password": PASSWORD}
    assert client.post(f"{project.path}/auth/sign-in", body).json["user"]["data"] == {"keep": 1}
    row = db.fetch_one("SELECT password_hash FROM baas_auth_user WHERE uid = %s", (uid,))
    assert row is not None
    assert not passwords.needs_rehash(row[0])
    assert client.post(f"{project.path}/auth/sign-in", body).status == 200
