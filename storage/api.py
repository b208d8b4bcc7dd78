"""The data plane's door to objects."""

import base64
import binascii
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import orjson
from django.conf import settings

from baas.kernel import cursors, idempotency
from baas.kernel.events.event import rfc3339
from baas.kernel.http import door
from baas.kernel.http.request import Request, Response, json_response, no_content
from baas.kernel.http.routes import PROJECT, Route
from baas.kernel.problems import FieldError, Invalid, Malformed, NotFound, Problem
from storage import (
    access,
    buckets,
    caller,
    downloads,
    folders,
    listing,
    paths,
    service,
    signing,
    uploads,
)
from storage.backends import KeyMissing
from storage.caller import Caller
from storage.conditions import is_not_modified, requested_range
from storage.multipart import MAX_OTHER, FileForm
from storage.objects import Object
from storage.uploads import Upload

BUCKET = PROJECT + "/storage/{bucket}"
OBJECT = BUCKET + "/objects/{path...}"
_META: Final = "HTTP_X_META_"
_TRANSFORMS: Final = frozenset({"width", "height", "fit", "format", "quality"})
_EXPIRES_S: Final = 3600
_JSON_NAMES: Final = {str: "a string", int: "a whole number", list: "a list"}


class LengthRequired(Problem):
    status, title, default_code = 411, "Length required", "length_required"


def put(request: Request) -> Response:
    length = request.content_length
    if length is None:
        # The server cannot tell us whether a chunked body was cut off, so it must say its length.
        raise LengthRequired(
            "Send Content-Length: without it nobody can tell a whole object from one that was"
            " cut off. (Or send a form with POST.)"
        )
    upload = _upload(
        request,
        chunks=uploads.read_exactly(request.environ["wsgi.input"].read, length),
        content_type=uploads.check_type(request.header("Content-Type")),
        size=length,
    )
    return _kept(request, upload)


def post_form(request: Request) -> Response:
    length = request.content_length
    bucket = buckets.get(request.project.id, request.params["bucket"])
    access.require_some_write(bucket, _who(request, "PUT", _path(request)))
    if length is not None:
        uploads.require_size(length - MAX_OTHER, bucket.max_size)
    read = request.environ["wsgi.input"].read
    body = uploads.read_all(read) if length is None else uploads.read_exactly(read, length)
    form = FileForm(request.header("Content-Type"), body)
    upload = _upload(
        request,
        chunks=form.chunks(),
        content_type=uploads.check_type(form.content_type),
        size=None,
    )
    return _kept(request, upload)


def _upload(request: Request, **fields: Any) -> Upload:
    none_match = request.header("If-None-Match")
    if none_match is not None and none_match.strip() != "*":
        raise Malformed("An upload takes If-None-Match only as `*`: create, never overwrite.")
    return Upload(
        metadata=uploads.check_metadata(_metadata(request)),
        only_new=none_match is not None,
        only_over=request.header("If-Match"),
        sha256=_content_digest(request.header("Content-Digest")),
        **fields,
    )


def _metadata(request: Request) -> dict[str, str]:
    return {
        name[len(_META) :].lower().replace("_", "-"): value.strip()
        for name, value in request.environ.items()
        if name.startswith(_META) and len(name) > len(_META)
    }


def _content_digest(header: str | None) -> str | None:
    """The SHA-256 of a Content-Digest (RFC 9530) in hex; None when it names none."""
    if header is None:
        return None
    found = re.search(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):", header)
    if found is None:
        return None
    try:
        digest = base64.b64decode(found[1], validate=True)
    except binascii.Error as error:
        raise Malformed("Content-Digest is not `sha-256=:<base64>:`.") from error
    return digest.hex()


def _kept(request: Request, upload: Upload) -> Response:
    path = _path(request)
    who = _who(request, "PUT", path)
    key = request.header("Idempotency-Key")
    if key is not None:
        return _kept_once(request, who, path, upload, key)
    return _shown(service.put(who, request.project, request.params["bucket"], path, upload))


def _shown(object_: Object) -> Response:
    return json_response(object_.as_dict(), 201, [("ETag", f'"{object_.etag}"')])


def _kept_once(request: Request, who: Caller, path: str, upload: Upload, key: str) -> Response:
    """As without a key, but a repeated call gets the first one's reply and changes nothing.

    Whether it is the same body is known when it is here: the bytes of a repeat come in vain.
    """
    received = service.receive(
        who, request.project, request.params["bucket"], path, upload, may_be_repeat=True
    )
    new = received.new
    kept: list[Object] = []

    def keep() -> Response:
        kept.append(service.keep(received))
        return _shown(kept[0])

    try:
        return idempotency.run(
            key=key,
            identity=request.principal.identity,
            project_id=request.project.id,
            method=request.method,
            path=request.path,
            body=orjson.dumps([new.sha256, new.content_type, new.metadata]),
            mode="atomic",
            handle=keep,
            render=lambda problem: door.problem_response(problem, request.request_id),
        )
    finally:
        # Unless it is unknown whether they are kept (a lost connection): then the sweep decides.
        if not kept:
            service.forget(new.key)


def _path(request: Request) -> str:
    try:
        # The door shows malformed UTF-8 with replacement characters: different paths would meet.
        request.environ["PATH_INFO"].encode("latin-1").decode()
    except UnicodeDecodeError as error:
        raise Malformed("The path is not UTF-8.", code="invalid_path") from error
    return request.params["path"]


def get(request: Request) -> Response:
    project, path = request.project, _path(request)
    _refuse_transforms(request)
    who = _who(request, "GET", path)
    bucket = buckets.get(project.id, request.params["bucket"])
    object_ = service.get(who, project, bucket.name, path)
    if request.query.get("version", object_.version) != object_.version:
        raise NotFound("This version of the object is not kept.", code="object_not_found")
    try:
        return _send(request, bucket, object_)
    except KeyMissing:
        # Overwritten between the two look-ups: the row tells where the bytes are now.
        again = service.get(who, project, bucket.name, path)
        try:
            return _send(request, bucket, again)
        except KeyMissing as error:
            raise service.missing_bytes(again) from error


def _refuse_transforms(request: Request) -> None:
    """A picture in another size than asked for would be a silent error."""
    asked = sorted(_TRANSFORMS & request.query.keys())
    if asked:
        raise Invalid(
            "Pictures are not transformed yet: ask for the object as it is.",
            code="not_supported",
            errors=[FieldError(name, "not_supported", "not yet") for name in asked],
        )


def _send(request: Request, bucket: buckets.Bucket, object_: Object) -> Response:
    fields = downloads.headers(request, bucket, object_)
    if is_not_modified(request.header, object_.etag, object_.updated_at):
        return Response(304, headers=fields, content_type=None)
    if request.method == "HEAD":
        fields.append(("Content-Length", str(object_.size)))
        return Response(200, (), fields, object_.content_type)
    part = requested_range(request.header, object_.etag, object_.updated_at, object_.size)
    start, end = part or (0, object_.size)
    if part:
        fields.append(("Content-Range", f"bytes {start}-{end - 1}/{object_.size}"))
    stream = service.open_bytes(object_, start, end)
    return downloads.reply(206 if part else 200, stream, end - start, fields, object_.content_type)


def _who(request: Request, method: str, path: str) -> Caller:
    """The caller, or who signed the URL."""
    token = request.query.get("token")
    if token is None:
        return caller.of(request)
    bucket = request.params["bucket"]
    return signing.open_token(
        token, request.client_ip, request.project.id, method, bucket, paths.check_path(path)
    )


def delete(request: Request) -> Response:
    service.delete(
        caller.of(request),
        request.project,
        request.params["bucket"],
        _path(request),
        if_match=request.header("If-Match"),
    )
    return no_content()


def list_objects(request: Request) -> Response:
    query = request.query
    delimiter = query.get("delimiter") or None
    if delimiter not in (None, "/"):
        raise Invalid(
            "The delimiter can only be '/'.",
            errors=[FieldError("delimiter", "invalid", "only / separates folders")],
        )
    page = listing.page(
        caller.of(request),
        request.project,
        request.params["bucket"],
        prefix=query.get("prefix", ""),
        folders=delimiter is not None,
        limit=cursors.parse_limit(query.get("limit")),
        cursor=query.get("cursor"),
    )
    return json_response(page.as_dict())


def sign(request: Request) -> Response:
    body = _fields(request, {"path": str, "method": str, "expires_in": int})
    method = body.get("method", "GET")
    expires_in = body.get("expires_in", _EXPIRES_S)
    if method not in signing.METHODS:
        raise _wrong("method", "GET or PUT")
    if not 1 <= expires_in <= signing.MAX_EXPIRES_S:
        raise _wrong("expires_in", f"seconds, 1 to {signing.MAX_EXPIRES_S}")
    who, project = caller.of(request), request.project
    bucket = buckets.get(project.id, request.params["bucket"])
    path = paths.check_path(_required(body, "path"))
    if method == "GET":
        service.get(who, project, bucket.name, path)
    else:
        access.require_some_write(bucket, who)
    expires_at = int(time.time()) + expires_in
    token = signing.sign(who, project.id, method, bucket.name, path, expires_at)
    address = f"/v1/projects/{project.slug}/storage/{bucket.name}/objects/{quote(path)}"
    return json_response(
        {
            "url": f"{settings.PUBLIC_URL}{address}?token={token}",
            "expires_at": rfc3339(datetime.fromtimestamp(expires_at, UTC)),
        }
    )


def delete_many(request: Request) -> Response:
    body = _fields(request, {"paths": list, "prefix": str})
    if len(body) != 1:
        raise _wrong("paths", "give either `paths` or `prefix`")
    who, bucket = caller.of(request), request.params["bucket"]
    if "prefix" in body:
        deleted = folders.delete_prefix(who, request.project, bucket, body["prefix"])
        return json_response({"deleted": deleted})
    names = body["paths"]
    if len(names) > folders.MAX_PATHS or not all(isinstance(name, str) for name in names):
        raise _wrong("paths", f"a list of at most {folders.MAX_PATHS} paths")
    return json_response({"deleted": folders.delete_paths(who, request.project, bucket, names)})


def copy(request: Request) -> Response:
    source, target = _from_to(request)
    who, project, bucket = caller.of(request), request.project, request.params["bucket"]
    if source.endswith("/"):
        return json_response({"copied": folders.copy_folder(who, project, bucket, source, target)})
    return json_response(folders.copy(who, project, bucket, source, target).as_dict(), 201)


def move(request: Request) -> Response:
    source, target = _from_to(request)
    who, project, bucket = caller.of(request), request.project, request.params["bucket"]
    if source.endswith("/"):
        return json_response({"moved": folders.move_folder(who, project, bucket, source, target)})
    return json_response(folders.move(who, project, bucket, source, target).as_dict())


def _from_to(request: Request) -> tuple[str, str]:
    body = _fields(request, {"from": str, "to": str})
    source, target = _required(body, "from"), _required(body, "to")
    if source.endswith("/") != target.endswith("/"):
        raise _wrong("to", "both are paths of objects, or both are folders that end with /")
    return source, target


def _fields(request: Request, known: dict[str, type]) -> dict[str, Any]:
    body = request.json_object()
    for name, value in body.items():
        wanted = known.get(name)
        if wanted is None:
            raise _wrong(name, f"not known here: {', '.join(known)} are")
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise _wrong(name, f"must be {_JSON_NAMES[wanted]}")
    return body


def _required(body: dict[str, Any], name: str) -> str:
    if name not in body:
        raise _wrong(name, "is missing")
    value: str = body[name]
    return value


def _wrong(name: str, detail: str) -> Invalid:
    return Invalid(f"{name}: {detail}.", errors=[FieldError(name, "invalid", detail)])


_Handler = Callable[[Request], Response]


def _route(method: str, path: str, handler: _Handler, summary: str, **fields: Any) -> Route:
    return Route(
        method=method,
        path=path,
        handler=handler,
        summary=summary,
        openapi={"tags": ["storage"], **fields.pop("openapi", {})},
        **fields,
    )


_BYTES = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
_KEPT = {"responses": {"201": {"description": "The object as it is kept."}}}

_FROM_TO = {"from": {"type": "string"}, "to": {"type": "string"}}


def _json_body(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "required": required, "properties": properties}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


ROUTES: list[Route] = [
    _route(
        "PUT",
        OBJECT,
        put,
        "Keep the body as an object, in place of what is there.",
        openapi={"requestBody": {"content": _BYTES}, **_KEPT},
    ),
    _route(
        "POST",
        OBJECT,
        post_form,
        "Keep the `file` part of a form as an object.",
        openapi={
            "requestBody": {
                "content": {
                    "multipart/form-data": {
                        "schema": {
                            "type": "object",
                            "required": ["file"],
                            "properties": {"file": {"type": "string", "format": "binary"}},
                        }
                    }
                }
            },
            **_KEPT,
        },
    ),
    _route(
        "GET",
        OBJECT,
        get,
        "The object's bytes; ranges and conditions as in RFC 9110.",
        openapi={"responses": {"200": {"description": "The bytes.", "content": _BYTES}}},
    ),
    _route("HEAD", OBJECT, get, "The headers that GET would send."),
    _route(
        "DELETE",
        OBJECT,
        delete,
        "Delete the object.",
        idempotency="atomic",
        openapi={"responses": {"204": {"description": "It is gone."}}},
    ),
    _route(
        "GET",
        BUCKET + "/objects",
        list_objects,
        "The objects that the caller may read, by path; with `delimiter=/` one folder.",
        openapi={
            "parameters": [
                {"name": name, "in": place, "required": place == "path", "schema": {"type": kind}}
                for name, place, kind in (
                    ("project", "path", "string"),
                    ("bucket", "path", "string"),
                    ("prefix", "query", "string"),
                    ("delimiter", "query", "string"),
                    ("limit", "query", "integer"),
                    ("cursor", "query", "string"),
                )
            ]
        },
    ),
    _route(
        "POST",
        BUCKET + "/sign",
        sign,
        "A URL that needs no token, for one method and path.",
        openapi=_json_body(
            {
                "path": {"type": "string"},
                "method": {"type": "string", "enum": list(signing.METHODS), "default": "GET"},
                "expires_in": {"type": "integer", "default": _EXPIRES_S, "description": "seconds"},
            },
            ["path"],
        ),
    ),
    _route(
        "POST",
        BUCKET + "/delete",
        delete_many,
        "Delete many objects, by their paths or by a prefix.",
        idempotency="after",
        openapi=_json_body(
            {
                "paths": {"type": "array", "items": {"type": "string"}},
                "prefix": {"type": "string"},
            },
            [],
        ),
    ),
    _route(
        "POST",
        BUCKET + "/copy",
        copy,
        "Copy an object, or a folder (its path ends with /).",
        idempotency="after",
        openapi=_json_body(_FROM_TO, ["from", "to"]),
    ),
    _route(
        "POST",
        BUCKET + "/move",
        move,
        "Move an object, or a folder (its path ends with /).",
        idempotency="after",
        openapi=_json_body(_FROM_TO, ["from", "to"]),
    ),
]
