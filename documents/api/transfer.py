"""Import and export: `P/db/import`, `P/db/export`. For secret keys and operators."""

from collections.abc import Iterable
from typing import cast

from baas.kernel.http.request import Request, Response, json_response
from baas.kernel.http.routes import PROJECT, Route
from baas.kernel.problems import FieldError, Forbidden, Invalid, Malformed, Problem
from documents import collections, openapi
from documents.api.request import json_object, refuse_transaction
from documents.transfer import exports, imports, progress, uploads, writes
from documents.transfer.imports import Options
from documents.transfer.slots import Slot

IMPORT = PROJECT + "/db/import"
_IMPORT_QUERY = ("collection", "mode", "events", "import_id", "offset")
_FORMATS = ("ndjson", "extended-json")


class LengthRequired(Problem):
    status, title, default_code = 411, "Length required", "length_required"


def import_(request: Request) -> Response:
    _require_privileged(request)
    options = _options(request.query)
    length = request.content_length
    if length is None:
        # The server cannot tell us whether a chunked body was cut off, so it must say its length.
        raise LengthRequired(
            "Send Content-Length: without it nobody can tell a whole upload from one that was cut"
            " off."
        )
    offset = _offset(request.query.get("offset", "0"))
    chunks: Iterable[bytes] = uploads.read_exactly(request.environ["wsgi.input"].read, length)
    if _is_packed(request):
        if offset:
            raise Malformed(
                "A packed upload is sent from its beginning: what is done already is skipped.",
                code="invalid_offset",
            )
        chunks = uploads.unpacked(chunks)
    import_id = request.query.get("import_id") or request.header("Idempotency-Key")
    slot = Slot()
    try:
        done = imports.run(request.project, import_id, options, chunks, offset)
    finally:
        slot.free()
    return json_response(done.as_dict())


def import_status(request: Request) -> Response:
    _require_privileged(request)
    found = progress.get(request.project.id, request.query.get("import_id", ""))
    return json_response(found.as_dict())


def export(request: Request) -> Response:
    _require_privileged(request)
    body = json_object(request) if request.body() else {}
    unknown = body.keys() - {"collections", "format"}
    if unknown:
        raise _invalid(min(unknown)[:60], "an export takes collections and format")
    names, format = body.get("collections"), body.get("format", "ndjson")
    if names is not None and (
        not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names)
    ):
        raise _invalid("collections", "it is a list of names")
    if format not in _FORMATS:
        raise _invalid("format", f"it is one of {', '.join(_FORMATS)}")
    if format == "extended-json" and (names is None or len(names) != 1):
        raise _invalid("collections", "extended-json has the documents of exactly one")
    after = request.query.get("after")
    stream = exports.Export(
        request.project.id,
        names,
        cast(exports.Format, format),
        exports.Place.parse(after) if after else None,
    )
    # Nothing on the way may wait for more of it.
    headers = [("X-Accel-Buffering", "no"), ("Vary", "Accept-Encoding")]
    if "gzip" in (request.header("Accept-Encoding") or ""):
        headers.append(("Content-Encoding", "gzip"))
        chunks: Iterable[bytes] = exports.Packed(stream)
    else:
        chunks = stream
    return Response(200, chunks, headers, content_type="application/x-ndjson")


def _require_privileged(request: Request) -> None:
    refuse_transaction(request)
    if not request.principal.is_privileged:
        raise Forbidden("Only a secret key or an operator may import and export.")


def _options(query: dict[str, str]) -> Options:
    unknown = query.keys() - set(_IMPORT_QUERY)
    if unknown:
        raise _invalid(min(unknown)[:60], f"an import takes {', '.join(_IMPORT_QUERY)}")
    collection = query.get("collection")
    if collection is not None:
        collections.check_name(collection)
    mode = query.get("mode", "insert")
    if mode not in writes.MODES:
        raise _invalid("mode", f"it is one of {', '.join(writes.MODES)}")
    events = query.get("events", "false")
    if events not in ("true", "false"):
        raise _invalid("events", "it is true or false")
    return Options(collection=collection, mode=cast(writes.Mode, mode), announce=events == "true")


def _offset(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise _invalid("offset", "it is a number of bytes")
    return int(text)


def _is_packed(request: Request) -> bool:
    encoding = (request.header("Content-Encoding") or "identity").strip().lower()
    if encoding not in ("gzip", "identity"):
        raise _invalid("Content-Encoding", "it is gzip, or none")
    return encoding == "gzip"


def _invalid(field: str, detail: str) -> Invalid:
    return Invalid(
        f"{field}: {detail}.",
        code="invalid_transfer",
        errors=[FieldError(field, "invalid", detail)],
    )


ROUTES: list[Route] = [
    Route(
        method="POST",
        path=IMPORT,
        handler=import_,
        summary="Import documents: a stream of lines, or a JSON array",
        openapi=openapi.operation(
            query=_IMPORT_QUERY,
            headers=["Idempotency-Key", "Content-Encoding"],
            replies={200: "How many were imported, skipped and failed, and why."},
        )
        | {
            "requestBody": {
                "required": True,
                "content": {
                    name: {"schema": {"type": "string"}}
                    for name in ("application/x-ndjson", "application/json")
                },
            }
        },
    ),
    Route(
        method="GET",
        path=IMPORT,
        handler=import_status,
        summary="How far an import is",
        openapi=openapi.operation(query=["import_id"], replies={200: "The same as of the import."}),
    ),
    Route(
        method="POST",
        path=PROJECT + "/db/export",
        handler=export,
        summary="Export documents as a stream of lines, all from one moment",
        openapi=openapi.operation(
            query=["after"],
            headers=["Accept-Encoding"],
            body=openapi.with_members(["collections", "format"]) | {"required": []},
            replies={200: "Lines of JSON."},
        ),
    ),
]
