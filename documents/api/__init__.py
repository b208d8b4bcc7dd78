"""The data plane's door: `P/db/…`."""

from dataclasses import replace

from baas.kernel.http.routes import Route
from documents.api import aggregation, documents, explain, transactions, transfer, writes
from documents.api.request import HANDLERS

_HANDLERS = frozenset(HANDLERS.values())
_ROUTES = [
    *documents.ROUTES,
    *aggregation.ROUTES,
    *explain.ROUTES,
    *writes.ROUTES,
    *transactions.ROUTES,
    *transfer.ROUTES,
]


def _with_transactions(route: Route) -> Route:
    """Routes of documents may be called within a transaction, and the others refuse the header."""
    if route.handler not in _HANDLERS:
        return route
    header = {"name": "X-Transaction", "in": "header", "schema": {"type": "string"}}
    described = {**route.openapi, "parameters": [*route.openapi.get("parameters", []), header]}
    return replace(route, transactional=True, openapi=described)


ROUTES = [_with_transactions(route) for route in _ROUTES]
