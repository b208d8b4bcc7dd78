"""The contract, "Auth": sign-up, sign-in, anonymous, refresh, me, users, tokens, keys."""

import base64
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from .conftest import Stack
from .contract import PASSWORD, App, code

SESSION = {"access_token", "refresh_token", "token_type", "expires_in", "user"}
USER = {"id", "email", "phone", "anonymous", "identities", "data", "created_at"}


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        yield app


@pytest.fixture
def session(app: App) -> dict[str, Any]:
    return app.sign_up()


def sign_in(app: App, **body: Any) -> Any:
    return app("POST", "/auth/sign-in", None, body)


def test_sign_up(app: App) -> None:
    email = f"Ann-{secrets.token_hex(4)}@Example.com"
    body = {"email": email, "password": PASSWORD, "data": {"nick": "a"}}
    reply = app("POST", "/auth/sign-up", None, body)
    assert reply.status_code == 201
    session = reply.json()
    assert session.keys() == SESSION
    assert session["token_type"] == "bearer"
    assert session["expires_in"] > 0
    assert session["user"].keys() >= USER
    assert (session["user"]["email"], session["user"]["anonymous"]) == (email.lower(), False)
    assert session["user"]["data"] == {"nick": "a"}
    taken = app("POST", "/auth/sign-up", None, {**body, "email": email.upper()})
    assert (taken.status_code, code(taken)) == (409, "email_taken")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "nope", "password": PASSWORD}, "email"),
        ({"password": PASSWORD}, "email"),
        ({"email": "b@example.com", "password": "short"}, "password"),
        ({"email": "b@example.com", "password": 12345678}, "password"),
        ({"email": "b@example.com"}, "password"),
        ({"email": "b@example.com", "password": PASSWORD, "data": 5}, "data"),
        ({"email": "b@example.com", "password": PASSWORD, "role": "admin"}, "role"),
    ],
)
def test_sign_ups_that_cannot_be(app: App, body: Any, field: str) -> None:
    before = app.events()
    reply = app("POST", "/auth/sign-up", None, body)
    assert (reply.status_code, code(reply)) == (422, "invalid")
    assert reply.json()["errors"][0]["field"] == field
    assert app.events() == before


def test_sign_in(app: App, session: dict[str, Any]) -> None:
    email = session["user"]["email"]
    reply = sign_in(app, email=email, password=PASSWORD)
    assert (reply.status_code, reply.json().keys()) == (200, SESSION)
    assert reply.json()["user"]["id"] == session["user"]["id"]
    wrong = sign_in(app, email=email, password="wrong")
    unknown = sign_in(app, email=f"no{email}", password="wrong")
    for refused in (wrong, unknown):
        assert (refused.status_code, code(refused)) == (401, "invalid_credentials")
    alike = ({**reply.json(), "request_id": ""} for reply in (wrong, unknown))
    assert next(alike) == next(alike)


def test_guessing_is_locked(app: App) -> None:
    email = f"guess-{secrets.token_hex(4)}@example.com"
    codes = [code(sign_in(app, email=email, password="wrong")) for _ in range(11)]
    assert codes[0] == "invalid_credentials"
    assert codes[-1] == "too_many_attempts"


def test_anonymous_users(app: App) -> None:
    reply = app("POST", "/auth/anonymous", None, {})
    assert (reply.status_code, reply.json().keys()) == (201, SESSION)
    me = app("GET", "/auth/me", reply.json()["access_token"]).json()
    assert (me["anonymous"], me["email"]) == (True, None)


class TestRefresh:
    def refresh(self, app: App, token: Any) -> Any:
        return app("POST", "/auth/refresh", None, {"refresh_token": token})

    def test_it_rotates_and_reuse_ends_the_family(self, app: App, session: dict[str, Any]) -> None:
        parent = session["refresh_token"]
        first, second = self.refresh(app, parent), self.refresh(app, parent)
        assert (first.status_code, first.json().keys()) == (200, SESSION)
        child = first.json()["refresh_token"]
        assert child == second.json()["refresh_token"] != parent
        grandchild = self.refresh(app, child).json()["refresh_token"]
        time.sleep(10.5)
        reused = self.refresh(app, parent)
        assert (reused.status_code, code(reused)) == (401, "refresh_token_reused")
        assert self.refresh(app, grandchild).status_code == 401
        assert code(app("GET", "/auth/me", session["access_token"])) == "invalid_token"

    def test_wrong_ones(self, app: App) -> None:
        assert code(self.refresh(app, "bad")) == "invalid_token"
        assert code(self.refresh(app, 5)) == "invalid"


def test_me(app: App, session: dict[str, Any]) -> None:
    token = session["access_token"]
    assert app("GET", "/auth/me", token).json()["id"] == session["user"]["id"]
    changed = app("PATCH", "/auth/me", token, {"data": {"a": 1, "b": None}})
    assert (changed.status_code, changed.json()["data"]) == (200, {"a": 1})
    for field in ("role", "claims", "email", "password", "banned"):
        assert code(app("PATCH", "/auth/me", token, {field: "admin"})) == "invalid"
    assert code(app("GET", "/auth/me")) == "authentication_required"
    assert code(app("GET", "/auth/me", app.key)) == "rule_denied"
    assert app("DELETE", "/auth/me", token).status_code == 204
    assert code(app("GET", "/auth/me", token)) == "invalid_token"
    assert code(sign_in(app, email=session["user"]["email"], password=PASSWORD)) == (
        "invalid_credentials"
    )


def test_sign_out(app: App, session: dict[str, Any]) -> None:
    other = sign_in(app, email=session["user"]["email"], password=PASSWORD).json()
    token = session["access_token"]
    assert code(app("POST", "/auth/sign-out", token, {"scope": "all"})) == "invalid"
    assert app("POST", "/auth/sign-out", token, {"scope": "others"}).status_code == 204
    time.sleep(1.2)
    assert code(app("GET", "/auth/me", other["access_token"])) == "invalid_token"
    assert app("GET", "/auth/me", token).status_code == 200
    assert app("POST", "/auth/sign-out", token).status_code == 204
    assert code(app("GET", "/auth/me", token)) == "invalid_token"
    body = {"refresh_token": session["refresh_token"]}
    assert app("POST", "/auth/refresh", None, body).status_code == 401


def test_access_tokens_are_verified_by_the_public_keys(app: App, session: dict[str, Any]) -> None:
    discovery = app("GET", "/.well-known/openid-configuration").json()
    keys = app("GET", "/.well-known/jwks.json").json()["keys"]
    assert discovery["jwks_uri"].endswith(f"{app.path}/.well-known/jwks.json")
    token = session["access_token"]
    header = jwt.get_unverified_header(token)
    assert header["alg"] in ("ES256", "EdDSA")
    assert all("d" not in key for key in keys)
    key = jwt.PyJWK(next(key for key in keys if key["kid"] == header["kid"]))
    claims = jwt.decode(
        token, key.key, algorithms=[header["alg"]], audience=app.slug, issuer=discovery["issuer"]
    )
    assert claims["sub"] == session["user"]["id"]
    assert claims["exp"] - claims["iat"] == session["expires_in"]


def test_forged_tokens(app: App, session: dict[str, Any]) -> None:
    token = session["access_token"]
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    none = jwt.encode(claims, None, algorithm="none")
    keys = app("GET", "/.well-known/jwks.json").text
    symmetric = jwt.encode(claims, keys[:40], headers={"kid": "x"})
    other = "A" if signature[5] != "A" else "B"
    changed = f"{head}.{body}.{signature[:5]}{other}{signature[6:]}"
    for forged in (none, symmetric, changed, f"{head}.{body}.", token[:-10]):
        reply = app("GET", "/auth/me", forged)
        assert (reply.status_code, code(reply)) == (401, "invalid_token")


def test_users_for_the_secret_key(app: App) -> None:
    email = f"u-{secrets.token_hex(4)}@example.com"
    body = {"email": email, "password": PASSWORD, "role": "editor", "claims": {"team": "x"}}
    made = app("POST", "/users", app.key, body)
    assert made.status_code == 201
    address = f"/users/{made.json()['id']}"
    assert app("GET", address, app.operator).json() == made.json()
    token = sign_in(app, email=email, password=PASSWORD).json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["role"], claims["claims"]) == ("editor", {"team": "x"})
    assert code(app("GET", "/users", token)) == "rule_denied"
    assert code(app("GET", "/users")) == "authentication_required"
    assert app("PATCH", address, app.key, {"role": "boss"}).json()["role"] == "boss"
    assert app("PATCH", address, app.key, {"banned": True}).status_code == 200
    banned = sign_in(app, email=email, password=PASSWORD)
    assert (banned.status_code, code(banned)) == (403, "user_banned")
    time.sleep(1.2)
    assert code(app("GET", "/auth/me", token)) == "invalid_token"
    assert app("DELETE", address, app.key).status_code == 204
    assert code(app("GET", address, app.key)) == "user_not_found"
