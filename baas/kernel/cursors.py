"""Opaque cursors of list replies: where the next page starts."""

import base64
from typing import Any

import orjson

from baas.kernel.problems import FieldError, Invalid, Malformed

DEFAULT_LIMIT = 20
MAX_LIMIT = 1000


def encode(position: Any) -> str:
    """A URL-safe cursor that holds a JSON-serialisable position."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).rstrip(b"=").decode()


def decode(cursor: str) -> Any:
    """The position in a cursor. Raises Malformed when it is none of ours."""
    try:
        position = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        # Numbers of rows, names of things, or lists of such: `true` would pass for a number.
        if isinstance(position, bool) or (isinstance(position, str) and "\0" in position):
            raise ValueError(position)  # noqa: TRY301 - one handler for all that is no cursor
        return position
    except ValueError as error:
        raise Malformed(
            "The cursor is not valid: pass `next_cursor` of the previous page unchanged.",
            code="invalid_cursor",
        ) from error


def parse_limit(value: object) -> int:
    """`limit` from a query string or body: 1 to 1000, 20 when absent. Raises Invalid."""
    if value is None:
        return DEFAULT_LIMIT
    try:
        limit = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else 0
    except ValueError:
        limit = 0
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid(
            f"`limit` must be a whole number from 1 to {MAX_LIMIT}.",
            code="invalid_limit",
            errors=[FieldError("limit", "out_of_range", f"1 to {MAX_LIMIT}")],
        )
    return limit


def page(items: list[Any], next_cursor: str | None) -> dict[str, Any]:
    """The shape of every list reply."""
    return {"items": items, "next_cursor": next_cursor}
