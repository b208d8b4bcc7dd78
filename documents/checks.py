"""Checks of what a caller sends beside the user's fields."""

import re
from typing import Any, Final

from baas.kernel.problems import FieldError, Invalid, TooLarge
from documents import values

ID: Final = re.compile(r"[A-Za-z0-9_.~-]{1,128}")
MAX_DOCUMENT: Final = 1024 * 1024  # bytes of the user's fields as JSON


def checked_owner(owner: Any) -> str | None:
    """The owner that a privileged caller names. Raises Invalid `invalid_value`."""
    if owner is not None and (not isinstance(owner, str) or not 0 < len(owner) <= 128
                              or "\0" in owner):  # fmt: skip
        raise values.invalid_value("_owner", "it is a user's id or null")
    return owner


def check_id(id: Any) -> None:
    """Raises Invalid `invalid_id`."""
    if not isinstance(id, str) or ID.fullmatch(id) is None or id in (".", ".."):
        raise Invalid(
            "`_id` is a string of 1 to 128 letters, digits and -_.~",
            code="invalid_id",
            errors=[FieldError("_id", "invalid_id", "1-128 URL-safe characters")],
        )


def check_size(text: bytes) -> None:
    """Raises TooLarge `document_too_large`."""
    if len(text) > MAX_DOCUMENT:
        raise TooLarge(
            f"The document would have more than {MAX_DOCUMENT} bytes.", code="document_too_large"
        )
