"""Access tokens: JWTs that say who an end user is, for some minutes."""

import time
from typing import Any, Final

import jwt
from django.conf import settings

from auth import signing_keys
from auth.users import User
from baas.kernel.principals import Principal
from baas.kernel.projects import ProjectConfig

_REQUIRED: Final = ["iss", "aud", "sub", "sid", "iat", "exp"]


def issuer(project: ProjectConfig) -> str:
    return f"{settings.PUBLIC_URL}/v1/projects/{project.slug}"


def issue(project: ProjectConfig, user: User, session_id: str, provider: str) -> str:
    """A token for `settings.ACCESS_TOKEN_S` seconds."""
    key = signing_keys.in_force(project.id)
    now = int(time.time())
    claims = {
        "iss": issuer(project),
        "aud": project.slug,
        "sub": user.uid,
        "sid": session_id,
        "role": user.role,
        "email": user.email,
        "claims": user.claims,
        "provider": provider,
        "anonymous": user.anonymous,
        "iat": now,
        "exp": now + settings.ACCESS_TOKEN_S,
    }
    return jwt.encode(
        claims, key.private_key, algorithm=signing_keys.ALGORITHM, headers={"kid": key.kid}
    )


def read(token: str, project: ProjectConfig) -> tuple[Principal, float] | None:
    """(the user, when the token ends in seconds since 1970).

    None when it is malformed, forged, expired, another project's, or signed by an unknown key or
    in any other way than our keys sign. Whether the session still lives is not looked up here.
    """
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        if not isinstance(kid, str) or not kid.isalnum():
            return None
        key = signing_keys.verifying(project.id, kid)
        if key is None:
            return None
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[signing_keys.ALGORITHM],
            audience=project.slug,
            issuer=issuer(project),
            # `iat` is information: the clocks of two nodes may differ by a second.
            options={"require": _REQUIRED, "verify_iat": False},
        )
    except jwt.InvalidTokenError:
        return None
    principal = Principal(
        kind="user",
        project_id=project.id,
        uid=claims["sub"],
        session_id=claims["sid"],
        role=claims["role"],
        email=claims["email"],
        claims=claims["claims"],
        provider=claims["provider"],
        is_anonymous_user=claims["anonymous"],
    )
    return principal, float(claims["exp"])
