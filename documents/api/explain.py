"""How a query would be answered: `P/db/{collection}/explain`."""

from baas.kernel.http.request import Request, Response
from baas.kernel.http.routes import Route
from documents import openapi, values
from documents.api.request import (
    COLLECTION,
    caller_of,
    collection_of,
    document_handler,
    json_object,
)
from documents.explain import explain
from documents.listing import MEMBERS


@document_handler
def explain_query(request: Request) -> Response:
    found = explain(caller_of(request), collection_of(request), json_object(request))
    return Response(200, values.dumps(found))


ROUTES = [
    Route(
        method="POST",
        path=COLLECTION + "/explain",
        handler=explain_query,
        summary="How a query or a pipeline would find its documents",
        openapi=openapi.operation(
            body=openapi.with_members([*sorted(MEMBERS), "pipeline"]),
            replies={200: "`plan`, and `hint` when an index would help."},
        ),
    ),
]
