"""Secrets of a project, and the environment of a version: encrypted at rest, write-only."""

import hmac
import re
from typing import Any, Final

import orjson
from django.db import transaction

from baas.kernel import config_cache
from baas.kernel.encryption import decrypt, derived_key, encrypt
from baas.kernel.events.event import rfc3339
from baas.kernel.problems import FieldError, Invalid, NotFound
from functions.models import Secret

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# What the sandbox sets itself; user code that could change them would change the interpreter.
RESERVED: Final = re.compile(r"(PYTHON|LD_|BAAS_).*|PATH|HOME|TMPDIR|LANG|NODE_OPTIONS")
MAX_VALUE: Final = 64 * 1024  # bytes


def require_name(name: str, field: str) -> None:
    """Raises Invalid `invalid_variable_name` for what cannot be an environment variable."""
    if not NAME.fullmatch(name) or RESERVED.fullmatch(name):
        raise Invalid(
            f"{name[:140]!r} cannot be a variable: use letters, digits and _, no digit first, and"
            " none of the interpreter's own names (PATH, HOME, LANG, PYTHON*, LD_*, BAAS_*).",
            code="invalid_variable_name",
            errors=[FieldError(field, "invalid", "not a usable variable name")],
        )


def put_secret(project_id: int, name: str, value: str) -> dict[str, Any]:
    """Keep a secret, or replace its value: calls that start from now on see the new one."""
    require_name(name, "name")
    if "\0" in value or len(value.encode()) > MAX_VALUE:
        raise Invalid(
            "A secret has at most 64 KiB and no NUL characters.",
            errors=[FieldError("value", "invalid", "at most 64 KiB, no NUL")],
        )
    with transaction.atomic():
        secret, _ = Secret.objects.update_or_create(
            project_id=project_id,
            name=name,
            defaults={
                "sealed_value": encrypt(value.encode(), _secret_context(project_id, name)),
                "digest": _digest(project_id, value),
            },
        )
        config_cache.changed(project_id)
    return describe(secret)


def get_secret(project_id: int, name: str) -> Secret:
    """Raises NotFound `secret_not_found`."""
    try:
        return Secret.objects.get(project_id=project_id, name=name)
    except Secret.DoesNotExist as error:
        raise NotFound(f"There is no secret {name[:140]!r}.", code="secret_not_found") from error


def delete_secret(project_id: int, name: str) -> None:
    """Functions that name it run without it from now on. Raises NotFound."""
    with transaction.atomic():
        get_secret(project_id, name).delete()
        config_cache.changed(project_id)


def describe(secret: Secret) -> dict[str, Any]:
    return {
        "name": secret.name,
        "digest": secret.digest,
        "created_at": rfc3339(secret.created_at),
        "updated_at": rfc3339(secret.updated_at),
    }


def missing(project_id: int, names: list[str]) -> list[str]:
    """Those of the names that are no secrets of the project."""
    known = set(
        Secret.objects.filter(project_id=project_id, name__in=names).values_list("name", flat=True)
    )
    return [name for name in names if name not in known]


def reveal(project_id: int, names: list[str]) -> dict[str, str]:
    """The values of those secrets that exist, for a function's environment."""
    if not names:
        return {}
    rows = Secret.objects.filter(project_id=project_id, name__in=names)
    return {
        row.name: decrypt(bytes(row.sealed_value), _secret_context(project_id, row.name)).decode()
        for row in rows
    }


def seal_env(function_id: int, env: dict[str, str]) -> bytes:
    return encrypt(orjson.dumps(env), f"function-env:{function_id}")


def open_env(function_id: int, sealed: bytes) -> dict[str, str]:
    env: dict[str, str] = orjson.loads(decrypt(sealed, f"function-env:{function_id}"))
    return env


def _secret_context(project_id: int, name: str) -> str:
    return f"secret:{project_id}:{name}"


def _digest(project_id: int, value: str) -> str:
    # Keyed and per project: the list must not let anybody try out values.
    key = derived_key("baas-secret-dig")
    return hmac.digest(key, f"{project_id}:{value}".encode(), "sha256").hex()[:32]
