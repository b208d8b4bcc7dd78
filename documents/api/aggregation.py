"""Pipelines and distinct values: `P/db/{collection}/aggregate`, `/distinct`."""

from baas.kernel.http.request import Request, Response
from baas.kernel.http.routes import Route
from documents import aggregation, openapi
from documents.aggregation import distinct
from documents.api.request import (
    COLLECTION,
    caller_of,
    collection_of,
    document_handler,
    json_object,
)
from documents.query.problems import invalid_query


@document_handler
def aggregate(request: Request) -> Response:
    body = json_object(request)
    if body.keys() - {"pipeline"}:
        raise invalid_query("aggregate takes a pipeline only", min(body.keys() - {"pipeline"}))
    pipeline = aggregation.parse(body.get("pipeline"))
    items = aggregation.run(caller_of(request), collection_of(request), pipeline)
    return Response(200, b'{"items":[%b]}' % items)


@document_handler
def distinct_values(request: Request) -> Response:
    wanted = distinct.parse(json_object(request))
    items = distinct.run(caller_of(request), collection_of(request), wanted)
    return Response(200, b'{"items":[%b]}' % items)


ROUTES = [
    Route(
        method="POST",
        path=COLLECTION + "/aggregate",
        handler=aggregate,
        summary="Run an aggregation pipeline",
        openapi=openapi.operation(
            body=openapi.with_members(["pipeline"]),
            replies={200: "`items`, what the pipeline made."},
        ),
    ),
    Route(
        method="POST",
        path=COLLECTION + "/distinct",
        handler=distinct_values,
        summary="The different values of a field",
        openapi=openapi.operation(
            body=openapi.with_members(["field", "filter"]),
            replies={200: "`items`, in MongoDB's order of values."},
        ),
    ),
]
