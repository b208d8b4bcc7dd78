"""What both doors (data plane and Django) do with every request before and after its handler."""

import logging
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import psycopg
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils.module_loading import import_string

from baas.kernel import context, db, fairness, ids, metrics
from baas.kernel.http import rate_limits
from baas.kernel.http.request import Request, Response
from baas.kernel.principals import Principal
from baas.kernel.problems import (
    CONTENT_TYPE,
    Conflict,
    Internal,
    Malformed,
    MethodNotAllowed,
    Problem,
    Unavailable,
    render,
)
from baas.kernel.projects import by_slug

logger = logging.getLogger("baas.http")

PROJECT_PREFIX: Final = "/v1/projects/"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")

Authenticate = Callable[[Request], Principal]


@cache
def _authenticate() -> Authenticate:
    # The room above us knows the tokens; the wiring says which function that is.
    authenticate: Authenticate = import_string(settings.BAAS_AUTHENTICATE)
    return authenticate


def open_request(environ: Mapping[str, Any]) -> Request:
    """The request of a WSGI environ, with its context set for this thread."""
    path = environ["PATH_INFO"]
    if not path.isascii():
        # WSGI hands over the bytes as latin-1 (PEP 3333).
        path = path.encode("latin-1").decode("utf-8", "replace")
    given = environ.get("HTTP_X_REQUEST_ID")
    request_id = given if given and _REQUEST_ID.fullmatch(given) else ids.new_id()
    context.set_current(
        context.Context(
            request_id=request_id,
            traceparent=context.accept_traceparent(environ.get("HTTP_TRACEPARENT")),
        )
    )
    return Request(environ, environ["REQUEST_METHOD"], path, request_id)


def enter_project(request: Request, slug: str) -> None:
    """Set project and principal. Raises NotFound `project_not_found` or Unauthenticated."""
    refuse_nul(request.path)
    request.project = by_slug(slug)
    fairness.enter(request.project.id)
    try:
        request.principal = _authenticate()(request)
    finally:  # also of callers whose token is refused
        if request.method != "OPTIONS":
            request.rate_limit_headers = rate_limits.admit(request)
    here = context.current()
    context.set_current(
        context.Context(
            request_id=here.request_id,
            traceparent=here.traceparent,
            depth=request.principal.depth,
            project=slug,
            invocation_id=request.principal.invocation_id or "",
        )
    )


def refuse_nul(path: str) -> None:
    """No name of ours can have a NUL (PostgreSQL's text cannot). Raises Malformed."""
    if "\0" in path:
        raise Malformed("The address has a NUL character, which no name may have.")


def problem_response(problem: Problem, request_id: str) -> Response:
    return Response(
        problem.status,
        render(problem, request_id),
        problem.headers.items(),
        content_type=CONTENT_TYPE,
    )


def method_not_allowed(allowed: list[str]) -> MethodNotAllowed:
    names = ", ".join(allowed)
    return MethodNotAllowed(f"This address takes {names}.", headers={"Allow": names})


def as_problem(error: Exception) -> Problem:
    """The problem that an unexpected exception is to the caller; logs what we must look at."""
    if isinstance(error, Problem):
        return error
    cause = error.__cause__ if isinstance(error, DatabaseError) and error.__cause__ else error
    if db.is_disconnect(error):
        connection.close()
        logger.warning("the database connection was lost: %s", error)
        return Unavailable(
            "The database is restarting or out of reach. A write may or may not have happened:"
            " repeat it with an Idempotency-Key.",
        )
    if isinstance(cause, psycopg.errors.SerializationFailure | psycopg.errors.DeadlockDetected):
        return Conflict(
            "Another write got in between: nothing was changed, try again.",
            code="transaction_conflict",
        )
    if isinstance(cause, fairness.Refused):
        return Unavailable(
            "Too many requests of this project keep the database busy at the same time.",
            code="project_busy",
        )
    if isinstance(cause, psycopg.errors.QueryCanceled):
        return Unavailable(
            "The request took longer than the database may work on one statement.",
            code="statement_timeout",
        )
    if isinstance(cause, psycopg.errors.DiskFull):
        logger.error("the database has no space left: %s", error)
        return Unavailable(
            "The server has no disk space left: nothing was changed.",
            code="disk_full",
            retry_after_s=30,
        )
    if isinstance(cause, psycopg.errors.OutOfMemory | psycopg.errors.ConfigurationLimitExceeded):
        return Unavailable(
            "The request needs more memory than the database may use for one statement.",
            code="statement_too_large",
        )
    if isinstance(cause, psycopg.errors.TooManyConnections | psycopg.OperationalError):
        connection.close()
        logger.warning("the database is out of reach: %s", error)
        return Unavailable("The database is out of reach for the moment: try again.")
    logger.error("unhandled exception", exc_info=error)
    return Internal("Something went wrong on our side. Name the request id when you report it.")


def cors_headers(request: Request) -> list[tuple[str, str]]:
    """Headers for browsers, when the project's `cors_origins` list the caller's origin."""
    origin = request.header("Origin")
    if origin is None or not request.project.id:
        return []
    allowed = request.project.settings.get("cors_origins", [])
    if origin not in allowed and "*" not in allowed:
        return [("Vary", "Origin")]
    return [
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Expose-Headers", "*, Authorization, ETag, X-Request-Id"),
        ("Vary", "Origin"),
    ]


def preflight(request: Request) -> Response:
    """The answer to a browser's OPTIONS for a project's address."""
    headers = cors_headers(request)
    if len(headers) > 1:
        headers += [
            ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            (
                "Access-Control-Allow-Headers",
                request.header("Access-Control-Request-Headers") or "Authorization, Content-Type",
            ),
            ("Access-Control-Max-Age", "600"),
        ]
    return Response(204, headers=headers, content_type=None)


def observe(method: str, route: str, status: int, seconds: float) -> None:
    # Anybody can make methods up: each would be a time series for ever.
    known = method if method in _METHODS else "other"
    metrics.http_seconds(known, route, status).observe(seconds)
