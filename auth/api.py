"""The end users' door: `P/auth`, and the project's keys for everybody who checks its tokens."""

from collections.abc import Mapping
from typing import Any, Final, get_args

from django.db import transaction

from auth import access_tokens, accounts, principals, signing_keys, users, validation
from auth.openapi import GRANT, NOTHING, USER, body, reply
from auth.sessions import Device, Scope
from baas.kernel.http.request import Request, Response, json_response, no_content
from baas.kernel.http.routes import PROJECT, Route
from baas.kernel.principals import Principal
from baas.kernel.problems import FieldError, Forbidden, Invalid, Unauthenticated

AUTH: Final = PROJECT + "/auth"
WELL_KNOWN: Final = PROJECT + "/.well-known"
# Replies with tokens and personal data stay out of every cache.
_NO_STORE: Final = (("Cache-Control", "no-store"),)
_LATER: Final = ("username", "phone")


def sign_up(request: Request) -> Response:
    fields = _fields(request, "email", "password", "data")
    grant = accounts.sign_up(
        request.project,
        email=_text(fields, "email"),
        password=_text(fields, "password"),
        data=fields.get("data", {}),
        device=_device(request),
    )
    return json_response(grant.as_object(), 201, _NO_STORE)


def sign_in(request: Request) -> Response:
    fields = _fields(request, "email", "password", *_LATER)
    for name in _LATER:
        if name in fields:
            raise Invalid(
                f"Signing in by {name} is not offered here: use `email`.",
                code="sign_in_method_not_available",
                errors=[FieldError(name, "not_available", "sign in by email")],
            )
    grant = accounts.sign_in(
        request.project,
        email=_text(fields, "email"),
        password=_text(fields, "password"),
        device=_device(request),
    )
    return json_response(grant.as_object(), 200, _NO_STORE)


def sign_in_anonymously(request: Request) -> Response:
    fields = _fields(request, "data")
    grant = accounts.sign_in_anonymously(
        request.project, data=fields.get("data", {}), device=_device(request)
    )
    return json_response(grant.as_object(), 201, _NO_STORE)


def refresh(request: Request) -> Response:
    fields = _fields(request, "refresh_token")
    grant = accounts.refresh(request.project, _text(fields, "refresh_token"))
    return json_response(grant.as_object(), 200, _NO_STORE)


def sign_out(request: Request) -> Response:
    principal = _user(request)
    scope: Scope = _fields(request, "scope").get("scope", "local")
    if scope not in get_args(Scope):
        raise Invalid(
            "`scope` must be local, others or global.",
            errors=[FieldError("scope", "invalid", "local, others or global")],
        )
    accounts.sign_out(request.project, principal, scope)
    transaction.on_commit(principals.forget)
    return no_content()


def get_me(request: Request) -> Response:
    user = users.get(request.project.id, _uid(request))
    return json_response(user.as_object(), 200, _NO_STORE)


def update_me(request: Request) -> Response:
    uid = _user(request).uid or ""
    fields = _fields(request, "data")
    user = accounts.update_me(request.project, uid, fields.get("data", {}))
    return json_response(user.as_object(), 200, _NO_STORE)


def delete_me(request: Request) -> Response:
    users.delete(request.project, _user(request).uid or "")
    transaction.on_commit(principals.forget)
    return no_content()


def jwks(request: Request) -> Response:
    return json_response(
        signing_keys.jwks(request.project.id), 200, [("Cache-Control", "public, max-age=300")]
    )


def openid_configuration(request: Request) -> Response:
    issuer = access_tokens.issuer(request.project)
    return json_response(
        {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [signing_keys.ALGORITHM],
            "claims_supported": [
                "iss", "aud", "sub", "sid", "role", "email", "claims", "provider", "anonymous",
                "iat", "exp",
            ],
        },
        200,
        [("Cache-Control", "public, max-age=300")],
    )  # fmt: skip


def _fields(request: Request, *known: str) -> dict[str, Any]:
    fields = request.json_object() if request.body() else {}
    validation.refuse_unknown(fields, frozenset(known))
    return fields


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or "\0" in value:
        raise Invalid(
            f"`{name}` must be given, as a string.",
            errors=[FieldError(name, "required", "a string")],
        )
    return value


def _device(request: Request) -> Device:
    return Device(ip=request.client_ip, user_agent=request.header("User-Agent") or "")


def _uid(request: Request) -> str:
    """The end user who calls, or for whom a function does. Raises Unauthenticated or Forbidden."""
    principal = request.principal
    if principal.uid is not None:
        return principal.uid
    if principal.kind == "anonymous":
        raise Unauthenticated(
            "This needs the access token of a signed-in user in Authorization.",
            code="authentication_required",
        )
    raise Forbidden("This is for end users: send X-Act-As to act as one.")


def _user(request: Request) -> Principal:
    """As `_uid`, and no function may do it for the user."""
    _uid(request)
    if request.principal.kind != "user":
        raise Forbidden("Functions may not do this on behalf of a user.")
    return request.principal


_EMAIL_AND_PASSWORD: Final = {
    "email": {"type": "string", "format": "email"},
    "password": {
        "type": "string",
        "minLength": validation.MIN_PASSWORD,
        "maxLength": validation.MAX_PASSWORD,
    },
}
_DATA: Final = {"data": {"type": "object", "description": "The user's own profile."}}

ROUTES: Final = [
    Route(
        method="POST",
        path=AUTH + "/sign-up",
        handler=sign_up,
        summary="Make an account with e-mail and password, and sign in",
        idempotency="atomic",
        openapi={
            "requestBody": body({**_EMAIL_AND_PASSWORD, **_DATA}, ["email", "password"]),
            "responses": reply(201, GRANT),
        },
    ),
    Route(
        method="POST",
        path=AUTH + "/sign-in",
        handler=sign_in,
        summary="Sign in with e-mail and password",
        openapi={
            "requestBody": body(
                {"email": {"type": "string"}, "password": {"type": "string"}},
                ["email", "password"],
            ),
            "responses": reply(200, GRANT),
        },
    ),
    Route(
        method="POST",
        path=AUTH + "/anonymous",
        handler=sign_in_anonymously,
        summary="Make an anonymous user and sign in",
        openapi={"requestBody": body(_DATA), "responses": reply(201, GRANT)},
    ),
    Route(
        method="POST",
        path=AUTH + "/refresh",
        handler=refresh,
        summary="Exchange a refresh token for the next one and an access token",
        openapi={
            "requestBody": body({"refresh_token": {"type": "string"}}, ["refresh_token"]),
            "responses": reply(200, GRANT),
        },
    ),
    Route(
        method="POST",
        path=AUTH + "/sign-out",
        handler=sign_out,
        summary="End this session, the user's others, or all",
        idempotency="atomic",
        openapi={
            "requestBody": body({"scope": {"enum": list(get_args(Scope)), "default": "local"}}),
            "responses": NOTHING,
        },
    ),
    Route(
        method="GET",
        path=AUTH + "/me",
        handler=get_me,
        summary="The signed-in user",
        openapi={"responses": reply(200, USER)},
    ),
    Route(
        method="PATCH",
        path=AUTH + "/me",
        handler=update_me,
        summary="Change the signed-in user's data by a merge patch",
        idempotency="atomic",
        openapi={"requestBody": body(_DATA), "responses": reply(200, USER)},
    ),
    Route(
        method="DELETE",
        path=AUTH + "/me",
        handler=delete_me,
        summary="Delete the signed-in user's account",
        idempotency="atomic",
        openapi={"responses": NOTHING},
    ),
    Route(
        method="GET",
        path=WELL_KNOWN + "/jwks.json",
        handler=jwks,
        summary="The public keys that access tokens are verified with (RFC 7517)",
        openapi={
            "security": [{}],
            "responses": reply(
                200,
                {
                    "type": "object",
                    "properties": {"keys": {"type": "array", "items": {"type": "object"}}},
                },
            ),
        },
    ),
    Route(
        method="GET",
        path=WELL_KNOWN + "/openid-configuration",
        handler=openid_configuration,
        summary="Where issuer and keys are (OpenID Connect Discovery)",
        openapi={"security": [{}], "responses": reply(200, {"type": "object"})},
    ),
]
