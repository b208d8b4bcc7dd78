"""A call inside a transaction as a value: enough to carry it out again, and what it answered."""

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, Final

import orjson

from baas.kernel.http.request import MAX_INVOKE, Request, Response
from baas.kernel.problems import Problem, as_dict

# Headers that change what a call means. Tokens are not among them: who calls is asked each time.
_HEADERS: Final = frozenset(
    {"CONTENT_TYPE", "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_PREFER", "HTTP_X_EXPLAIN_RULES"}
)
_NOT_PASSED: Final = _HEADERS | {
    "CONTENT_LENGTH",
    "HTTP_IDEMPOTENCY_KEY",
    "HTTP_TRANSFER_ENCODING",
    "HTTP_X_TRANSACTION",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What was asked, when, and from which seed come the ids that it makes."""

    handler: str  # see api.request.HANDLERS
    method: str
    path: str
    params: dict[str, str]
    query: str
    headers: dict[str, str]  # names as in a WSGI environ
    body: bytes
    now: datetime
    seed: bytes

    @classmethod
    def of(cls, request: Request, handler: str, now: datetime) -> "Call":
        return cls(
            handler=handler,
            method=request.method,
            path=request.path,
            params=request.params,
            query=request.environ.get("QUERY_STRING") or "",
            headers={name: request.environ[name] for name in _HEADERS & request.environ.keys()},
            body=b"" if request.method in ("GET", "HEAD") else request.body(MAX_INVOKE),
            now=now,
            seed=os.urandom(16),
        )

    def request(self, current: Request) -> Request:
        """The call as a request of whoever makes the current one."""
        environ = {k: v for k, v in current.environ.items() if k not in _NOT_PASSED}
        environ.update(self.headers)
        environ["QUERY_STRING"] = self.query
        environ["CONTENT_LENGTH"] = str(len(self.body))
        environ["wsgi.input"] = BytesIO(self.body)
        made = Request(environ, self.method, self.path, current.request_id)
        made.params = dict(self.params)
        made.project, made.principal = current.project, current.principal
        return made

    def dump(self) -> bytes:
        """All but body, time and seed, which have columns of their own."""
        return orjson.dumps(
            [self.handler, self.method, self.path, self.params, self.query, self.headers]
        )

    @classmethod
    def load(cls, text: bytes, body: bytes, now: datetime, seed: bytes) -> "Call":
        handler, method, path, params, query, headers = orjson.loads(text)
        return cls(
            handler=handler,
            method=method,
            path=path,
            params=params,
            query=query,
            headers=headers,
            body=body,
            now=now,
            seed=seed,
        )

    @property
    def fingerprint(self) -> bytes:
        """The same for the same request, whenever it is made."""
        return _digest(self.dump(), self.body)


def outcome_of(reply: Response | Problem) -> bytes:
    """What the caller learned from a reply. Joins a body that would be sent in pieces."""
    if isinstance(reply, Problem):
        return _digest(b"problem", orjson.dumps(as_dict(reply, "")))
    if not isinstance(reply.body, bytes):
        reply.body = b"".join(reply.body)
    return _digest(b"%d" % reply.status, orjson.dumps(reply.headers), reply.body)


def _digest(*parts: bytes) -> bytes:
    hashed = hashlib.blake2b(digest_size=32)
    for part in parts:
        hashed.update(b"%d:" % len(part))
        hashed.update(part)
    return hashed.digest()


def dump_reply(reply: Response) -> bytes:
    head = orjson.dumps([reply.status, reply.headers])
    body: Any = reply.body
    return head + b"\n" + bytes(body)


def load_reply(text: bytes) -> Response:
    head, _, body = text.partition(b"\n")
    status, headers = orjson.loads(head)
    named = [(name, value) for name, value in headers]
    return Response(status, body, [*named, ("Idempotency-Replayed", "true")], content_type=None)
