"""The data plane's door: `P/db/…`."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import orjson
import psycopg

from baas.kernel import config_cache, db
from baas.kernel.http.request import (
    JSON_LIMIT,
    Request,
    Response,
    json_response,
    no_content,
    require_json_type,
)
from baas.kernel.http.routes import PROJECT, Route
from baas.kernel.problems import Conflict, Malformed, NotFound, PreconditionFailed
from documents import collections, commit, listing, openapi, service, updates, values, wire
from documents.access import Caller
from documents.listing import Page, Query
from documents.query import parse, projection
from documents.query.problems import invalid_query
from documents.query.projection import Project

DOCS = PROJECT + "/db/{collection}/docs"
DOC = DOCS + "/{id}"

Handler = Callable[[Request], Response]


def _handler(handle: Handler) -> Handler:
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


def _caller(request: Request) -> Caller:
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


def _collection(request: Request) -> str:
    name = request.params["collection"]
    collections.check_name(name)
    return name


def _json(request: Request) -> Any:
    require_json_type(request.header("Content-Type"))
    return values.parse_body(request.body(JSON_LIMIT))


def _object(request: Request) -> dict[str, Any]:
    body = _json(request)
    if not isinstance(body, dict):
        raise Malformed("The body must be a JSON object.")
    return body


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


@_handler
def create(request: Request) -> Response:
    name = _collection(request)
    body = _json(request)
    caller = _caller(request)
    if isinstance(body, list):
        rows = service.create_many(caller, name, body)
        items = ",".join(map(wire.text, rows))
        return Response(201, f'{{"items":[{items}]}}'.encode())
    if not isinstance(body, dict):
        raise Malformed("The body is a document (a JSON object) or an array of them.")
    text = request.body()
    row = service.create_row(caller, name, body, text if values.is_plain(text) else None)
    return _document(row, 201)


@_handler
def get(request: Request) -> Response:
    row = service.get_row(_caller(request), _collection(request), request.params["id"])
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


@_handler
def replace(request: Request) -> Response:
    if_exists = True if (request.header("If-Match") or "").strip() == "*" else None
    if (request.header("If-None-Match") or "").strip() == "*":
        if_exists = False
    row, is_new = service.replace_row(
        _caller(request),
        _collection(request),
        request.params["id"],
        _object(request),
        if_version=_if_match(request),
        if_exists=if_exists,
    )
    return _document(row, 201 if is_new else 200)


@_handler
def update(request: Request) -> Response:
    row = service.update_row(
        _caller(request),
        _collection(request),
        request.params["id"],
        updates.parse(_object(request)),
        if_version=_if_match(request),
    )
    return _document(row)


@_handler
def delete(request: Request) -> Response:
    service.delete(
        _caller(request), _collection(request), request.params["id"], if_version=_if_match(request)
    )
    return no_content()


@_handler
def query(request: Request) -> Response:
    return _list(request, listing.parse_query(_object(request)))


@_handler
def query_by_url(request: Request) -> Response:
    given: dict[str, Any] = dict(request.query)
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
    return _list(request, listing.parse_query(given))


def _parameter(name: str, text: str) -> Any:
    if not text:
        return None
    try:
        return values.parse_body(text.encode())
    except Malformed as error:
        raise invalid_query(f"{name} is not valid JSON: {error.detail}", name) from error


def _list(request: Request, wanted: Query) -> Response:
    page = listing.run(_caller(request), _collection(request), wanted)
    return Response(200, _page_text(page, wanted.project))


def _page_text(page: Page, project: Project | None) -> bytes:
    if project is None:
        items = ",".join(map(wire.text, page.rows)).encode()
    else:
        items = b",".join([_projected(row, project) for row in page.rows])
    total = b"" if page.total is None else b',"total":%d' % page.total
    return b'{"items":[%b],"next_cursor":%b%b}' % (items, orjson.dumps(page.next_cursor), total)


@_handler
def count(request: Request) -> Response:
    body = _object(request)
    if body.keys() - {"filter"}:
        raise invalid_query("count takes a filter only", min(body.keys() - {"filter"}))
    total = listing.count(_caller(request), _collection(request), parse(body.get("filter")))
    return json_response({"total": total})


@_handler
def commit_writes(request: Request) -> Response:
    body = _object(request)
    results = commit.commit(_caller(request), commit.parse(body.get("writes")))
    return json_response({"results": results})


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
        path=PROJECT + "/db/{collection}/query",
        handler=query,
        summary="List documents by filter, sort and cursor",
        openapi=openapi.operation(
            body=openapi.with_members(sorted(listing.MEMBERS)),
            replies={200: "A page."},
        ),
    ),
    Route(
        method="POST",
        path=PROJECT + "/db/{collection}/count",
        handler=count,
        summary="Count documents",
        openapi=openapi.operation(
            body=openapi.with_members(["filter"]),
            replies={200: "`total`."},
        ),
    ),
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
