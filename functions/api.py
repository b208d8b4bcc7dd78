"""Functions on the data plane: invoke, look at what came of it, publish and read events."""

from datetime import datetime
from typing import Any, Final

from baas.kernel import cursors
from baas.kernel.http.request import (
    JSON_LIMIT,
    MAX_INVOKE,
    Request,
    Response,
    json_response,
    parse_json,
    require_json_type,
)
from baas.kernel.http.routes import PROJECT, Route
from baas.kernel.http.views import require_privileged
from baas.kernel.problems import (
    FieldError,
    Forbidden,
    Invalid,
    Malformed,
    TooLarge,
    Unauthenticated,
)
from functions import http, invocations
from functions.events import cloudevents, publishing

MAX_ASYNC: Final = 256 * 1024  # bytes of a body that is kept for later


def invoke(request: Request) -> Response:
    require_json_type(request.header("Content-Type"))
    body = request.body(MAX_INVOKE) or b"null"
    later = _wants_later(request)
    if later and len(body) > MAX_ASYNC:
        raise TooLarge(
            "The body of an asynchronous call has at most 256 KiB: put the data into storage or a"
            " document and send its name."
        )
    parse_json(body)
    alias = request.query.get("alias", "live")
    number = _version(request)
    version = invocations.choose(
        request.project,
        request.principal,
        request.params["name"],
        alias=alias,
        number=number,
        route_key=request.header("X-Route-Key"),
        client_ip=request.client_ip,
        explain=_wants_explanation(request),
    )
    if later:
        invocation_id = invocations.queue(
            request.project, request.principal, version, body, alias=alias, number=number
        )
        return json_response(
            {"invocation_id": invocation_id}, 202, [("Preference-Applied", "respond-async")]
        )
    answer = invocations.invoke(request.project, request.principal, version, body)
    return Response(
        200,
        answer.result,
        [
            ("X-Invocation-Id", answer.invocation_id),
            ("X-Function-Version", str(answer.version)),
            ("X-Duration-Ms", f"{answer.duration_ms:.3f}"),
        ],
    )


def _wants_later(request: Request) -> bool:
    """RFC 7240: preferences are separated by commas, parameters by semicolons."""
    prefer = request.header("Prefer")
    return prefer is not None and any(
        part.partition(";")[0].strip().lower() == "respond-async" for part in prefer.split(",")
    )


def _wants_explanation(request: Request) -> bool:
    # Only for whoever may do everything anyway and acts as a user to try the rules.
    return request.principal.is_acted and request.header("X-Explain-Rules") == "1"


def _version(request: Request) -> int | None:
    text = request.query.get("version")
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or not 0 < len(text) < 10:
        raise Invalid(
            "`version` is a version's number.",
            errors=[FieldError("version", "invalid", "a whole number")],
        )
    return int(text)


def invocation(request: Request) -> Response:
    return json_response(invocations.find(request.project, request.principal, request.params["id"]))


def http_function(request: Request) -> Response:
    path = "/" + request.params["path"]
    binding, params = http.bindings(request.project.id).match(request.method, path)
    version = invocations.choose(
        request.project,
        request.principal,
        binding.function,
        alias=binding.alias,
        number=None,
        route_key=request.header("X-Route-Key"),
        client_ip=request.client_ip,
        is_open=binding.is_open,
        explain=_wants_explanation(request),
    )
    event = http.event_of(
        request.environ,
        method=request.method,
        path=path,
        params=params,
        body=request.body(MAX_INVOKE),
        principal=request.principal,
    )
    answer = invocations.invoke(request.project, request.principal, version, event)
    response = http.response_of(answer.result)
    response.headers.append(("X-Invocation-Id", answer.invocation_id))
    return response


def publish(request: Request) -> Response:
    principal = request.principal
    # Functions are the project's own code, whomever they act for.
    if principal.invocation_id is None and not principal.is_privileged:
        if principal.kind == "anonymous":
            raise Unauthenticated(
                "Publishing events needs the project's secret key or an operator's token.",
                code="authentication_required",
            )
        raise Forbidden("Events are published by functions, secret keys and operators.")
    prefix = "HTTP_CE_"
    headers = {
        name[len(prefix) :].lower(): str(value)
        for name, value in request.environ.items()
        if name.startswith(prefix)
    }
    events = cloudevents.read(request.header("Content-Type"), headers, request.body(JSON_LIMIT))
    publishing.publish(request.project, events)
    return json_response({"ids": [event.id for event in events]}, 202)


def events(request: Request) -> Response:
    require_privileged(request)
    query = request.query
    cursor = query.get("cursor")
    before = cursors.decode(cursor) if cursor is not None else None
    if before is not None and not (isinstance(before, int) and 0 <= before < 2**63):
        raise Malformed("The cursor is another list's.", code="invalid_cursor")
    shown, more = publishing.find(
        request.project,
        type=query.get("type"),
        subject=query.get("subject"),
        since=parse_time(query.get("since")),
        before=before,
        limit=cursors.parse_limit(query.get("limit")),
    )
    next_cursor = cursors.encode(more) if more is not None else None
    return json_response(cursors.page(shown, next_cursor))


def parse_time(text: str | None, name: str = "since") -> datetime | None:
    """A time from a query string. Raises Invalid, naming the parameter."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Invalid(
            f"`{name}` must be an RFC 3339 time with its zone, such as 2026-01-31T12:00:00Z.",
            errors=[FieldError(name, "invalid", "RFC 3339")],
        )
    return moment


def _page_parameters(*names: str) -> dict[str, Any]:
    return {
        "parameters": [
            {"name": "project", "in": "path", "required": True, "schema": {"type": "string"}},
            *(
                {"name": name, "in": "query", "schema": {"type": "string"}}
                for name in (*names, "limit", "cursor")
            ),
        ]
    }


ROUTES: Final[list[Route]] = [
    Route(
        method="POST",
        path=f"{PROJECT}/functions/{{name}}:invoke",
        handler=invoke,
        summary="Call a function and wait for its result, or leave it for later",
        idempotency="after",
    ),
    Route(
        method="GET",
        path=f"{PROJECT}/invocations/{{id}}",
        handler=invocation,
        summary="What became of a call",
    ),
    Route(
        method="POST",
        path=f"{PROJECT}/events",
        handler=publish,
        summary="Publish custom events (CloudEvents: binary, structured or batched)",
        idempotency="atomic",
        openapi={"responses": {"202": {"description": "The events are durably stored."}}},
    ),
    Route(
        method="GET",
        path=f"{PROJECT}/events",
        handler=events,
        summary="The project's events, newest first",
        openapi=_page_parameters("type", "subject", "since"),
    ),
    *(
        Route(
            method=method,
            path=f"{PROJECT}/http/{{path...}}",
            handler=http_function,
            summary="Call the function that a trigger binds to this address",
            idempotency="after" if method != "GET" else None,
        )
        for method in http.METHODS
    ),
]
