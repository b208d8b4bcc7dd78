"""What users may give us: e-mail addresses, passwords, profile data. Pure."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from baas.kernel.problems import FieldError, Invalid

MIN_PASSWORD: Final = 8  # characters
MAX_PASSWORD: Final = 1024  # bytes of UTF-8: a hash must not become a denial of service
MAX_EMAIL: Final = 254
MAX_DATA: Final = 16 * 1024  # bytes of JSON
MAX_CLAIMS: Final = 4 * 1024  # bytes of JSON: they travel in every access token
MAX_ROLE: Final = 64


def email_address(value: object) -> str:
    """The address in the form in which it is kept and compared: lower case. Raises Invalid."""
    if not isinstance(value, str):
        raise _invalid("email", "required", "a string")
    address = value.strip().lower()
    try:
        validate_email(address)
    except ValidationError as error:
        raise _invalid("email", "invalid", "an e-mail address") from error
    if len(address) > MAX_EMAIL:
        raise _invalid("email", "too_long", f"at most {MAX_EMAIL} characters")
    return address


def new_password(value: object) -> str:
    """Raises Invalid when the password is no string, too short or too long."""
    if not isinstance(value, str):
        raise _invalid("password", "required", "a string")
    if len(value) < MIN_PASSWORD:
        raise _invalid("password", "too_short", f"at least {MIN_PASSWORD} characters")
    if len(value.encode()) > MAX_PASSWORD:
        raise _invalid("password", "too_long", f"at most {MAX_PASSWORD} bytes")
    return value


def json_object(field: str, value: object, limit: int) -> dict[str, Any]:
    """A JSON object of at most `limit` bytes that PostgreSQL can keep. Raises Invalid."""
    if not isinstance(value, dict):
        raise _invalid(field, "invalid", "a JSON object")
    if len(orjson.dumps(value)) > limit:
        raise _invalid(field, "too_large", f"at most {limit} bytes of JSON")
    if _has_nul(value):
        raise _invalid(field, "invalid", "text without NUL characters")
    return value


def role(value: object) -> str | None:
    """Raises Invalid. null takes the role away."""
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ROLE or not value.isprintable():
        raise _invalid("role", "invalid", f"1 to {MAX_ROLE} printable characters, or null")
    return value


def refuse_unknown(body: Mapping[str, Any], known: frozenset[str]) -> None:
    """Raises Invalid that names every field which is not known here."""
    unknown = sorted(set(body) - known)
    if unknown:
        raise Invalid(
            f"There is no such field here: {', '.join(unknown)[:200]}.",
            errors=[FieldError(name, "unknown", "no such field") for name in unknown],
        )


def merge_patch(target: Any, patch: Any) -> Any:
    """The target changed by a merge patch (RFC 7396); neither argument is changed."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _has_nul(inner) for key, inner in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))


def _invalid(field: str, code: str, expected: str) -> Invalid:
    return Invalid(f"`{field}` must be {expected}.", errors=[FieldError(field, code, expected)])
