"""From an Authorization header to a principal."""

import time
from typing import Final

from baas.kernel import operators
from baas.kernel.http.request import Request
from baas.kernel.principals import ANONYMOUS, Principal
from baas.kernel.problems import Unauthenticated

# Keys and tokens are checked against the database at most this often per process, so a revoked
# one ends within this time everywhere.
RECHECK_S: Final = 1.0
MAX_CACHED: Final = 10_000

_checked: dict[tuple[int, str], tuple[float, Principal]] = {}


def authenticate(request: Request) -> Principal:
    """The caller of a request. No header means anonymous.

    Raises Unauthenticated `invalid_token` for a token that is malformed, expired, revoked or
    another project's; it is never silently anonymous.
    """
    header = request.environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return ANONYMOUS
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _invalid("Send `Authorization: Bearer <token>`.")
    cache_key = (request.project.id, token)
    now = time.monotonic()
    cached = _checked.get(cache_key)
    if cached is not None and cached[0] > now:
        return cached[1]
    principal = _check(token, request.project.id)
    if len(_checked) >= MAX_CACHED:
        _checked.clear()
    _checked[cache_key] = (now + RECHECK_S, principal)
    return principal


def _check(token: str, project_id: int) -> Principal:
    principal: Principal | None
    if token.startswith("sk_"):
        principal = operators.by_secret_key(token, project_id)
    elif token.startswith("pat_"):
        principal = operators.by_token(token)
    elif token.startswith("pk_"):
        principal = ANONYMOUS if operators.is_publishable_key(token, project_id) else None
    else:
        principal = None
    if principal is None:
        raise _invalid("The token is not valid here: it is malformed, expired or revoked.")
    return principal


def _invalid(detail: str) -> Unauthenticated:
    return Unauthenticated(detail, code="invalid_token")
