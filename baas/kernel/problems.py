"""What can go wrong with a request, as RFC 9457 problems.

Services raise these; each door has one handler that renders them.

    Problem
     ├ Malformed 400 · Unauthenticated 401 · Forbidden 403 · NotFound 404 · MethodNotAllowed 405
     ├ Conflict 409 · PreconditionFailed 412 · TooLarge 413 · UnsupportedMediaType 415
     ├ Invalid 422 · TooMany 429 · Internal 500 · BadGateway 502 · Unavailable 503 · Timeout 504
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong: `field` is a dotted path into the body, such as `writes[3].id`."""

    field: str
    code: str
    detail: str


class Problem(Exception):
    """A refusal that the caller sees.

    `code` is stable and documented, `detail` says what to do. `headers` go into the reply,
    `members` are further members of the problem object.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal server error"
    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.members = dict(members or {})


class Malformed(Problem):
    status, title, default_code = 400, "Malformed request", "malformed_request"


class Unauthenticated(Problem):
    status, title, default_code = 401, "Not authenticated", "invalid_token"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail, code=code, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(Problem):
    status, title, default_code = 403, "Forbidden", "rule_denied"


class NotFound(Problem):
    status, title, default_code = 404, "Not found", "not_found"


class MethodNotAllowed(Problem):
    status, title, default_code = 405, "Method not allowed", "method_not_allowed"


class Conflict(Problem):
    status, title, default_code = 409, "Conflict", "conflict"


class PreconditionFailed(Problem):
    status, title, default_code = 412, "Precondition failed", "precondition_failed"


class TooLarge(Problem):
    status, title, default_code = 413, "Content too large", "body_too_large"


class UnsupportedMediaType(Problem):
    status, title, default_code = 415, "Unsupported media type", "unsupported_media_type"


class RangeNotSatisfiable(Problem):
    status, title, default_code = 416, "Range not satisfiable", "range_not_satisfiable"


class Invalid(Problem):
    status, title, default_code = 422, "Validation failed", "invalid"


class TooMany(Problem):
    """Over a limit; `retry_after_s` tells the caller when another try makes sense."""

    status, title, default_code = 429, "Too many requests", "rate_limited"

    def __init__(self, detail: str, *, code: str | None = None, retry_after_s: int = 1) -> None:
        super().__init__(detail, code=code, headers={"Retry-After": str(retry_after_s)})


class Internal(Problem):
    pass


class BadGateway(Problem):
    status, title, default_code = 502, "Bad gateway", "function_error"


class Unavailable(Problem):
    """A part is out of reach for the moment; nothing was changed."""

    status, title, default_code = 503, "Service unavailable", "service_unavailable"

    def __init__(self, detail: str, *, code: str | None = None, retry_after_s: int = 1) -> None:
        super().__init__(detail, code=code, headers={"Retry-After": str(retry_after_s)})


class GatewayTimeout(Problem):
    status, title, default_code = 504, "Gateway timeout", "function_timeout"


def as_dict(problem: Problem, request_id: str) -> dict[str, Any]:
    """The problem object of RFC 9457 with our members."""
    body: dict[str, Any] = {
        "type": f"urn:baas:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
        **problem.members,
    }
    if problem.errors:
        body["errors"] = [
            {"field": e.field, "code": e.code, "detail": e.detail} for e in problem.errors
        ]
    return body


def render(problem: Problem, request_id: str) -> bytes:
    return orjson.dumps(as_dict(problem, request_id))
