"""Sign up, sign in, refresh, sign out: what the room does for end users."""

from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db import transaction

from auth import access_tokens, lockout, sessions, users, validation
from auth.sessions import Device, Scope, Session
from auth.users import User
from baas.kernel import passwords
from baas.kernel.principals import Principal
from baas.kernel.problems import Forbidden, Unauthenticated
from baas.kernel.projects import ProjectConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a sign-in gives: tokens and the user."""

    session: Session
    user: User
    access_token: str

    def as_object(self) -> dict[str, Any]:
        return {
            "access_token": self.access_token,
            "refresh_token": self.session.refresh_token,
            "token_type": "bearer",
            "expires_in": settings.ACCESS_TOKEN_S,
            "user": self.user.as_object(),
        }


def sign_up(
    project: ProjectConfig, *, email: str, password: str, data: dict[str, Any], device: Device
) -> Grant:
    """Make an account and sign it in. Raises Invalid and Conflict `email_taken`."""
    email = validation.email_address(email)
    password_hash = passwords.hash_password(validation.new_password(password))
    data = validation.json_object("data", data, validation.MAX_DATA)
    with transaction.atomic():
        user = users.create(project, email=email, password_hash=password_hash, data=data)
        return _grant(project, user, "password", device)


@transaction.atomic
def sign_in_anonymously(project: ProjectConfig, *, data: dict[str, Any], device: Device) -> Grant:
    """Make an anonymous user and sign it in. Raises Invalid."""
    data = validation.json_object("data", data, validation.MAX_DATA)
    user = users.create(project, email=None, password_hash=None, data=data)
    return _grant(project, user, "anonymous", device)


def sign_in(project: ProjectConfig, *, email: str, password: str, device: Device) -> Grant:
    """Sign in by password.

    Raises Unauthenticated `invalid_credentials`, after the same time whether or not there is such
    an account; TooMany `too_many_attempts`; Forbidden `user_banned` when the password is right.
    """
    account = email.strip().lower()
    scope = lockout.scope(project.id, account, device.ip)
    lockout.check(scope)
    found = users.with_password(project.id, account)
    password_hash = found[1] if found else None
    # Longer ones cannot be right, and hashing them would cost us.
    password = password if len(password) <= validation.MAX_PASSWORD else ""
    if not passwords.verify(password_hash, password):
        lockout.count_failure(scope)
        raise Unauthenticated("E-mail or password is wrong.", code="invalid_credentials")
    assert found is not None  # noqa: S101 - verify() is false without a hash
    user = found[0]
    if user.banned:
        raise _banned()
    with transaction.atomic():
        lockout.forget(scope)
        if password_hash is not None and passwords.needs_rehash(password_hash):
            users.save(
                users.lock(project.id, user.uid),
                project.id,
                password_hash=passwords.hash_password(password),
            )
        grant = _grant(project, user, "password", device)
        users.announce(project, "baas.auth.user.signed_in", grant.user)
        return grant


def _grant(project: ProjectConfig, user: User, provider: str, device: Device) -> Grant:
    session = sessions.open(project.id, user.uid, provider, device)
    if session is None:
        raise _banned()
    return _issue(project, session, users.get(project.id, user.uid))


def _issue(project: ProjectConfig, session: Session, user: User) -> Grant:
    access_token = access_tokens.issue(project, user, session.id, session.provider)
    return Grant(session=session, user=user, access_token=access_token)


def refresh(project: ProjectConfig, refresh_token: str) -> Grant:
    """New tokens for a refresh token (see `sessions.refresh` for what is raised)."""
    return _issue(project, *sessions.refresh(project.id, refresh_token))


def sign_out(project: ProjectConfig, principal: Principal, scope: Scope) -> None:
    """End this session, the user's other ones, or all."""
    uid = principal.uid
    assert uid is not None  # noqa: S101 - the door lets only users in
    if scope == "global":
        sessions.revoke_all(project.id, uid, "sign_out")
    elif scope == "others":
        sessions.revoke_all(project.id, uid, "sign_out", but=principal.session_id)
    elif principal.session_id is not None:
        sessions.revoke(project.id, principal.session_id, "sign_out")


@transaction.atomic
def update_me(project: ProjectConfig, uid: str, data: object) -> User:
    """Change the user's own data by a merge patch (RFC 7396). Raises Invalid and NotFound."""
    patch = validation.json_object("data", data, validation.MAX_DATA)
    user = users.lock(project.id, uid)
    merged = validation.merge_patch(user.data, patch)
    validation.json_object("data", merged, validation.MAX_DATA)
    return users.save(replace(user, data=merged), project.id)


def _banned() -> Forbidden:
    return Forbidden("This account is banned: ask the app's operators.", code="user_banned")
