"""Writes of more than one document: `P/db/commit`."""

from baas.kernel.http.request import Request, Response, json_response
from baas.kernel.http.routes import PROJECT, Route
from documents import commit, openapi
from documents.api.request import caller_of, document_handler, json_object


@document_handler
def commit_writes(request: Request) -> Response:
    body = json_object(request)
    results = commit.commit(caller_of(request), commit.parse(body.get("writes")))
    return json_response({"results": results})


ROUTES = [
    Route(
        method="POST",
        path=PROJECT + "/db/commit",
        handler=commit_writes,
        summary="Carry out up to 500 writes, all or none",
        idempotency="atomic",
        openapi=openapi.operation(
            body=openapi.with_members(["writes"]),
            replies={200: "`results`, one for each write."},
        ),
    ),
]
