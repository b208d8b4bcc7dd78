"""From a token to a principal."""

import logging
import time
from typing import Final

from auth import access_tokens, invocations, sessions, users
from auth.recent import Recent
from baas.kernel import operators
from baas.kernel.http.request import Request
from baas.kernel.principals import ANONYMOUS, Principal
from baas.kernel.problems import Forbidden, NotFound, Unauthenticated
from baas.kernel.projects import ProjectConfig

audit = logging.getLogger("baas.audit")

# Keys, tokens and sessions are checked against the database at most this often per process: what
# is revoked (sign-out, ban, rotation) ends within this time everywhere.
RECHECK_S: Final = 1.0
MAX_CACHED: Final = 10_000
MAX_TOKEN: Final = 16 * 1024  # characters

# Good until (monotonic clock), the principal, and the token's own end (wall clock) if it has one.
Entry = tuple[float, Principal, float | None]

_checked: Recent[tuple[int, str], Entry] = Recent(MAX_CACHED)


def authenticate(request: Request) -> Principal:
    """The caller of a request. No header means anonymous.

    Raises Unauthenticated `invalid_token` for a token that is malformed, expired, revoked or
    another project's; it is never silently anonymous. Raises Forbidden when `X-Act-As` comes from
    anybody but a secret key or an operator, NotFound when it names nobody.
    """
    environ = request.environ
    header = environ.get("HTTP_AUTHORIZATION")
    if header is None:
        principal = ANONYMOUS
    else:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _invalid("Send `Authorization: Bearer <token>`.")
        principal = authenticate_token(token, request.project)
    act_as = environ.get("HTTP_X_ACT_AS")
    if act_as is not None:
        return _act_as(act_as, principal, request)
    return principal


def authenticate_token(token: str | None, project: ProjectConfig) -> Principal:
    """Who holds this token in this project; None is an anonymous caller.

    Raises Unauthenticated `invalid_token`, as `authenticate` does. What was true at most
    RECHECK_S seconds ago may still be answered; a token's own end counts exactly.
    """
    if token is None:
        return ANONYMOUS
    key = (project.id, token)
    cached = _checked.get(key)
    if cached is not None and cached[0] > time.monotonic():
        return cached[1]
    entry = _recheck(cached, token, project)
    if entry is None:
        _checked.drop(key)
        raise _invalid("The token is not valid here: it is malformed, expired or revoked.")
    _checked.put(key, entry)
    return entry[1]


def forget() -> None:
    """Look everything up anew: after a sign-out or ban in this process, whose callers expect it."""
    _checked.clear()


def _recheck(cached: Entry | None, token: str, project: ProjectConfig) -> Entry | None:
    _, principal, end = cached or (0.0, ANONYMOUS, None)
    if end is None or principal.session_id is None:
        return _check(token, project)
    # A verified signature stays right; what can have ended is the token's time and the session.
    return _entry_of_session(principal, end, project.id)


def _check(token: str, project: ProjectConfig) -> Entry | None:
    if len(token) > MAX_TOKEN or not token.isascii() or not token.isprintable():
        return None
    if token.startswith(invocations.PREFIX):
        found = invocations.read(token, project.id)
        return _entry(*found) if found is not None else None
    if token.count(".") == 2:
        found = access_tokens.read(token, project)
        return _entry_of_session(*found, project.id) if found is not None else None
    principal = _by_key(token, project.id)
    return _entry(principal, None) if principal is not None else None


def _by_key(token: str, project_id: int) -> Principal | None:
    if token.startswith("sk_"):
        return operators.by_secret_key(token, project_id)
    if token.startswith("pat_"):
        return operators.by_token(token)
    if token.startswith("pk_") and operators.is_publishable_key(token, project_id):
        return ANONYMOUS
    return None


def _entry_of_session(principal: Principal, end: float, project_id: int) -> Entry | None:
    session_id = principal.session_id
    if end <= time.time() or session_id is None or not sessions.is_alive(project_id, session_id):
        return None
    return _entry(principal, end)


def _entry(principal: Principal, end: float | None) -> Entry:
    seconds = RECHECK_S if end is None else min(RECHECK_S, end - time.time())
    return time.monotonic() + seconds, principal, end


def _act_as(who: str, principal: Principal, request: Request) -> Principal:
    if not principal.is_privileged:
        raise Forbidden("X-Act-As is for secret keys and operators only.")
    audit.info(
        "acting as another",
        extra={
            "audit": "act_as",
            "actor": principal.identity,
            "acts_as": who,
            "method": request.method,
            "path": request.path,
        },
    )
    if who == "anonymous":
        return Principal(
            kind="anonymous", operator_id=principal.operator_id, key_id=principal.key_id
        )
    user = users.find(request.project.id, who) if who.isalnum() else None
    if user is None:
        raise NotFound("X-Act-As names no user of this project.", code="user_not_found")
    return Principal(
        kind="user",
        project_id=request.project.id,
        uid=user.uid,
        role=user.role,
        email=user.email,
        claims=user.claims,
        provider=user.provider,
        is_anonymous_user=user.anonymous,
        operator_id=principal.operator_id,
        key_id=principal.key_id,
    )


def _invalid(detail: str) -> Unauthenticated:
    return Unauthenticated(detail, code="invalid_token")
