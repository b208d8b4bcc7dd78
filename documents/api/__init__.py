"""The data plane's door: `P/db/…`."""

from documents.api import documents, writes

ROUTES = [
    *documents.ROUTES,
    *writes.ROUTES,
]
