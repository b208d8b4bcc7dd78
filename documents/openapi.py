"""What the OpenAPI document says of the data plane's routes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

OBJECT: Final = {"type": "object", "additionalProperties": True}


def with_members(names: Sequence[str]) -> dict[str, Any]:
    """A body with these members and no others."""
    return {
        "type": "object",
        "properties": {name: {} for name in names},
        "additionalProperties": False,
    }


def operation(
    *,
    replies: Mapping[int, str],
    body: dict[str, Any] | None = None,
    query: Sequence[str] = (),
    headers: Sequence[str] = (),
) -> dict[str, Any]:
    """Further members of an operation; those of its path and Idempotency-Key come by themselves."""
    described: dict[str, Any] = {
        "tags": ["documents"],
        "responses": {str(status): {"description": text} for status, text in replies.items()},
    }
    if body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body}},
        }
    described["parameters"] = [
        {"name": name, "in": place, "schema": {"type": "string"}}
        for place, names in (("query", query), ("header", headers))
        for name in names
    ]
    return described
