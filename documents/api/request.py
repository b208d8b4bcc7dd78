"""What every route of the data plane's door shares: the caller, the body, a collection's name."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import psycopg

from baas.kernel import config_cache, db
from baas.kernel.http.request import JSON_LIMIT, Request, Response, require_json_type
from baas.kernel.http.routes import PROJECT
from baas.kernel.problems import Conflict, Malformed, NotFound
from documents import collections, values
from documents.access import Caller

COLLECTION = PROJECT + "/db/{collection}"
DOCS = COLLECTION + "/docs"
DOC = DOCS + "/{id}"

Handler = Callable[[Request], Response]


def document_handler(handle: Handler) -> Handler:
    """Try once more when a collection was dropped (or made anew) behind our cache's back."""

    @wraps(handle)
    def handler(request: Request) -> Response:
        try:
            return handle(request)
        except psycopg.errors.UndefinedTable:
            if db.in_transaction():
                raise Conflict(
                    "The collection has just been removed: nothing was changed, try again.",
                    code="transaction_conflict",
                ) from None
            config_cache.forget(request.project.id)
            return handle(request)

    return handler


def caller_of(request: Request) -> Caller:
    environ = request.environ
    if "HTTP_X_TRANSACTION" in environ:
        # Never ignored: whoever sends it counts on a transaction around the call.
        raise NotFound(
            "There is no such transaction: use POST …/db/commit for atomic writes.",
            code="transaction_not_found",
        )
    if request.principal.bypasses_rules:
        return Caller(request.project, request.principal)
    return Caller(
        request.project,
        request.principal,
        request.client_ip,
        environ.get("HTTP_X_EXPLAIN_RULES") == "1",
    )


def collection_of(request: Request) -> str:
    name = request.params["collection"]
    collections.check_name(name)
    return name


def json_body(request: Request) -> Any:
    require_json_type(request.header("Content-Type"))
    return values.parse_body(request.body(JSON_LIMIT))


def json_object(request: Request) -> dict[str, Any]:
    body = json_body(request)
    if not isinstance(body, dict):
        raise Malformed("The body must be a JSON object.")
    return body
