"""Writes by filter and of more than one document: `P/db/{c}/update-one` …, `P/db/commit`."""

from typing import Any, Final

import orjson

from baas.kernel.http.request import Request, Response, json_response
from baas.kernel.http.routes import PROJECT, Route
from documents import by_filter, commit, many, openapi, updates, wire
from documents.api.request import (
    COLLECTION,
    caller_of,
    collection_of,
    document_handler,
    json_object,
)
from documents.by_filter import Outcome
from documents.query import Node, parse, sort
from documents.query.problems import invalid_query
from documents.query.sort import Sort
from documents.wire import Row

_UPDATE_MANY: Final = ["array_filters", "filter", "update", "upsert"]
_UPDATE_ONE: Final = [*_UPDATE_MANY, "return", "sort"]
_REPLACE_ONE: Final = ["filter", "replacement", "return", "sort", "upsert"]
_DELETE_ONE: Final = ["filter", "return", "sort"]
_DELETE_MANY: Final = ["filter"]


def _members(request: Request, known: list[str]) -> dict[str, Any]:
    body = json_object(request)
    for name in sorted(body.keys() - set(known)):
        raise invalid_query(f"{name[:60]!r} is no member of this write", name[:60])
    if "filter" not in body:
        # Whoever forgets it must not change or delete everything.
        raise invalid_query("filter is missing: {} stands for all documents", "filter")
    return body


def _flag(body: dict[str, Any], name: str) -> bool:
    flag = body.get(name, False)
    if not isinstance(flag, bool):
        raise invalid_query(f"{name} is true or false", name)
    return flag


def _order(body: dict[str, Any]) -> Sort | None:
    return sort.parse(body["sort"]) if body.get("sort") else None


def _returned(body: dict[str, Any], *known: str) -> str | None:
    wanted: str | None = body.get("return")
    if wanted is not None and wanted not in known:
        raise invalid_query(f"return is {' or '.join(known)}", "return")
    return wanted


def _filter(body: dict[str, Any]) -> Node:
    return parse(body["filter"])


def _update(body: dict[str, Any]) -> updates.Update:
    return updates.parse(body.get("update"), body.get("array_filters"), by_filter=True)


def _written(outcome: Outcome, wanted: str | None = None) -> Response:
    counts: dict[str, Any] = {"matched": outcome.matched, "modified": outcome.modified}
    if outcome.upserted_id is not None:
        counts["upserted_id"] = outcome.upserted_id
    return _with_document(counts, outcome, wanted)


def _with_document(counts: dict[str, Any], outcome: Outcome, wanted: str | None) -> Response:
    text = orjson.dumps(counts)
    if wanted is not None:
        row: Row | None = outcome.after if wanted == "after" else outcome.before
        document = b"null" if row is None else wire.text(row).encode()
        text = text[:-1] + b',"document":' + document + b"}"
    return Response(200, text)


@document_handler
def update_one(request: Request) -> Response:
    body = _members(request, _UPDATE_ONE)
    wanted = _returned(body, "before", "after")
    outcome = by_filter.update_one(
        caller_of(request),
        collection_of(request),
        _filter(body),
        _update(body),
        order=_order(body),
        upsert=_flag(body, "upsert"),
    )
    return _written(outcome, wanted)


@document_handler
def update_many(request: Request) -> Response:
    body = _members(request, _UPDATE_MANY)
    outcome = many.update_many(
        caller_of(request),
        collection_of(request),
        _filter(body),
        _update(body),
        upsert=_flag(body, "upsert"),
    )
    return _written(outcome)


@document_handler
def replace_one(request: Request) -> Response:
    body = _members(request, _REPLACE_ONE)
    wanted = _returned(body, "before", "after")
    replacement = body.get("replacement")
    if not isinstance(replacement, dict):
        raise invalid_query("replacement is a document", "replacement")
    outcome = by_filter.replace_one(
        caller_of(request),
        collection_of(request),
        _filter(body),
        replacement,
        order=_order(body),
        upsert=_flag(body, "upsert"),
    )
    return _written(outcome, wanted)


@document_handler
def delete_one(request: Request) -> Response:
    body = _members(request, _DELETE_ONE)
    wanted = _returned(body, "before")
    outcome = by_filter.delete_one(
        caller_of(request), collection_of(request), _filter(body), order=_order(body)
    )
    return _with_document({"deleted": outcome.modified}, outcome, wanted)


@document_handler
def delete_many(request: Request) -> Response:
    body = _members(request, _DELETE_MANY)
    outcome = many.delete_many(caller_of(request), collection_of(request), _filter(body))
    return json_response({"deleted": outcome.modified})


@document_handler
def commit_writes(request: Request) -> Response:
    body = json_object(request)
    results = commit.commit(caller_of(request), commit.parse(body.get("writes")))
    return json_response({"results": results})


def _by_filter(verb: str, handler: Any, summary: str, members: list[str], reply: str) -> Route:
    return Route(
        method="POST",
        path=f"{COLLECTION}/{verb}",
        handler=handler,
        summary=summary,
        idempotency="atomic",
        openapi=openapi.operation(body=openapi.with_members(members), replies={200: reply}),
    )


_COUNTS: Final = "`matched`, `modified`, `upserted_id` when one was made"

ROUTES = [
    _by_filter(
        "update-one",
        update_one,
        "Change the first document that matches, atomically",
        _UPDATE_ONE,
        f"{_COUNTS}, `document` when asked for.",
    ),
    _by_filter(
        "update-many",
        update_many,
        "Change all documents that match, or none",
        _UPDATE_MANY,
        f"{_COUNTS}.",
    ),
    _by_filter(
        "replace-one",
        replace_one,
        "Replace the first document that matches, atomically",
        _REPLACE_ONE,
        f"{_COUNTS}, `document` when asked for.",
    ),
    _by_filter(
        "delete-one",
        delete_one,
        "Delete the first document that matches, atomically",
        _DELETE_ONE,
        "`deleted`, `document` when asked for.",
    ),
    _by_filter(
        "delete-many",
        delete_many,
        "Delete all documents that match, or none",
        _DELETE_MANY,
        "`deleted`.",
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
