"""The room's shapes in the OpenAPI document."""

from typing import Any, Final

_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_TIME: Final = {"type": "string", "format": "date-time"}

USER: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "email": _TEXT_OR_NULL,
        "phone": _TEXT_OR_NULL,
        "anonymous": {"type": "boolean"},
        "identities": {
            "type": "array",
            "items": {"type": "object", "properties": {"provider": {"type": "string"}}},
        },
        "role": _TEXT_OR_NULL,
        "claims": {"type": "object"},
        "data": {"type": "object"},
        "banned": {"type": "boolean"},
        "created_at": _TIME,
        "updated_at": _TIME,
        "last_sign_in_at": {"type": ["string", "null"], "format": "date-time"},
    },
}
GRANT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "access_token": {"type": "string"},
        "refresh_token": {"type": "string"},
        "token_type": {"const": "bearer"},
        "expires_in": {"type": "integer", "description": "Seconds."},
        "user": USER,
    },
}
NOTHING: Final[dict[str, Any]] = {"204": {"description": "Done."}}


def body(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    """The requestBody of a JSON object."""
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return {
        "required": bool(required),
        "content": {"application/json": {"schema": schema}},
    }


def reply(status: int, schema: dict[str, Any]) -> dict[str, Any]:
    """The responses of an operation that answers one JSON value."""
    content = {"application/json": {"schema": schema}}
    return {str(status): {"description": "Success.", "content": content}}
