"""`context.baas`: the platform's API for user code, bound to one project.

Importable in functions as `baas` (`from baas import BaasError`). Requests go over a socket to the
function host, which adds the identity; no token is ever in the sandbox.
"""

import json
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from functions.sandbox.frames import BlockingChannel

Json = dict[str, Any]

__all__ = ["Baas", "BaasError"]


class BaasError(Exception):
    """The platform refused a request; `status`, `code` and `detail` are the problem's own."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{code} ({status}): {detail}")
        self.status = status
        self.code = code
        self.detail = detail


class Transport:
    """One request at a time over the host's socket; threads wait for each other."""

    def __init__(self, channel: BlockingChannel) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self.invocation_id = ""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> bytes:
        """Return the response's body; BaasError for any status of 400 and above."""
        parameters = {key: value for key, value in (query or {}).items() if value is not None}
        header = {
            "invocation_id": self.invocation_id,
            "method": method,
            "path": path + ("?" + urlencode(parameters) if parameters else ""),
            "content_type": content_type,
        }
        with self._lock:
            self._channel.send(header, body)
            reply = self._channel.receive()
        if reply is None:
            raise BaasError(503, "service_unavailable", "The function host closed the connection.")
        status = int(reply.header["status"])
        if status >= 400:
            raise _problem(status, reply.body)
        return reply.body

    def json(
        self, method: str, path: str, data: Any = None, query: Mapping[str, Any] | None = None
    ) -> Any:
        """Send JSON (unless `data` is None) and return the decoded answer, None when empty."""
        body = b"" if data is None else json.dumps(data, allow_nan=False).encode()
        answer = self.request(method, path, query=query, body=body)
        return json.loads(answer) if answer else None


def _problem(status: int, body: bytes) -> BaasError:
    try:
        problem = json.loads(body)
        return BaasError(status, str(problem["code"]), str(problem.get("detail", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return BaasError(status, "unknown", body[:200].decode("utf-8", "replace"))


def _segment(text: str) -> str:
    return quote(text, safe="")


class Collection:
    """Documents of one collection."""

    def __init__(self, transport: Transport, name: str) -> None:
        self._transport = transport
        self._path = f"/db/{_segment(name)}"

    def _document(self, document_id: str) -> str:
        return f"{self._path}/docs/{_segment(document_id)}"

    def create(self, document: Json) -> Any:
        """Create a document and return it as stored."""
        return self._transport.json("POST", f"{self._path}/docs", document)

    def get(self, document_id: str) -> Any:
        """Return a document, None when it is missing or not readable."""
        try:
            return self._transport.json("GET", self._document(document_id))
        except BaasError as error:
            if error.code == "document_not_found":
                return None
            raise

    def query(
        self,
        filter: Json | None = None,
        sort: Any = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Any:
        """Return `{"items": […], "next_cursor": …}`."""
        options = {"filter": filter or {}, "sort": sort, "limit": limit, "cursor": cursor}
        body = {key: value for key, value in options.items() if value is not None}
        return self._transport.json("POST", f"{self._path}/query", body)

    def update(self, document_id: str, update: Json) -> Any:
        """Apply update operators or a merge patch and return the document."""
        return self._transport.json("PATCH", self._document(document_id), update)

    def set(self, document_id: str, document: Json) -> Any:
        """Replace or create a document and return it."""
        return self._transport.json("PUT", self._document(document_id), document)

    def delete(self, document_id: str) -> None:
        """Delete a document."""
        self._transport.request("DELETE", self._document(document_id))

    def aggregate(self, pipeline: Sequence[Json]) -> Any:
        """Run an aggregation and return its items."""
        body = {"pipeline": list(pipeline)}
        return self._transport.json("POST", f"{self._path}/aggregate", body)["items"]


class Database:
    """`baas.db`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def collection(self, name: str) -> Collection:
        """Return a collection; nothing is sent yet."""
        return Collection(self._transport, name)

    def commit(self, writes: Sequence[Json]) -> Any:
        """Apply up to 500 writes, all or none, and return their results."""
        return self._transport.json("POST", "/db/commit", {"writes": list(writes)})["results"]


class Storage:
    """`baas.storage`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _object(self, bucket: str, path: str) -> str:
        return f"/storage/{_segment(bucket)}/objects/{quote(path)}"

    def download(self, bucket: str, path: str) -> bytes:
        """Return an object's bytes (at most 64 MiB)."""
        return self._transport.request("GET", self._object(bucket, path))

    def upload(
        self, bucket: str, path: str, data: bytes, content_type: str = "application/octet-stream"
    ) -> Any:
        """Store an object (at most 64 MiB) and return its description."""
        target = self._object(bucket, path)
        answer = self._transport.request("PUT", target, body=data, content_type=content_type)
        return json.loads(answer)

    def delete(self, bucket: str, path: str) -> None:
        """Delete an object."""
        self._transport.request("DELETE", self._object(bucket, path))

    def list(
        self,
        bucket: str,
        prefix: str | None = None,
        delimiter: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Any:
        """Return `{"items": […], "prefixes": […], "next_cursor": …}`."""
        options = {"prefix": prefix, "delimiter": delimiter, "limit": limit, "cursor": cursor}
        return self._transport.json("GET", f"/storage/{_segment(bucket)}/objects", query=options)

    def sign(self, bucket: str, path: str, expires_in: int = 3600, method: str = "GET") -> Any:
        """Return `{"url", "expires_at"}`, usable without a token."""
        body = {"path": path, "expires_in": expires_in, "method": method}
        return self._transport.json("POST", f"/storage/{_segment(bucket)}/sign", body)


class Functions:
    """`baas.functions`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def invoke(self, name: str, data: Any = None) -> Any:
        """Call another function of this project and return its result."""
        path = f"/functions/{_segment(name)}:invoke"
        body = json.dumps(data, allow_nan=False).encode()
        return json.loads(self._transport.request("POST", path, body=body))


class Events:
    """`baas.events`."""

    def __init__(self, transport: Transport, source: Callable[[], str]) -> None:
        self._transport = transport
        self._source = source

    def publish(self, type: str, data: Any, subject: str | None = None) -> Any:
        """Publish a custom event; it is durable when this returns."""
        event = {
            "specversion": "1.0",
            "id": uuid.uuid4().hex,
            "source": self._source(),
            "type": type,
            "data": data,
        }
        if subject is not None:
            event["subject"] = subject
        answer = self._transport.request(
            "POST",
            "/events",
            body=json.dumps(event, allow_nan=False).encode(),
            content_type="application/cloudevents+json",
        )
        return json.loads(answer) if answer else None


class Queues:
    """`baas.queues`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def send(self, queue: str, body: Any) -> Any:
        """Append one message."""
        path = f"/queues/{_segment(queue)}/messages"
        return self._transport.json("POST", path, {"messages": [{"body": body}]})


class Baas:
    """The platform's API, acting for the caller or, with `"as": "service"`, for the project."""

    def __init__(self, transport: Transport, function: str) -> None:
        self.db = Database(transport)
        self.storage = Storage(transport)
        self.functions = Functions(transport)
        self.events = Events(transport, lambda: f"/functions/{function}")
        self.queues = Queues(transport)
