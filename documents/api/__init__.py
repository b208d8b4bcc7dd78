"""The data plane's door: `P/db/…`."""

from dataclasses import replace

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
ROUTES = [replace(route, transactional=route.handler in _HANDLERS) for route in _ROUTES]
