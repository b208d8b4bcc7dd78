"""Django REST framework, told to speak our problems and our JSON. Named by the settings, so it
must not import `rest_framework.views` (which reads the settings)."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request as DrfRequest
from rest_framework.response import Response as DrfResponse

from baas.kernel.http import door
from baas.kernel.http.django import kernel_request
from baas.kernel.http.request import JSON_LIMIT, parse_json
from baas.kernel.principals import Principal
from baas.kernel.problems import (
    CONTENT_TYPE,
    FieldError,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Problem,
    Unauthenticated,
    UnsupportedMediaType,
    as_dict,
)


class JSONParser(BaseParser):
    """JSON within the body limit of the view (`body_limit`, bytes) and the depth limit."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        view = (parser_context or {}).get("view")
        request: HttpRequest = parser_context["request"]._request
        body = kernel_request(request).body(getattr(view, "body_limit", JSON_LIMIT))
        value = parse_json(body) if body else {}
        if not isinstance(value, dict) and not getattr(view, "accepts_any_json", False):
            raise Malformed("The body must be a JSON object.")
        return value


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        return b"" if data is None else orjson.dumps(data, default=str)


class AlwaysJson(BaseContentNegotiation):
    """We only speak JSON, so `Accept` cannot choose anything; parsers go by Content-Type."""

    def select_parser(self, request: DrfRequest, parsers: Iterable[BaseParser]) -> Any:
        media_type = (request.content_type or "").partition(";")[0].strip().lower()
        for parser in parsers:
            if not media_type or media_type == parser.media_type:
                return parser
            if media_type.endswith("+json") and parser.media_type == "application/json":
                return parser
        return None

    def select_renderer(
        self, request: DrfRequest, renderers: Iterable[BaseRenderer], format_suffix: Any = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type or ""


def _field_errors(detail: Any, path: str = "") -> list[FieldError]:
    if isinstance(detail, Mapping):
        found = []
        for key, value in detail.items():
            inner = path if key == "non_field_errors" else f"{path}.{key}" if path else str(key)
            found += _field_errors(value, inner)
        return found
    if isinstance(detail, list):
        found = []
        for index, value in enumerate(detail):
            inner = f"{path}[{index}]" if isinstance(value, Mapping | list) else path
            found += _field_errors(value, inner)
        return found
    return [FieldError(path, getattr(detail, "code", "invalid"), str(detail))]


def _as_problem(error: Exception) -> Problem:
    match error:
        case exceptions.ValidationError():
            errors = _field_errors(error.detail)
            first = ": ".join(filter(None, (errors[0].field, errors[0].detail))) if errors else ""
            return Invalid(f"The body does not validate. {first}".rstrip(), errors=errors)
        case exceptions.ParseError():
            return Malformed(str(error.detail))
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return Unauthenticated(str(error.detail))
        case exceptions.PermissionDenied() | PermissionDenied():
            return Forbidden("You may not do this.")
        case exceptions.NotFound() | Http404():
            return NotFound("There is nothing at this address.")
        case exceptions.UnsupportedMediaType():
            return UnsupportedMediaType(str(error.detail))
    return door.as_problem(error)


def handle_exception(error: Exception, handler_context: dict[str, Any]) -> DrfResponse:
    """Every exception of a view as problem+json."""
    view = handler_context["view"]
    if isinstance(error, exceptions.MethodNotAllowed):
        problem: Problem = door.method_not_allowed(
            [method for method in view.allowed_methods if method != "OPTIONS"]
        )
    else:
        problem = _as_problem(error)
    request = kernel_request(handler_context["request"]._request)
    return DrfResponse(
        as_dict(problem, request.request_id),
        status=problem.status,
        headers=problem.headers,
        content_type=CONTENT_TYPE,
    )


class PrincipalAuthentication(BaseAuthentication):
    """`request.user` is the principal that the middleware found."""

    def authenticate(self, request: DrfRequest) -> tuple[Principal, None]:
        return kernel_request(request._request).principal, None
