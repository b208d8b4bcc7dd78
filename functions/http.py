"""Functions behind addresses of their own: `P/http/…`, bound by triggers of the type http."""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

import orjson

from baas.kernel import db
from baas.kernel.config_cache import ConfigCache
from baas.kernel.http.door import method_not_allowed
from baas.kernel.http.request import Request, Response
from baas.kernel.http.routes import Route, Router
from baas.kernel.principals import Principal
from baas.kernel.problems import BadGateway, NotFound

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
PATH: Final = re.compile(r"(/([A-Za-z0-9._~-]+|\{[a-z][a-z0-9_]{0,30}\})){1,20}")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
# Not passed to functions: whom they act for is in `auth`, and the rest is ours.
_HIDDEN: Final = frozenset({"authorization", "x_act_as", "x_transaction", "idempotency_key"})
# Between us and the client; a function has no say in them.
_OURS: Final = frozenset(
    (
        *("connection", "content-length", "date", "keep-alive", "server", "te", "trailer"),
        *("transfer-encoding", "upgrade", "x-request-id"),
    )
)
_STATUSES: Final = frozenset(status.value for status in HTTPStatus if status >= 200)
# A function's pages share our origin with the console: they must not act in its name.
_CONFINED: Final = ("Content-Security-Policy", "sandbox allow-forms allow-popups allow-scripts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What an address leads to."""

    trigger: str
    function: str
    alias: str
    is_open: bool  # "auth": "none": whoever comes, whatever `rules.invoke` says


class Bindings:
    """The addresses of one project."""

    def __init__(self, rows: Iterable[tuple[Binding, Mapping[str, Any]]]) -> None:
        self._found: dict[tuple[str, str], Binding] = {}
        for binding, source in rows:
            for method in source["methods"]:
                self._found.setdefault((method, source["path"]), binding)
        self._router = Router(
            Route(method=method, path=path, handler=_unused, summary="")
            for method, path in self._found
        )

    def match(self, method: str, path: str) -> tuple[Binding, dict[str, str]]:
        """Raises NotFound `http_route_not_found` or MethodNotAllowed."""
        match = self._router.match(method, path)
        if match is None:
            raise NotFound("No function is bound to this address.", code="http_route_not_found")
        if not isinstance(match, tuple):
            raise method_not_allowed(match)
        route, params = match
        return self._found[route.method, route.path], params


def _unused(request: Request) -> NoReturn:
    raise AssertionError("only the router's match is used")


def _load(project_id: int, _key: object) -> Bindings:
    rows = db.fetch_all(
        "SELECT t.name, f.name, t.alias, t.source::text FROM functions_trigger t"
        " JOIN functions_function f ON f.id = t.function_id"
        " WHERE t.project_id = %s AND t.source->>'type' = 'http' ORDER BY t.id",
        (project_id,),
    )
    found = []
    for name, function, alias, text in rows:
        source = orjson.loads(text)
        is_open = source["auth"] == "none"
        binding = Binding(trigger=name, function=function, alias=alias, is_open=is_open)
        found.append((binding, source))
    return Bindings(found)


_bindings = ConfigCache("function-http", _load)


def bindings(project_id: int) -> Bindings:
    found = _bindings.get(project_id, "all")
    assert found is not None  # noqa: S101 - _load always gives some
    return found


def event_of(
    environ: Mapping[str, Any],
    *,
    method: str,
    path: str,
    params: Mapping[str, str],
    body: bytes,
    principal: Principal,
) -> bytes:
    """The request as the function's event (JSON)."""
    headers = {
        name[5:].lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("HTTP_") and name[5:].lower() not in _HIDDEN
    }
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    query: dict[str, str | list[str]] = {}
    for name, value in parse_qsl(environ.get("QUERY_STRING") or "", keep_blank_values=True):
        known = query.get(name)
        if known is None:
            query[name] = value
        else:
            query[name] = [*known, value] if isinstance(known, list) else [known, value]
    try:
        text, is_base64 = body.decode(), False
    except UnicodeDecodeError:
        text, is_base64 = b64encode(body).decode(), True
    return orjson.dumps(
        {
            "method": method,
            "path": path,
            "params": params,
            "headers": headers,
            "query": query,
            "body": text,
            "is_base64": is_base64,
            "auth": principal.auth,
        }
    )


def response_of(result: bytes) -> Response:
    """The reply that a function's result is. Raises BadGateway `function_invalid_response`.

    An object of `status` (a number) and at most `headers`, `body`, `is_base64` is a reply in full;
    any other JSON is the body of a 200.
    """
    value = orjson.loads(result)
    if not _is_reply(value):
        return Response(200, result, [_CONFINED])
    status = value["status"]
    if status not in _STATUSES:
        raise _invalid(f"status {status} is none that HTTP knows, from 200 on")
    headers = list(_headers(value.get("headers") or {}))
    body, content_type = _body(value)
    if any(name.lower() == "content-type" for name, _ in headers):
        content_type = None
    if status in (204, 304):
        body, content_type = b"", None
    return Response(status, body, [*headers, _CONFINED], content_type)


def _is_reply(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and type(value.get("status")) is int
        and value.keys() <= {"status", "headers", "body", "is_base64"}
    )


def _headers(given: Any) -> Iterable[tuple[str, str]]:
    if not isinstance(given, dict):
        raise _invalid("headers is not an object")
    for name, value in given.items():
        if not _HEADER.fullmatch(name):
            raise _invalid(f"{name[:50]!r} is no header's name")
        if name.lower() in _OURS or name.lower().startswith("x-accel-"):
            continue  # the latter are orders to a proxy of ours, such as to serve another address
        for item in value if isinstance(value, list) else [value]:
            text = str(item) if isinstance(item, int | float) else item
            if not isinstance(text, str) or not text.isprintable() or not _is_latin(text):
                raise _invalid(f"the value of the header {name!r} is not printable text")
            yield name, text


def _is_latin(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def _body(value: Mapping[str, Any]) -> tuple[bytes, str | None]:
    body = value.get("body")
    if value.get("is_base64"):
        try:
            return b64decode(body or "", validate=True), "application/octet-stream"
        except (Base64Error, ValueError, TypeError) as error:
            raise _invalid("body is not Base64") from error
    if body is None:
        return b"", "text/plain; charset=utf-8"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return orjson.dumps(body), "application/json"


def _invalid(what: str) -> BadGateway:
    return BadGateway(
        f"The function's reply is not valid: {what}.", code="function_invalid_response"
    )
