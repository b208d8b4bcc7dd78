"""Which tokens are let in, and which are refused whatever they look like."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.installation import Client, TestProject

Forge = Callable[[str, TestProject], str]


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def _sign(project: TestProject, claims: dict[str, Any], **headers: Any) -> str:
    """A token signed with the project's own key."""
    from auth import signing_keys

    key = signing_keys.in_force(project.id)
    return jwt.encode(
        claims, key.private_key, algorithm="ES256", headers={"kid": key.kid, **headers}
    )


def _segment(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _changed(**changes: Any) -> Forge:
    return lambda token, project: _sign(project, {**_claims(token), **changes})


def _without(name: str) -> Forge:
    return lambda token, project: _sign(
        project, {k: v for k, v in _claims(token).items() if k != name}
    )


def _tampered(token: str, project: TestProject) -> str:
    header, _, signature = token.split(".")
    return ".".join([header, _segment({**_claims(token), "role": "admin"}), signature])


def _no_algorithm(token: str, project: TestProject) -> str:
    kid = jwt.get_unverified_header(token)["kid"]
    return f"{_segment({'alg': 'none', 'kid': kid})}.{_segment(_claims(token))}."


def _public_key_as_secret(token: str, project: TestProject) -> str:
    from auth import signing_keys

    public = signing_keys.in_force(project.id).private_key.public_key()
    kid = jwt.get_unverified_header(token)["kid"]
    signed = f"{_segment({'alg': 'HS256', 'kid': kid})}.{_segment(_claims(token))}"
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return f"{signed}.{_segment(hmac.digest(pem, signed.encode(), hashlib.sha256))}"


def _other_key(token: str, project: TestProject) -> str:
    kid = jwt.get_unverified_header(token)["kid"]
    mine = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(_claims(token), mine, algorithm="ES256", headers={"kid": kid})


def _brought_key(token: str, project: TestProject) -> str:
    """A key in the token's own header."""
    mine = ec.generate_private_key(ec.SECP256R1())
    numbers = mine.public_key().public_numbers()
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": _segment(numbers.x.to_bytes(32)),
        "y": _segment(numbers.y.to_bytes(32)),
    }
    kid = jwt.get_unverified_header(token)["kid"]
    return jwt.encode(_claims(token), mine, algorithm="ES256", headers={"kid": kid, "jwk": jwk})


def _no_key_name(token: str, project: TestProject) -> str:
    from auth import signing_keys

    key = signing_keys.in_force(project.id)
    return jwt.encode(_claims(token), key.private_key, algorithm="ES256")


FORGERIES: dict[str, Forge] = {
    "expired": _changed(exp=int(time.time()) - 1),
    "without an end": _without("exp"),
    "of another issuer": _changed(iss="https://evil.example.com"),
    "without an issuer": _without("iss"),
    "for another audience": _changed(aud="another-project"),
    "without an audience": _without("aud"),
    "of a session that is none": _changed(sid="0" * 26),
    "without a session": _without("sid"),
    "without a subject": _without("sub"),
    "tampered": _tampered,
    "without a signature": _no_algorithm,
    "signed by HMAC with the public key": _public_key_as_secret,
    "signed by another key": _other_key,
    "bringing its own key": _brought_key,
    "of an unknown key": lambda token, project: _sign(project, _claims(token), kid="nosuchkey"),
    "with a path as its key": lambda token, project: _sign(
        project, _claims(token), kid="../../dev/null"
    ),
    "without a key's name": _no_key_name,
    "cut": lambda token, project: token[:-5],
    "too long": lambda token, project: token + "A" * 20_000,
    "three dots": lambda token, project: "...",
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_it_refuses_a_token(
    client: Client, project: TestProject, sign_up: Any, forge: Forge
) -> None:
    token = sign_up()["access_token"]
    before = project.events()
    for _ in range(2):  # a refusal is not remembered as anything else
        reply = client.delete(f"{project.path}/auth/me", token=forge(token, project))
        assert (reply.status, reply.code) == (401, "invalid_token")
    assert project.events() == before
    assert client.get(f"{project.path}/auth/me", token=token).status == 200


def test_the_same_claims_signed_by_the_project_are_let_in(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    # What shows that the forgeries above fail for their own reason.
    token = sign_up()["access_token"]
    again = _sign(project, _claims(token))
    assert client.get(f"{project.path}/auth/me", token=again).status == 200


def test_a_token_of_another_project_is_refused(
    client: Client, project: TestProject, make_project: Any, sign_up: Any
) -> None:
    token = sign_up()["access_token"]
    other = make_project()
    reply = client.get(f"{other.path}/auth/me", token=token)
    assert (reply.status, reply.code) == (401, "invalid_token")


def test_a_token_ends_on_time_although_it_is_cached(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    claims = _claims(sign_up()["access_token"])
    token = _sign(project, {**claims, "exp": int(time.time()) + 2})
    assert client.get(f"{project.path}/auth/me", token=token).status == 200
    time.sleep(max(0.0, _claims(token)["exp"] - time.time()))
    assert client.get(f"{project.path}/auth/me", token=token).status == 401


def test_keys_rotate_without_sign_outs(client: Client, project: TestProject, sign_up: Any) -> None:
    from auth import signing_keys
    from baas.kernel import db

    old = sign_up()
    old_kid = jwt.get_unverified_header(old["access_token"])["kid"]
    new_kid = signing_keys.rotate(project.id)
    assert client.get(f"{project.path}/auth/me", token=old["access_token"]).status == 200
    new = client.post(f"{project.path}/auth/refresh", {"refresh_token": old["refresh_token"]}).json[
        "access_token"
    ]
    assert jwt.get_unverified_header(new)["kid"] == new_kid
    published = client.get(f"{project.path}/.well-known/jwks.json").json["keys"]
    assert [key["kid"] for key in published] == [new_kid, old_kid]
    # Once no token of the old key can be valid any more, the old key is not either.
    db.execute(
        "UPDATE baas_auth_signingkey SET retired_at = now() - interval '901 s'"
        " WHERE project_id = %s AND retired_at IS NOT NULL",
        (project.id,),
    )
    assert len(client.get(f"{project.path}/.well-known/jwks.json").json["keys"]) == 1


def test_the_command_rotates_a_projects_key(
    project: TestProject, capsys: pytest.CaptureFixture[str]
) -> None:
    from django.core.management import CommandError, call_command

    from auth import signing_keys

    before = signing_keys.in_force(project.id).kid
    call_command("rotate_signing_key", project.slug)
    after = signing_keys.in_force(project.id).kid
    assert after != before
    assert after in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("rotate_signing_key", "no-such-project")


def test_a_token_from_a_node_whose_clock_is_ahead_is_let_in(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    token = _changed(iat=int(time.time()) + 5)(sign_up()["access_token"], project)
    assert client.get(f"{project.path}/auth/me", token=token).status == 200


def test_private_keys_are_encrypted_and_bound_to_their_row(project: TestProject) -> None:
    from auth import signing_keys
    from baas.kernel import db, encryption

    key = signing_keys.in_force(project.id)
    secret = key.private_key.private_numbers().private_value.to_bytes(32)
    row = db.fetch_one("SELECT private_key FROM baas_auth_signingkey WHERE kid = %s", (key.kid,))
    assert row is not None
    assert secret not in bytes(row[0])
    with pytest.raises(encryption.DecryptionError):
        encryption.decrypt(bytes(row[0]), "signing key of somebody else")


def test_tokens_are_checked_without_a_request(project: TestProject, sign_up: Any) -> None:
    from auth.principals import authenticate_token
    from baas.kernel import projects
    from baas.kernel.problems import Unauthenticated

    config = projects.by_slug(project.slug)
    grant = sign_up()
    assert authenticate_token(None, config).kind == "anonymous"
    user = authenticate_token(grant["access_token"], config)
    assert (user.kind, user.uid) == ("user", grant["user"]["id"])
    assert user.auth == {
        "uid": grant["user"]["id"],
        "role": None,
        "email": "alice@example.com",
        "claims": {},
        "provider": "password",
        "anonymous": False,
    }
    assert authenticate_token(project.secret_key, config).kind == "key"
    assert authenticate_token(project.publishable_key, config).kind == "anonymous"
    for garbage in ("", "pk_\0", "sk_\ud800", "a.b\0.c", "inv_\ud800"):
        with pytest.raises(Unauthenticated):
            authenticate_token(garbage, config)


# Functions that call back.


def _invocation(project: TestProject, act_for: Any, *, depth: int = 3, seconds: float = 60) -> str:
    from auth import invocations

    expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
    return invocations.mint(project.id, "invocation-1", act_for, depth, expires_at)


def _principal(project: TestProject, token: str) -> Any:
    from auth.principals import authenticate_token
    from baas.kernel import projects

    return authenticate_token(token, projects.by_slug(project.slug))


def test_a_function_acts_as_the_service(project: TestProject) -> None:
    principal = _principal(project, _invocation(project, "service"))
    assert (principal.kind, principal.uid, principal.depth) == ("function", None, 3)
    assert principal.invocation_id == "invocation-1"
    assert principal.bypasses_rules
    assert not principal.is_privileged


def test_a_function_acts_for_its_caller_under_the_rules(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    from auth.principals import authenticate_token
    from baas.kernel import projects

    grant = sign_up()
    caller = authenticate_token(grant["access_token"], projects.by_slug(project.slug))
    for act_for in (caller, caller.auth):
        token = _invocation(project, act_for)
        principal = _principal(project, token)
        assert (principal.kind, principal.auth) == ("function", caller.auth)
        assert not principal.bypasses_rules
        assert client.get(f"{project.path}/auth/me", token=token).json == grant["user"]
        assert client.delete(f"{project.path}/auth/me", token=token).code == "rule_denied"


def test_a_function_of_an_anonymous_caller_is_under_the_rules_too(project: TestProject) -> None:
    from baas.kernel.principals import ANONYMOUS

    for act_for in (None, ANONYMOUS):
        principal = _principal(project, _invocation(project, act_for))
        assert principal.auth is None
        assert not principal.bypasses_rules
        assert (principal.depth, principal.invocation_id) == (3, "invocation-1")


def test_a_function_of_a_secret_key_acts_as_the_service(project: TestProject) -> None:
    key = _principal(project, project.secret_key)
    assert _principal(project, _invocation(project, key)).kind == "function"


def test_it_refuses_an_invocation_token(project: TestProject, make_project: Any) -> None:
    from baas.kernel.problems import Unauthenticated

    good = _invocation(project, "service")
    raw = base64.urlsafe_b64decode(good[4:])
    forged = raw.replace(b'"d":3', b'"d":0')
    assert forged != raw
    refused = {
        "expired": _invocation(project, "service", seconds=-1),
        "another project's": _invocation(make_project(), "service"),
        "changed": "inv_" + base64.urlsafe_b64encode(forged).decode(),
        "cut": good[:-8],
        "empty": "inv_",
        "not base 64": "inv_???",
    }
    for token in refused.values():
        with pytest.raises(Unauthenticated):
            _principal(project, token)
    assert _principal(project, good).kind == "function"


def test_an_invocation_token_ends_on_time_although_it_is_cached(project: TestProject) -> None:
    from baas.kernel.problems import Unauthenticated

    token = _invocation(project, "service", seconds=0.3)
    assert _principal(project, token).kind == "function"
    time.sleep(0.31)
    with pytest.raises(Unauthenticated):
        _principal(project, token)


# X-Act-As


def test_a_secret_key_acts_as_a_user_under_the_rules(
    client: Client, project: TestProject, sign_up: Any, caplog: pytest.LogCaptureFixture
) -> None:
    user = sign_up()["user"]
    with caplog.at_level("INFO", logger="baas.audit"):
        reply = client.get(
            f"{project.path}/auth/me",
            token=project.secret_key,
            headers={"X-Act-As": user["id"]},
        )
    assert (reply.status, reply.json) == (200, user)
    record = caplog.records[-1]
    assert record.__dict__["acts_as"] == user["id"]
    assert record.__dict__["actor"].startswith("key:")
    # What is the key's alone is not the user's.
    reply = client.get(
        f"{project.path}/users", token=project.secret_key, headers={"X-Act-As": user["id"]}
    )
    assert (reply.status, reply.code) == (403, "rule_denied")


def test_a_secret_key_acts_as_an_anonymous_caller(client: Client, project: TestProject) -> None:
    reply = client.get(
        f"{project.path}/users", token=project.secret_key, headers={"X-Act-As": "anonymous"}
    )
    assert (reply.status, reply.code) == (401, "authentication_required")


def test_acting_is_marked_for_those_who_explain(client: Client, project: TestProject) -> None:
    from auth.principals import authenticate
    from baas.kernel import projects
    from baas.kernel.http.request import Request

    def principal(headers: dict[str, str]) -> Any:
        request = Request(headers, "GET", "/", "r")
        request.project = projects.by_slug(project.slug)
        return authenticate(request)

    key = {"HTTP_AUTHORIZATION": f"Bearer {project.secret_key}"}
    assert principal({**key, "HTTP_X_ACT_AS": "anonymous"}).is_acted
    assert not principal(key).is_acted
    assert not principal({}).is_acted


@pytest.mark.parametrize("who", ["0" * 26, "no user", "", "é", "'"])
def test_nobody_can_be_acted_as_who_is_not_there(
    client: Client, project: TestProject, who: str
) -> None:
    reply = client.get(
        f"{project.path}/auth/me", token=project.secret_key, headers={"X-Act-As": who}
    )
    assert (reply.status, reply.code) == (404, "user_not_found")


def test_only_privileged_callers_act_as_another(
    client: Client, project: TestProject, sign_up: Any
) -> None:
    alice, bob = sign_up(), sign_up("bob@example.com")
    before = project.events()
    tokens = [None, bob["access_token"], project.publishable_key, _invocation(project, "service")]
    for token in tokens:
        for who in (alice["user"]["id"], "anonymous"):
            reply = client.delete(f"{project.path}/auth/me", token=token, headers={"X-Act-As": who})
            assert (reply.status, reply.code) == (403, "rule_denied")
    assert project.events() == before
