"""Interactive transactions: `P/db/transactions`. Their calls are those of the other routes."""

from baas.kernel.events.event import rfc3339
from baas.kernel.http.request import Request, Response, json_response
from baas.kernel.http.routes import PROJECT, Route
from baas.kernel.problems import Unauthenticated
from documents import openapi
from documents.api.request import HANDLERS, json_object, refuse_transaction
from documents.transactions import service, store

TRANSACTIONS = PROJECT + "/db/transactions"
TRANSACTION = TRANSACTIONS + "/{id}"


def begin(request: Request) -> Response:
    _check(request)
    if request.principal.kind == "anonymous" and not request.principal.is_acted:
        # Nobody could tell one such caller's transactions from another's, or count them.
        raise Unauthenticated("Sign in to begin a transaction, anonymously if you like.")
    id, expires_at = store.begin(request.project.id, request.principal.identity)
    return json_response({"id": id, "expires_at": rfc3339(expires_at)}, 201)


def commit(request: Request) -> Response:
    _check(request)
    id = request.params["id"]
    reply = json_response({"id": id, "state": "committed"})
    service.commit(request, id, HANDLERS, reply)
    return reply


def rollback(request: Request) -> Response:
    _check(request)
    id = request.params["id"]
    service.rollback(request, id)
    return json_response({"id": id, "state": "rolled_back"})


def _check(request: Request) -> None:
    refuse_transaction(request)
    if request.body():
        json_object(request)


ROUTES = [
    Route(
        method="POST",
        path=TRANSACTIONS,
        handler=begin,
        summary="Begin a transaction, used by sending X-Transaction on document calls",
        idempotency="atomic",
        openapi=openapi.operation(replies={201: "`id` and `expires_at`."}),
    ),
    Route(
        method="POST",
        path=TRANSACTION + "/commit",
        handler=commit,
        summary="Make the calls of a transaction true, all or none",
        idempotency="inside",
        openapi=openapi.operation(replies={200: "They are."}),
    ),
    Route(
        method="POST",
        path=TRANSACTION + "/rollback",
        handler=rollback,
        summary="Let none of a transaction's calls be true",
        idempotency="atomic",
        openapi=openapi.operation(replies={200: "None is."}),
    ),
]
