"""Sign-up, sign-in and the tokens that they give."""

from typing import Any

import jwt
import pytest

PASSWORD = "correct horse battery"


def sign_up(client: Any, project: Any, email: str = "alice@example.com", **more: Any) -> Any:
    reply = client.post(
        f"{project.path}/auth/sign-up", {"email": email, "password": PASSWORD, **more}
    )
    assert reply.status == 201, reply
    return reply.json


def test_a_new_user_is_signed_in_and_announced(client: Any, project: Any) -> None:
    grant = sign_up(client, project, "Alice@Example.com", data={"name": "Alice"})
    assert grant["token_type"] == "bearer"
    assert grant["expires_in"] == 900
    user = grant["user"]
    assert (user["email"], user["anonymous"]) == ("alice@example.com", False)
    assert user["data"] == {"name": "Alice"}
    assert user["identities"] == [{"provider": "password"}]
    me = client.get(f"{project.path}/auth/me", token=grant["access_token"])
    assert (me.status, me.json) == (200, user)
    assert project.events() == [("baas.auth.user.created", f"users/{user['id']}")]
    assert "password" not in str(me.json.keys())


def test_signing_in_is_announced_and_gives_a_session_of_its_own(client: Any, project: Any) -> None:
    first = sign_up(client, project)
    second = client.post(
        f"{project.path}/auth/sign-in", {"email": " ALICE@example.com", "password": PASSWORD}
    )
    assert second.status == 200
    assert second.json["user"]["id"] == first["user"]["id"]
    assert second.json["refresh_token"] != first["refresh_token"]
    assert project.events("%signed_in") == [
        ("baas.auth.user.signed_in", f"users/{first['user']['id']}")
    ]


def test_the_published_keys_verify_an_access_token(client: Any, project: Any) -> None:
    token = sign_up(client, project)["access_token"]
    published = client.get(f"{project.path}/.well-known/jwks.json").json
    key = jwt.PyJWKSet.from_dict(published)[jwt.get_unverified_header(token)["kid"]]
    configuration = client.get(f"{project.path}/.well-known/openid-configuration").json
    claims = jwt.decode(
        token, key, algorithms=["ES256"], audience=project.slug, issuer=configuration["issuer"]
    )
    assert claims["email"] == "alice@example.com"
    assert claims["exp"] - claims["iat"] == 900
    assert "d" not in published["keys"][0]


@pytest.mark.parametrize(
    ("email", "password"),
    [("alice@example.com", "wrong password"), ("nobody@example.com", PASSWORD), ("", ""),
     ("alice@example.com", "x" * 5000)],
)  # fmt: skip
def test_wrong_password_and_unknown_account_are_answered_alike(
    client: Any, project: Any, email: str, password: str
) -> None:
    sign_up(client, project)
    before = project.events()
    reply = client.post(f"{project.path}/auth/sign-in", {"email": email, "password": password})
    assert (reply.status, reply.code) == (401, "invalid_credentials")
    assert reply.json["detail"] == "E-mail or password is wrong."
    assert project.events() == before


def test_it_refuses_a_taken_address(client: Any, project: Any) -> None:
    sign_up(client, project)
    before = project.events()
    reply = client.post(
        f"{project.path}/auth/sign-up", {"email": "ALICE@example.com", "password": PASSWORD}
    )
    assert (reply.status, reply.code) == (409, "email_taken")
    assert project.events() == before
