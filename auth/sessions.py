"""Sessions: one per sign-in and device, kept alive by its family of refresh tokens."""

import os
from dataclasses import dataclass
from typing import Final, Literal

from django.conf import settings

from auth import refresh_tokens, users
from auth.users import User
from baas.kernel import db, ids
from baas.kernel.problems import Unauthenticated

# Parallel tabs may send the same refresh token: within this time they get the same child.
SAME_CHILD_S: Final = 10
_MAX_USER_AGENT: Final = 300

Scope = Literal["local", "others", "global"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where a sign-in came from, for the user's own list of sessions."""

    ip: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A live session with the refresh token that is in force."""

    id: str
    provider: str
    refresh_token: str


# The user's row is updated first: a ban that comes at the same moment either sees the new
# session and ends it, or is seen here.
_OPEN: Final = (
    "WITH u AS (UPDATE baas_auth_user SET last_sign_in_at = now()"
    "  WHERE uid = %(uid)s AND project_id = %(project_id)s AND NOT banned RETURNING uid)"
    " INSERT INTO baas_auth_session (id, project_id, user_id, provider, secret, generation,"
    "  rotated_at, ip, user_agent, created_at, expires_at)"
    " SELECT %(id)s, %(project_id)s, uid, %(provider)s, %(secret)s, 0, now(), %(ip)s,"
    "  %(user_agent)s, now(), now() + make_interval(days => %(days)s) FROM u"
)


def open(project_id: int, uid: str, provider: str, device: Device) -> Session | None:
    """Begin a session; None when the user is banned or gone."""
    session_id, secret = ids.new_id(), os.urandom(16)
    opened = db.execute(
        _OPEN,
        {
            "id": session_id,
            "project_id": project_id,
            "uid": uid,
            "provider": provider,
            "secret": secret,
            "ip": device.ip,
            "user_agent": device.user_agent[:_MAX_USER_AGENT],
            "days": settings.SESSION_DAYS,
        },
    )
    if not opened.rowcount:
        return None
    token = refresh_tokens.make(session_id, 0, secret)
    return Session(id=session_id, provider=provider, refresh_token=token)


_READ: Final = (
    "SELECT "  # noqa: S608 - constants
    + users.COLUMNS
    + ", s.secret, s.generation, s.provider, s.revoked_because, s.expires_at > now(),"
    "  s.rotated_at > now() - make_interval(secs => %(same_child_s)s)"
    " FROM baas_auth_session s JOIN baas_auth_user u ON u.uid = s.user_id"
    " WHERE s.id = %(id)s AND s.project_id = %(project_id)s"
)
_ROTATE: Final = (
    "UPDATE baas_auth_session SET generation = %(next)s, rotated_at = now(),"
    " expires_at = now() + make_interval(days => %(days)s)"
    " WHERE id = %(id)s AND generation = %(seen)s AND revoked_at IS NULL"
)


def refresh(project_id: int, token: str) -> tuple[Session, User]:
    """The session with its next refresh token.

    The same token gets the same child for SAME_CHILD_S seconds; later it counts as stolen: the
    session is revoked and Unauthenticated `refresh_token_reused` raised, for the whole family.
    Raises Unauthenticated `invalid_token` for a token that is none, expired or signed out.
    """
    parsed = refresh_tokens.parse(token)
    if parsed is None:
        raise _invalid()
    params = {"id": parsed.session_id, "project_id": project_id, "same_child_s": SAME_CHILD_S}
    while True:
        row = db.fetch_one(_READ, params)
        if row is None:
            raise _invalid()
        raw_secret, generation, provider, revoked_because, is_alive, is_fresh = row[-6:]
        secret = bytes(raw_secret)
        if not parsed.is_genuine(secret):
            raise _invalid()
        if revoked_because == "reuse":
            raise _reused()
        if revoked_because is not None or not is_alive:
            raise _invalid()
        if parsed.generation < generation:
            if parsed.generation < generation - 1 or not is_fresh:
                revoke(project_id, parsed.session_id, "reuse")
                raise _reused()
            following = generation
            break
        # A genuine token may be ahead of the row after the database was restored from a backup.
        following = parsed.generation + 1
        rotated = db.execute(
            _ROTATE,
            {
                "id": parsed.session_id,
                "seen": generation,
                "next": following,
                "days": settings.SESSION_DAYS,
            },
        )
        if rotated.rowcount:
            break
        # Somebody else rotated or revoked it in between: look again.
    session = Session(
        id=parsed.session_id,
        provider=provider,
        refresh_token=refresh_tokens.make(parsed.session_id, following, secret),
    )
    return session, users.from_row(row)


def is_alive(project_id: int, session_id: str) -> bool:
    return (
        db.fetch_one(
            "SELECT 1 FROM baas_auth_session WHERE id = %s AND project_id = %s"
            " AND revoked_at IS NULL AND expires_at > now()",
            (session_id, project_id),
        )
        is not None
    )


_REVOKE: Final = (
    "UPDATE baas_auth_session SET revoked_at = now(), revoked_because = %s"
    " WHERE project_id = %s AND revoked_at IS NULL"
)


def revoke(project_id: int, session_id: str, because: str) -> None:
    """End one session: its refresh tokens at once, its access tokens within RECHECK_S."""
    db.execute(_REVOKE + " AND id = %s", (because, project_id, session_id))


def revoke_all(project_id: int, uid: str, because: str, *, but: str | None = None) -> None:
    """End the user's sessions, all but one when `but` names it."""
    db.execute(
        _REVOKE + " AND user_id = %s AND id IS DISTINCT FROM %s", (because, project_id, uid, but)
    )


def sweep() -> int:
    """Drop sessions that ended more than a week ago; returns how many."""
    return db.execute(
        "DELETE FROM baas_auth_session WHERE least(revoked_at, expires_at)"
        " < now() - make_interval(days => 7)"
    ).rowcount


def _invalid() -> Unauthenticated:
    return Unauthenticated(
        "The refresh token is not valid here: it is malformed, expired or signed out. Sign in.",
        code="invalid_token",
    )


def _reused() -> Unauthenticated:
    return Unauthenticated(
        "The refresh token was used before, so the session has been ended: sign in again.",
        code="refresh_token_reused",
    )
