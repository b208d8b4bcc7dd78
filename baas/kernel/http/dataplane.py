"""The data plane's door: a slim WSGI entry in front of Django's handler.

No middleware chain, no URL resolver, no ORM: one look into the router, one principal, one handler.
What no route matches goes on to Django.
"""

import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from django.db import connection

from baas.kernel import db, fairness, idempotency
from baas.kernel.http import door
from baas.kernel.http.request import MAX_INVOKE, Request, Response
from baas.kernel.http.routes import Route, Router

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
# Bytes of a refused body that are still read: all that the proxy in front passes on only when it
# is whole, so nobody is waited for.
MAX_REST: Final = 64 * 1024 * 1024
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class DataPlane:
    """A WSGI application; `fallback` gets what is not among `routes`."""

    def __init__(self, routes: Iterable[Route], fallback: "WSGIApplication") -> None:
        self._router = Router(routes)
        self._fallback = fallback

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        chunks = self._answer(environ, start_response)
        length = environ.get("CONTENT_LENGTH")
        if length and length.isdecimal() and int(length) <= MAX_REST:
            read_rest(environ)
        elif length or "HTTP_TRANSFER_ENCODING" in environ:
            return answer_first(chunks, environ)
        return chunks

    def _answer(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if not path.startswith(door.PROJECT_PREFIX):
            return self._fallback(environ, start_response)
        method: str = environ["REQUEST_METHOD"]
        if not path.isascii():
            path = path.encode("latin-1").decode("utf-8", "replace")
        match = self._router.match(method, path)
        if match is None and method != "OPTIONS":
            return self._fallback(environ, start_response)
        began = time.perf_counter()
        request = door.open_request(environ)
        name = match[0].path if isinstance(match, tuple) else "unmatched"
        try:
            response = _respond(request, match)
        except Exception as error:  # noqa: BLE001 - the door's one handler: every error is answered
            response = door.problem_response(door.as_problem(error), request.request_id)
        finally:
            fairness.leave()
        headers = response.headers
        headers.append(("X-Request-Id", request.request_id))
        headers.extend(request.rate_limit_headers)
        if "HTTP_ORIGIN" in environ and method != "OPTIONS":
            headers.extend(door.cors_headers(request))
        body = response.body
        if isinstance(body, bytes):
            if response.status != 204 and response.status != 304:
                headers.append(("Content-Length", str(len(body))))
            chunks: Iterable[bytes] = (body,) if method != "HEAD" and body else ()
        else:
            chunks = body
        start_response(_STATUS_LINES[response.status], headers)
        door.observe(method, name, response.status, time.perf_counter() - began)
        return chunks


def read_rest(environ: dict[str, Any]) -> None:
    """Read what the handler left of the body, up to MAX_REST bytes.

    A server that answers before it has read the body closes the connection, and the proxy in front,
    which was still writing, then says 503 in place of our refusal.
    """
    read, left = environ["wsgi.input"].read, MAX_REST
    while left > 0 and (chunk := read(65536)):
        left -= len(chunk)


def answer_first(chunks: Iterable[bytes], environ: dict[str, Any]) -> Iterator[bytes]:
    """The same for bodies that are too long to wait for, or may be.

    The proxy reads our answer while it writes, and stops.
    """
    try:
        yield from chunks
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    read_rest(environ)


def _respond(request: Request, match: tuple[Route, dict[str, str]] | list[str] | None) -> Response:
    if request.method == "OPTIONS":
        door.enter_project(request, request.path.split("/")[3])
        return door.preflight(request)
    if not isinstance(match, tuple):
        raise door.method_not_allowed(match or [])
    route, request.params = match
    return _serve_with_retry(route, request, request.params.pop("project"))


def _serve_with_retry(route: Route, request: Request, slug: str) -> Response:
    """Serve; a read whose connection had died in the meantime is tried once on a new one."""
    try:
        return _serve(route, request, slug)
    except db.CONNECTION_ERRORS as error:
        if request.method not in ("GET", "HEAD") or not db.is_disconnect(error):
            raise
        connection.close()
        return _serve(route, request, slug)


def _serve(route: Route, request: Request, slug: str) -> Response:
    door.enter_project(request, slug)
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None or route.idempotency is None or request.method not in _WRITES:
        return route.handler(request)
    if route.transactional and "HTTP_X_TRANSACTION" in request.environ:
        return route.handler(request)
    return idempotency.run(
        key=key,
        identity=request.principal.identity,
        project_id=request.project.id,
        method=request.method,
        path=request.path + "?" + (request.environ.get("QUERY_STRING") or ""),
        body=request.body(MAX_INVOKE),
        mode=route.idempotency,
        handle=lambda: route.handler(request),
        render=lambda problem: door.problem_response(problem, request.request_id),
    )
