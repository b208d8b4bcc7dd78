"""What every route of the data plane's door shares: the caller, the body, a collection's name."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import psycopg

from baas.kernel import config_cache, db
from baas.kernel.http.request import JSON_LIMIT, Request, Response, require_json_type
from baas.kernel.http.routes import PROJECT
from baas.kernel.problems import Conflict, Invalid, Malformed
from documents import collections, values
from documents.access import Caller
from documents.query.problems import evaluation_failed
from documents.transactions import service

COLLECTION = PROJECT + "/db/{collection}"
DOCS = COLLECTION + "/docs"
DOC = DOCS + "/{id}"

Handler = Callable[[Request], Response]


# All of them by name: a transaction carries its calls out again.
HANDLERS: dict[str, Handler] = {}


def document_handler(handle: Handler) -> Handler:
    """A handler whose calls may be part of an interactive transaction (`X-Transaction`).

    It tries once more when a collection was dropped (or made anew) behind our cache's back.
    """
    name = f"{handle.__module__}.{handle.__name__}"

    @wraps(handle)
    def handler(request: Request) -> Response:
        if (id := request.environ.get("HTTP_X_TRANSACTION")) is not None:
            return service.call(request, id, name, HANDLERS)
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
        except psycopg.Error as error:
            # What only the database can tell of a filter: a wrong pattern, an `$expr` that fails.
            refused = evaluation_failed(error)
            if refused is None:
                raise
            raise refused from error

    HANDLERS[name] = handler
    return handler


def refuse_transaction(request: Request) -> None:
    """For calls that cannot be part of one. Raises Invalid `not_in_transaction`."""
    # Never ignored: whoever sends the header counts on a transaction around the call.
    if "HTTP_X_TRANSACTION" in request.environ:
        raise Invalid(
            "This call cannot be part of a transaction: send it without X-Transaction.",
            code="not_in_transaction",
        )


def caller_of(request: Request) -> Caller:
    environ = request.environ
    refuse_transaction(request)
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
