"""Operators: who runs the installation, and their personal access tokens."""

from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from baas.kernel import db, ids, passwords
from baas.kernel.models import Operator, PersonalAccessToken
from baas.kernel.principals import Principal
from baas.kernel.problems import Conflict, FieldError, Invalid, NotFound, Unauthenticated
from baas.kernel.projects import key_hash

LOGIN_DAYS: Final = 30
MIN_PASSWORD: Final = 10


def create(*, email: str, password: str) -> Operator:
    """Raises Invalid for a short password and Conflict `operator_exists`."""
    if len(password) < MIN_PASSWORD:
        raise Invalid(
            f"The password needs at least {MIN_PASSWORD} characters.",
            errors=[FieldError("password", "too_short", f"at least {MIN_PASSWORD} characters")],
        )
    try:
        with transaction.atomic():
            return Operator.objects.create(
                email=email.lower(), password_hash=passwords.hash_password(password)
            )
    except IntegrityError as error:
        raise Conflict(f"{email} is an operator already.", code="operator_exists") from error


def login(*, email: str, password: str) -> str:
    """A token for the right e-mail and password. Raises Unauthenticated `invalid_credentials`."""
    operator = Operator.objects.filter(email=email.lower()).first()
    if not passwords.verify(operator.password_hash if operator else None, password):
        raise Unauthenticated("E-mail or password is wrong.", code="invalid_credentials")
    assert operator is not None  # noqa: S101 - verify() is false without a hash
    expires_at = timezone.now() + timedelta(days=LOGIN_DAYS)
    return create_token(operator, name="login", expires_at=expires_at)[1]


def create_token(
    operator: Operator, *, name: str, expires_at: datetime | None = None
) -> tuple[PersonalAccessToken, str]:
    """A new `pat_…`; its text is not readable again."""
    token = ids.new_secret("pat_")
    row = PersonalAccessToken.objects.create(
        operator=operator,
        public_id=ids.new_id(),
        name=name,
        token_hash=key_hash(token),
        expires_at=expires_at,
    )
    return row, token


def revoke_token(operator_id: int, public_id: str) -> None:
    """Raises NotFound."""
    deleted, _ = PersonalAccessToken.objects.filter(
        operator_id=operator_id, public_id=public_id
    ).delete()
    if not deleted:
        raise NotFound("There is no such token.", code="token_not_found")


def by_token(token: str) -> Principal | None:
    """The operator who holds this `pat_…`, None when it is unknown, expired or revoked."""
    row = db.fetch_one(
        "SELECT operator_id, public_id FROM kernel_personalaccesstoken"
        " WHERE token_hash = %s AND (expires_at IS NULL OR expires_at > now())",
        (key_hash(token),),
    )
    return Principal(kind="operator", operator_id=row[0], key_id=row[1]) if row else None


def by_secret_key(token: str, project_id: int) -> Principal | None:
    """The principal of a project's `sk_…`, None when it is unknown or another project's."""
    row = db.fetch_one(
        "SELECT public_id FROM kernel_secretkey WHERE key_hash = %s AND project_id = %s"
        " AND (expires_at IS NULL OR expires_at > now())",
        (key_hash(token), project_id),
    )
    return Principal(kind="key", project_id=project_id, key_id=row[0]) if row else None


def is_publishable_key(token: str, project_id: int) -> bool:
    return (
        db.fetch_one(
            "SELECT 1 FROM kernel_project WHERE id = %s AND publishable_key = %s",
            (project_id, token),
        )
        is not None
    )
