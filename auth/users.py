"""End users: their rows, and the `user` object of the wire."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson
import psycopg
from django.db import transaction

from baas.kernel import db, ids
from baas.kernel.events import Event, emit
from baas.kernel.events.event import rfc3339
from baas.kernel.problems import Conflict, FieldError, NotFound
from baas.kernel.projects import ProjectConfig

COLUMNS: Final = (
    "u.uid, u.email, u.phone, u.role, u.claims::text, u.data::text, u.anonymous, u.banned,"
    " u.created_at, u.updated_at, u.last_sign_in_at,"
    " (SELECT json_agg(i.provider ORDER BY i.id) FROM baas_auth_identity i"
    "  WHERE i.user_id = u.uid)::text"
)
_FROM: Final = " FROM baas_auth_user u WHERE u.project_id = %(project_id)s"
_SELECT: Final = "SELECT " + COLUMNS + _FROM


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user as of when it was read. No secrets: it may be shown to the user."""

    uid: str
    email: str | None
    phone: str | None
    role: str | None
    claims: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    anonymous: bool
    banned: bool
    created_at: datetime
    updated_at: datetime
    last_sign_in_at: datetime | None
    identities: tuple[str, ...]  # providers

    @property
    def provider(self) -> str:
        """How the user first signed in."""
        return self.identities[0] if self.identities else "anonymous"

    def as_object(self) -> dict[str, Any]:
        """The `user` object of the wire, and of events."""
        last = self.last_sign_in_at
        return {
            "id": self.uid,
            "email": self.email,
            "phone": self.phone,
            "anonymous": self.anonymous,
            "identities": [{"provider": provider} for provider in self.identities],
            "role": self.role,
            "claims": self.claims,
            "data": self.data,
            "banned": self.banned,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
            "last_sign_in_at": rfc3339(last) if last else None,
        }


def from_row(row: db.Row) -> User:
    """From a row that begins with the columns of `COLUMNS`."""
    return User(
        uid=row[0],
        email=row[1],
        phone=row[2],
        role=row[3],
        claims=orjson.loads(row[4]),
        data=orjson.loads(row[5]),
        anonymous=row[6],
        banned=row[7],
        created_at=row[8],
        updated_at=row[9],
        last_sign_in_at=row[10],
        identities=tuple(orjson.loads(row[11])) if row[11] else (),
    )


def find(project_id: int, uid: str) -> User | None:
    row = db.fetch_one(_SELECT + " AND u.uid = %(uid)s", {"project_id": project_id, "uid": uid})
    return from_row(row) if row else None


def get(project_id: int, uid: str) -> User:
    """Raises NotFound `user_not_found`."""
    user = find(project_id, uid)
    if user is None:
        raise _not_found()
    return user


def with_password(project_id: int, email: str) -> tuple[User, str | None] | None:
    """(the user of that address, the password's hash if there is one); None for no such user."""
    row = db.fetch_one(
        "SELECT " + COLUMNS + ", u.password_hash" + _FROM + " AND u.email = %(email)s",
        {"project_id": project_id, "email": email},
    )
    return (from_row(row), row[12]) if row else None


def page(project_id: int, *, after: str, limit: int, email: str | None) -> list[User]:
    """Up to `limit` users in the order of their ids, which is that of their creation."""
    rows = db.fetch_all(
        _SELECT + " AND u.uid > %(after)s AND (%(email)s::text IS NULL OR u.email = %(email)s)"
        " ORDER BY u.uid LIMIT %(limit)s",
        {"project_id": project_id, "after": after, "email": email, "limit": limit},
    )
    return [from_row(row) for row in rows]


@transaction.atomic
def create(
    project: ProjectConfig,
    *,
    email: str | None,
    password_hash: str | None,
    data: dict[str, Any],
    role: str | None = None,
    claims: dict[str, Any] | None = None,
) -> User:
    """Make a user and announce it; one without e-mail is anonymous. Raises Conflict `email_taken`.

    All values are valid already (see `validation`).
    """
    uid = ids.new_id()
    params = {
        "uid": uid,
        "project_id": project.id,
        "email": email,
        "password_hash": password_hash,
        "anonymous": email is None,
        "role": role,
        "claims": orjson.dumps(claims or {}).decode(),
        "data": orjson.dumps(data).decode(),
    }
    try:
        db.execute(
            "INSERT INTO baas_auth_user (uid, project_id, email, password_hash, anonymous, banned,"
            " role, claims, data, created_at, updated_at)"
            " VALUES (%(uid)s, %(project_id)s, %(email)s, %(password_hash)s, %(anonymous)s, false,"
            " %(role)s, %(claims)s, %(data)s, now(), now())",
            params,
        )
    except psycopg.errors.UniqueViolation as error:
        raise _email_taken() from error
    if password_hash is not None:
        _add_identity(project.id, uid, "password", uid)
    user = get(project.id, uid)
    announce(project, "baas.auth.user.created", user)
    return user


def _add_identity(project_id: int, uid: str, provider: str, subject: str) -> None:
    db.execute(
        "INSERT INTO baas_auth_identity (project_id, user_id, provider, subject, data, created_at)"
        " VALUES (%s, %s, %s, %s, '{}', now())"
        " ON CONFLICT (project_id, provider, subject) DO NOTHING",
        (project_id, uid, provider, subject),
    )


@transaction.atomic
def lock(project_id: int, uid: str) -> User:
    """The user, not to be changed by others until the transaction ends. Raises NotFound."""
    row = db.fetch_one(
        _SELECT + " AND u.uid = %(uid)s FOR UPDATE OF u", {"project_id": project_id, "uid": uid}
    )
    if row is None:
        raise _not_found()
    return from_row(row)


@transaction.atomic
def save(user: User, project_id: int, *, password_hash: str | None = None) -> User:
    """Write e-mail, role, claims, data, `banned` and, when given, the password of a locked user.

    Raises Conflict `email_taken`.
    """
    try:
        db.execute(
            "UPDATE baas_auth_user SET email = %s, role = %s, claims = %s, data = %s, banned = %s,"
            " anonymous = %s, password_hash = coalesce(%s, password_hash), updated_at = now()"
            " WHERE uid = %s AND project_id = %s",
            (
                user.email,
                user.role,
                orjson.dumps(user.claims).decode(),
                orjson.dumps(user.data).decode(),
                user.banned,
                user.anonymous,
                password_hash,
                user.uid,
                project_id,
            ),
        )
    except psycopg.errors.UniqueViolation as error:
        raise _email_taken() from error
    if password_hash is not None:
        _add_identity(project_id, user.uid, "password", user.uid)
    return get(project_id, user.uid)


@transaction.atomic
def delete(project: ProjectConfig, uid: str) -> None:
    """Remove the user with all sessions and identities, and announce it. Raises NotFound.

    What the user owns in other rooms stays; functions may react to the event.
    """
    user = lock(project.id, uid)
    db.execute("DELETE FROM baas_auth_session WHERE user_id = %s", (uid,))
    db.execute("DELETE FROM baas_auth_identity WHERE user_id = %s", (uid,))
    db.execute("DELETE FROM baas_auth_user WHERE uid = %s", (uid,))
    announce(project, "baas.auth.user.deleted", user)


def announce(project: ProjectConfig, type: str, user: User) -> None:
    """Emit an event of that type about the user in the caller's transaction."""
    emit(
        Event(
            type=type,
            project_id=project.id,
            source=f"/projects/{project.slug}/auth",
            subject=user.uid,
            data={"object": user.as_object()},
        )
    )


def delete_all(project_id: int) -> None:
    """Remove what the room keeps for a project."""
    for table in ("session", "identity", "user", "signingkey"):
        db.execute(f"DELETE FROM baas_auth_{table} WHERE project_id = %s", (project_id,))  # noqa: S608 - our own names


def _not_found() -> NotFound:
    return NotFound("There is no such user in this project.", code="user_not_found")


def _email_taken() -> Conflict:
    return Conflict(
        "There is an account with this e-mail address: sign in instead.",
        code="email_taken",
        errors=[FieldError("email", "taken", "an address without an account")],
    )
