"""Tokens of running functions: what `context.baas` calls back with.

Signed with a key derived from BAAS_SECRET_KEY, so checking one needs no look-up, and good for one
invocation until its deadline.
"""

import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

import orjson

from baas.kernel.encryption import derived_key
from baas.kernel.principals import Principal

PREFIX: Final = "inv_"
_MAC: Final = 32

# Who a function acts for: the service (above the rules), or its caller, given as the principal
# or as its `auth` dict; None is a caller without identity, for whom the rules decide.
ActFor = Literal["service"] | Principal | Mapping[str, Any] | None


def mint(
    project_id: int,
    invocation_id: str,
    act_for: ActFor,
    depth: int,
    expires_at: datetime | float,
) -> str:
    """A token for one invocation.

    `depth` is that of the events which the function will cause; `expires_at` is a time with zone
    or seconds since 1970. A privileged principal (secret key, operator, service) is the service.
    """
    if isinstance(act_for, Principal):
        act_for = "service" if act_for.bypasses_rules else act_for.auth
    service = act_for == "service"
    body = orjson.dumps(
        {
            "p": project_id,
            "i": invocation_id,
            "s": service,
            "a": None if service else act_for,
            "d": depth,
            "e": expires_at.timestamp() if isinstance(expires_at, datetime) else expires_at,
        }
    )
    return PREFIX + urlsafe_b64encode(body + _mac(body)).decode()


def read(token: str, project_id: int) -> tuple[Principal, float] | None:
    """(the principal, when the token ends in seconds since 1970).

    None when it is malformed, forged, expired or another project's.
    """
    if not token.isascii():
        return None
    try:
        raw = urlsafe_b64decode(token[len(PREFIX) :])
    except ValueError:
        return None
    body = raw[:-_MAC]
    if not hmac.compare_digest(raw[-_MAC:], _mac(body)):
        return None
    claims = orjson.loads(body)
    if claims["p"] != project_id or claims["e"] <= time.time():
        return None
    return _principal(claims), claims["e"]


def _principal(claims: dict[str, Any]) -> Principal:
    auth = claims["a"]
    if auth is None:
        # A function without a caller to act for is the service only when it was said so;
        # otherwise its caller was anonymous, and so is it.
        return Principal(
            kind="function" if claims["s"] else "anonymous",
            project_id=claims["p"],
            invocation_id=claims["i"],
            depth=claims["d"],
        )
    return Principal(
        kind="function",
        project_id=claims["p"],
        uid=auth["uid"],
        role=auth.get("role"),
        email=auth.get("email"),
        claims=auth.get("claims") or {},
        provider=auth.get("provider"),
        is_anonymous_user=bool(auth.get("anonymous")),
        invocation_id=claims["i"],
        depth=claims["d"],
    )


def _mac(body: bytes) -> bytes:
    return hmac.digest(derived_key("baas-invocation"), body, "sha256")
