"""What a project's secret key and operators do with its users."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from django.db import transaction

from auth import sessions, users, validation
from auth.users import User
from baas.kernel import passwords
from baas.kernel.problems import FieldError, Invalid
from baas.kernel.projects import ProjectConfig

_NEW: Final = frozenset({"email", "password", "role", "claims", "data"})
_CHANGE: Final = _NEW | {"banned"}


def create(project: ProjectConfig, body: Mapping[str, Any]) -> User:
    """Make a user, without signing anybody in. Raises Invalid and Conflict `email_taken`."""
    validation.refuse_unknown(body, _NEW)
    email = validation.email_address(body.get("email"))
    password = body.get("password")
    role, claims = validation.role(body.get("role")), _claims(body.get("claims", {}))
    data = validation.json_object("data", body.get("data", {}), validation.MAX_DATA)
    password_hash = (
        None if password is None else passwords.hash_password(validation.new_password(password))
    )
    return users.create(
        project, email=email, password_hash=password_hash, data=data, role=role, claims=claims
    )


def update(project: ProjectConfig, uid: str, body: Mapping[str, Any]) -> User:
    """Change what `body` names; `data` is merged (RFC 7396), the rest replaced.

    Role and claims are in force from the user's next access token. A ban and a new password end
    the user's sessions. Raises Invalid, NotFound `user_not_found` and Conflict `email_taken`.
    """
    validation.refuse_unknown(body, _CHANGE)
    changes: dict[str, Any] = {}
    if "email" in body:
        changes |= {"email": validation.email_address(body["email"]), "anonymous": False}
    if "role" in body:
        changes["role"] = validation.role(body["role"])
    if "claims" in body:
        changes["claims"] = _claims(body["claims"])
    if "banned" in body:
        changes["banned"] = _boolean("banned", body["banned"])
    patch = validation.json_object("data", body.get("data", {}), validation.MAX_DATA)
    password_hash = (
        passwords.hash_password(validation.new_password(body["password"]))
        if "password" in body
        else None
    )
    with transaction.atomic():
        user = users.lock(project.id, uid)
        data = validation.merge_patch(user.data, patch)
        changes["data"] = validation.json_object("data", data, validation.MAX_DATA)
        changed = replace(user, **changes)
        if password_hash is not None and changed.email is None:
            raise Invalid(
                "A password needs an e-mail address to sign in with.",
                errors=[FieldError("email", "required", "an e-mail address")],
            )
        saved = users.save(changed, project.id, password_hash=password_hash)
        if saved.banned:
            sessions.revoke_all(project.id, uid, "ban")
        elif password_hash is not None:
            sessions.revoke_all(project.id, uid, "password")
        return saved


def _claims(value: object) -> dict[str, Any]:
    return validation.json_object("claims", value, validation.MAX_CLAIMS)


def _boolean(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise Invalid(
            f"`{field}` must be true or false.",
            errors=[FieldError(field, "invalid", "true or false")],
        )
    return value
