"""A request as the services' doors see it, and the reply that they give."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn
from urllib.parse import unquote

import orjson

from baas.kernel.principals import ANONYMOUS, Principal
from baas.kernel.problems import Malformed, TooLarge, UnsupportedMediaType
from baas.kernel.projects import ProjectConfig

JSON_LIMIT: Final = 1024 * 1024  # bytes, where a route says nothing else
MAX_DEPTH: Final = 100  # nesting of JSON bodies
MAX_INVOKE: Final = 6 * 1024 * 1024
MAX_PARAMETERS: Final = 100  # of a query string


class Request:
    """One HTTP request inside a project (or, for control routes, outside any).

    `project` and `principal` are set by the door before a handler sees the request.
    """

    __slots__ = (
        "_body",
        "_query",
        "environ",
        "method",
        "params",
        "path",
        "principal",
        "project",
        "rate_limit_headers",
        "request_id",
    )

    def __init__(self, environ: Mapping[str, Any], method: str, path: str, request_id: str) -> None:
        self.environ = environ
        self.method = method
        self.path = path
        self.request_id = request_id
        self.params: dict[str, str] = {}
        self.principal: Principal = ANONYMOUS
        self.rate_limit_headers: tuple[tuple[str, str], ...] = ()
        self.project: ProjectConfig = ProjectConfig.NONE
        self._body: bytes | None = None
        self._query: dict[str, str] | None = None

    def header(self, name: str) -> str | None:
        """The header's value, None when absent. `name` as in HTTP, any case."""
        key = name.upper().replace("-", "_")
        if key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            value = self.environ.get(key) or None
        else:
            value = self.environ.get("HTTP_" + key)
        return value

    @property
    def query(self) -> dict[str, str]:
        """The query string; of a repeated name the last value counts."""
        if self._query is None:
            self._query = parse_query_string(self.environ.get("QUERY_STRING") or "")
        return self._query

    @property
    def content_length(self) -> int | None:
        """The announced length in bytes; None for chunked bodies. Raises Malformed."""
        text = self.environ.get("CONTENT_LENGTH")
        if not text:
            return None
        if not text.isdecimal():
            raise Malformed("Content-Length is not a number.")
        return int(text)

    @property
    def client_ip(self) -> str:
        """The caller's address: what the proxy in front says, else the socket's peer."""
        forwarded = self.environ.get("HTTP_X_FORWARDED_FOR")
        if forwarded:
            return str(forwarded).rsplit(",", 1)[-1].strip()
        return str(self.environ.get("REMOTE_ADDR") or "")

    def body(self, limit: int = JSON_LIMIT) -> bytes:
        """The whole body. Raises TooLarge over `limit` bytes, without having read more."""
        if self._body is None:
            length = self.content_length
            if length is not None and length > limit:
                refuse_size(limit)
            stream = self.environ["wsgi.input"]
            if length is not None:
                body = stream.read(length) if length else b""
                if len(body) < length:
                    raise Malformed("The body is shorter than its Content-Length.")
            else:
                body = stream.read(limit + 1)
                if len(body) > limit:
                    refuse_size(limit)
            self._body = body
        elif len(self._body) > limit:  # read before, by somebody who takes more
            refuse_size(limit)
        return self._body

    def json(self, limit: int = JSON_LIMIT) -> Any:
        """The body as JSON. Raises Malformed, TooLarge or UnsupportedMediaType."""
        require_json_type(self.header("Content-Type"))
        return parse_json(self.body(limit))

    def json_object(self, limit: int = JSON_LIMIT) -> dict[str, Any]:
        """The body as a JSON object. Raises Malformed for any other JSON value."""
        value = self.json(limit)
        if not isinstance(value, dict):
            raise Malformed("The body must be a JSON object.")
        return value


def parse_query_string(text: str) -> dict[str, str]:
    """The parameters of a query string, the last of each name. Raises Malformed."""
    if "%00" in text:
        raise Malformed("The query string has a NUL character, which no value may have.")
    parts = [part for part in text.split("&") if part]
    if len(parts) > MAX_PARAMETERS:
        raise Malformed(f"The query string has more than {MAX_PARAMETERS} parameters.")
    found = {}
    for part in parts:
        name, _, value = part.partition("=")
        found[_unquoted(name)] = _unquoted(value)
    return found


def _unquoted(text: str) -> str:
    text = text.replace("+", " ")
    if "%" not in text:
        return text
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise Malformed(f"The query string is malformed: {error}.") from error


def refuse_size(limit: int) -> NoReturn:
    raise TooLarge(f"The body is larger than the limit of {limit} bytes of this route.")


def require_json_type(content_type: str | None) -> None:
    """Raises UnsupportedMediaType unless the type is JSON (or absent)."""
    if content_type is None:
        return
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMediaType(
            f"This route takes JSON: send Content-Type: application/json, not {media_type!r}."
        )


def parse_json(body: bytes) -> Any:
    """JSON (RFC 8259) with at most MAX_DEPTH levels. Raises Malformed.

    Integers outside 64 bits become floats: rooms that keep numbers exactly parse by themselves.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        check_depth(body)
        raise Malformed(f"The body is not valid JSON: {error}.", code="malformed_json") from error
    check_nesting(body, value)
    return value


def check_nesting(body: bytes, value: Any, limit: int = MAX_DEPTH) -> None:
    """As `check_depth`, for the value that the body was: what it looks at is far less."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return  # cannot nest deeper than it has brackets
    level = _containers([value])
    for _ in range(limit):
        inner: list[Any] = []
        for each in level:
            inner += each.values() if type(each) is dict else each
        level = _containers(inner)
    if level:
        raise _too_deep(limit)


def _containers(items: list[Any]) -> list[Any]:
    return [each for each in items if type(each) in (dict, list)]


def check_depth(body: bytes, limit: int = MAX_DEPTH) -> None:
    """Raises Malformed when brackets nest deeper than `limit` levels."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return  # cannot nest deeper than it has brackets
    depth = 0
    in_string = escaped = False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            if depth > limit:
                raise _too_deep(limit)
        elif byte in b"]}":
            depth -= 1


def _too_deep(limit: int) -> Malformed:
    return Malformed(f"The body nests deeper than {limit} levels.", code="nesting_too_deep")


class Response:
    """A reply: `body` is bytes, or an iterable of bytes that is sent as it comes."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self,
        status: int = 200,
        body: bytes | Iterable[bytes] = b"",
        headers: Iterable[tuple[str, str]] = (),
        content_type: str | None = "application/json",
    ) -> None:
        self.status = status
        self.body = body
        self.headers = list(headers)
        if content_type is not None:
            self.headers.append(("Content-Type", content_type))


def json_response(
    value: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()
) -> Response:
    return Response(status, orjson.dumps(value), headers)


def no_content() -> Response:
    return Response(204, content_type=None)


Handler = Callable[[Request], Response]
