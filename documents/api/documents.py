"""Single documents, pages and counts: `P/db/{collection}/docs`, `/query`, `/count`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from baas.kernel.http.request import (
    Request,
    Response,
    json_response,
    no_content,
    parse_query_string,
)
from baas.kernel.http.routes import Route
from baas.kernel.problems import Malformed, PreconditionFailed
from documents import listing, near_vector, openapi, service, updates, values, wire
from documents.api.request import (
    COLLECTION,
    DOC,
    DOCS,
    caller_of,
    collection_of,
    document_handler,
    json_body,
    json_object,
)
from documents.listing import Page, Query
from documents.query import parse, projection
from documents.query.problems import invalid_query
from documents.query.projection import Project

MAX_KNOWN_URL: Final = 1024  # characters: longer query strings are not kept


def _etag(row: tuple[Any, ...]) -> tuple[str, str]:
    return ("ETag", f'"{row[1]}"')


def _document(row: tuple[Any, ...], status: int = 200) -> Response:
    return Response(status, wire.text(row).encode(), (_etag(row),))


def _if_match(request: Request) -> int | None:
    """The version of `If-Match`; None without one (or with `*`, which any document meets)."""
    header = request.header("If-Match")
    if header is None or header.strip() == "*":
        return None
    tag = header.strip()
    if 2 < len(tag) < 22 and tag[0] == tag[-1] == '"' and tag[1:-1].isdecimal():
        return int(tag[1:-1])
    raise PreconditionFailed(
        'If-Match takes one version as the ETag of a document shows it, such as "3".',
        code="version_mismatch",
    )


@document_handler
def create(request: Request) -> Response:
    name = collection_of(request)
    body = json_body(request)
    caller = caller_of(request)
    is_plain = values.is_plain(request.body())
    if isinstance(body, list):
        rows = service.create_many(caller, name, body, is_plain=is_plain)
        items = ",".join(map(wire.text, rows))
        return Response(201, f'{{"items":[{items}]}}'.encode())
    if not isinstance(body, dict):
        raise Malformed("The body is a document (a JSON object) or an array of them.")
    row = service.create_row(caller, name, body, request.body() if is_plain else None)
    return _document(row, 201)


@document_handler
def get(request: Request) -> Response:
    row = service.get_row(caller_of(request), collection_of(request), request.params["id"])
    known = request.environ.get("HTTP_IF_NONE_MATCH")
    if known is not None and _is_among(f'"{row[1]}"', known):
        return Response(304, headers=(_etag(row),), content_type=None)
    if request.environ.get("QUERY_STRING"):
        project = projection.parse(request.query.get("fields"))
        if project is not None:
            return Response(200, _projected(row, project), (_etag(row),))
    return _document(row)


def _is_among(tag: str, header: str) -> bool:
    return header.strip() == "*" or tag in [
        part.strip().removeprefix("W/") for part in header.split(",")
    ]


def _projected(row: tuple[Any, ...], project: Project) -> bytes:
    return values.dumps(project(wire.value(row)))


@document_handler
def replace(request: Request) -> Response:
    if_exists = True if (request.header("If-Match") or "").strip() == "*" else None
    if (request.header("If-None-Match") or "").strip() == "*":
        if_exists = False
    row, is_new = service.replace_row(
        caller_of(request),
        collection_of(request),
        request.params["id"],
        json_object(request),
        if_version=_if_match(request),
        if_exists=if_exists,
    )
    return _document(row, 201 if is_new else 200)


@document_handler
def update(request: Request) -> Response:
    row = service.update_row(
        caller_of(request),
        collection_of(request),
        request.params["id"],
        updates.parse(json_object(request)),
        if_version=_if_match(request),
    )
    return _document(row)


@document_handler
def delete(request: Request) -> Response:
    service.delete(
        caller_of(request),
        collection_of(request),
        request.params["id"],
        if_version=_if_match(request),
    )
    return no_content()


@document_handler
def query(request: Request) -> Response:
    body = json_object(request)
    if "near_vector" in body:
        wanted = near_vector.parse_nearest(body)
        found = near_vector.run(caller_of(request), collection_of(request), wanted)
        return Response(200, near_vector.reply(found, wanted.project))
    return _list(request, listing.parse_query(body))


@document_handler
def query_by_url(request: Request) -> Response:
    text = request.environ.get("QUERY_STRING") or ""
    # The first page of a list is asked for again and again, in the same words.
    parse = _parse_url if len(text) <= MAX_KNOWN_URL else _parse_url.__wrapped__
    return _list(request, parse(text))


@lru_cache(maxsize=1024)
def _parse_url(text: str) -> Query:
    given: dict[str, Any] = dict(parse_query_string(text))
    for name in ("filter", "sort", "fields"):
        text = given.get(name, "")
        if name == "filter" or text[:1] in ("{", "["):
            given[name] = _parameter(name, text)
    if "skip" in given:
        if not given["skip"].isdecimal() or len(given["skip"]) > 9:
            raise invalid_query("skip is a whole number", "skip")
        given["skip"] = int(given["skip"])
    if "count" in given:
        given["count"] = given["count"] in ("true", "1", "")
    return listing.parse_query(given)


def _parameter(name: str, text: str) -> Any:
    if not text:
        return None
    try:
        return values.parse_body(text.encode())
    except Malformed as error:
        raise invalid_query(f"{name} is not valid JSON: {error.detail}", name) from error


def _list(request: Request, wanted: Query) -> Response:
    page = listing.run(caller_of(request), collection_of(request), wanted)
    return Response(200, _page_text(page, wanted))


def _page_text(page: Page, wanted: Query) -> bytes:
    if page.scores is not None:
        items = b",".join([_scored(row, page.scores, wanted) for row in page.rows])
    elif wanted.project is None:
        items = ",".join(map(wire.text, page.rows)).encode()
    else:
        items = b",".join([_projected(row, wanted.project) for row in page.rows])
    total = b"" if page.total is None else b',"total":%d' % page.total
    return b'{"items":[%b],"next_cursor":%b%b}' % (items, orjson.dumps(page.next_cursor), total)


def _scored(row: tuple[Any, ...], scores: Mapping[str, float], wanted: Query) -> bytes:
    document = wire.value(row) if wanted.project is None else wanted.project(wire.value(row))
    return values.dumps({**document, wanted.score_field: scores.get(row[0], 0.0)})


@document_handler
def count(request: Request) -> Response:
    body = json_object(request)
    if body.keys() - {"filter"}:
        raise invalid_query("count takes a filter only", min(body.keys() - {"filter"}))
    total = listing.count(caller_of(request), collection_of(request), parse(body.get("filter")))
    return json_response({"total": total})


ROUTES = [
    Route(
        method="POST",
        path=DOCS,
        handler=create,
        summary="Create a document, or an array of up to 500",
        idempotency="atomic",
        openapi=openapi.operation(
            body={"oneOf": [openapi.OBJECT, {"type": "array", "maxItems": 500}]},
            replies={201: "The document, or `items` for an array."},
        ),
    ),
    Route(
        method="GET",
        path=DOCS,
        handler=query_by_url,
        summary="List documents",
        openapi=openapi.operation(query=sorted(listing.MEMBERS), replies={200: "A page."}),
    ),
    Route(
        method="GET",
        path=DOC,
        handler=get,
        summary="Read a document",
        openapi=openapi.operation(
            query=["fields"],
            headers=["If-None-Match"],
            replies={200: "The document.", 304: "It still has the ETag in If-None-Match."},
        ),
    ),
    Route(
        method="PUT",
        path=DOC,
        handler=replace,
        summary="Replace a document, or create it",
        idempotency="atomic",
        openapi=openapi.operation(
            headers=["If-Match", "If-None-Match"],
            body=openapi.OBJECT,
            replies={200: "The replaced document.", 201: "The new document."},
        ),
    ),
    Route(
        method="PATCH",
        path=DOC,
        handler=update,
        summary="Change a document by update operators or a merge patch",
        idempotency="atomic",
        openapi=openapi.operation(
            headers=["If-Match"],
            body=openapi.OBJECT,
            replies={200: "The document."},
        ),
    ),
    Route(
        method="DELETE",
        path=DOC,
        handler=delete,
        summary="Delete a document",
        idempotency="atomic",
        openapi=openapi.operation(headers=["If-Match"], replies={204: "It is gone."}),
    ),
    Route(
        method="POST",
        path=COLLECTION + "/query",
        handler=query,
        summary="List documents by filter, sort and cursor",
        openapi=openapi.operation(
            body=openapi.with_members(sorted(listing.MEMBERS | {"near_vector"})),
            replies={200: "A page."},
        ),
    ),
    Route(
        method="POST",
        path=COLLECTION + "/count",
        handler=count,
        summary="Count documents",
        openapi=openapi.operation(
            body=openapi.with_members(["filter"]),
            replies={200: "`total`."},
        ),
    ),
]
