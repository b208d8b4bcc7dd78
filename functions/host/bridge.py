"""`context.baas`: requests of a sandbox, checked, given an identity and forwarded to the API.

The sandbox holds no token and no address. What it may ask for: the paths of its own project, while
an invocation of it runs, within the caps below.
"""

import asyncio
import json
import logging
import re
import secrets
import socket
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

from functions.host.apihttp import Answer, ApiClient, ApiError
from functions.runtypes import RunSpec
from functions.sandbox.frames import Frame, FrameError, FrameReader, encode

log = logging.getLogger("functions.host.bridge")

BODY_CAP: Final = 64 << 20
REQUESTS_CAP: Final = 1000  # per invocation
_HEADER_CAP: Final = 32 << 10
_LARGE: Final = 1 << 20
_LARGE_BODIES: Final = 4  # at one time, up to twice BODY_CAP each
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"))
_PATH: Final = re.compile(r"/[!-\[\]^-~]*")  # printable ASCII but for space and backslash
_CONTENT_TYPE: Final = re.compile(r"[!-~][ -~]{0,126}")
_TRACE: Final = re.compile(r"[0-9a-f]{32}")


class RefusedRequestError(Exception):
    """A request that the bridge does not forward."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


def checked_target(slug: str, path: Any) -> str:
    """Return the request target for a path below the project; RefusedRequestError otherwise.

    Dot segments are refused in every spelling, so that no server or proxy on the way can
    normalise the path to one outside the project.
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path) or "#" in path:
        raise RefusedRequestError(400, "invalid_request", "The path is malformed.")
    bare = path.partition("?")[0]
    for _ in range(3):  # %252e decodes twice
        if any(part in (".", "..") for part in re.split(r"[/\\]", bare)):
            raise RefusedRequestError(400, "invalid_request", "The path has dot segments.")
        bare = unquote(bare)
    return f"/v1/projects/{slug}{path}"


def _identity(spec: RunSpec) -> dict[str, str]:
    headers = {"X-Invocation-Id": spec.invocation_id}
    if spec.token:
        headers["Authorization"] = f"Bearer {spec.token}"
    if _TRACE.fullmatch(spec.trace_id):
        headers["traceparent"] = f"00-{spec.trace_id}-{secrets.token_hex(8)}-01"
    return headers


class Api:
    """The platform's API as all sandboxes of this node share it.

    Large bodies are kept in memory, so only so many may be under way at one time.
    """

    def __init__(self, url: str) -> None:
        self.client = ApiClient(url)
        self.large_bodies = asyncio.Semaphore(_LARGE_BODIES)


class _Reservation:
    """One request's leave to keep large bodies, taken when the first is seen."""

    def __init__(self, permits: asyncio.Semaphore) -> None:
        self._permits = permits
        self._held = False

    async def take(self, size: int) -> None:
        if size > _LARGE and not self._held:
            await self._permits.acquire()
            self._held = True

    def release(self) -> None:
        if self._held:
            self._permits.release()
            self._held = False


class Bridge:
    """One sandbox's way to the API."""

    def __init__(self, sock: socket.socket, api: Api, on_fault: Callable[[str], None]) -> None:
        self._socket = sock
        self._client = api.client
        self._reservation = _Reservation(api.large_bodies)
        self._on_fault = on_fault
        self._spec: RunSpec | None = None
        self._task: asyncio.Task[None] | None = None
        self._reader = FrameReader(_HEADER_CAP, BODY_CAP)
        self._requests = 0
        self._busy = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._on_readable)

    def open(self, spec: RunSpec) -> None:
        """Serve requests in the name of this invocation from now on."""
        self._spec = spec
        self._requests = 0

    def shut(self) -> bool:
        """Serve no more requests; False when one was under way, which spoils the channel."""
        self._spec = None
        clean = not self._busy and self._reader.is_idle
        if self._task is not None:
            self._task.cancel()
            self._task = None
            if clean:
                self._loop.add_reader(self._socket.fileno(), self._on_readable)
        return clean

    def close(self) -> None:
        """Release the socket."""
        self.shut()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _on_readable(self) -> None:
        if self._spec is None:
            self._loop.remove_reader(self._socket.fileno())
            self._on_fault("an API request outside of an invocation")
            return
        self._loop.remove_reader(self._socket.fileno())
        self._task = self._loop.create_task(self._serve(self._spec))

    async def _serve(self, spec: RunSpec) -> None:
        """Answer one request after the other until the invocation ends or the channel closes."""
        try:
            while data := await self._loop.sock_recv(self._socket, self._reader.wanted):
                self._busy = True
                for frame in self._reader.feed(data):
                    header, body = await self._answer(spec, frame)
                    await self._loop.sock_sendall(self._socket, encode(header, body))
                    self._reservation.release()
                await self._reservation.take(self._reader.wanted)
                self._busy = False
        except FrameError as error:
            self._on_fault(f"the API channel: {error}")
        except OSError:
            return  # the sandbox is gone; its end is reported elsewhere
        except Exception:
            log.exception("the API bridge failed")
            self._on_fault("the API bridge failed")
        finally:
            self._reservation.release()

    async def _answer(self, spec: RunSpec, frame: Frame) -> tuple[dict[str, Any], bytes]:
        try:
            answer = await self._forward(spec, frame)
        except (RefusedRequestError, ApiError) as error:
            problem = {"status": error.status, "code": error.code, "detail": error.detail}
            return {"status": error.status}, json.dumps(problem).encode()
        return {"status": answer.status, "content_type": answer.content_type[:200]}, answer.body

    async def _forward(self, spec: RunSpec, frame: Frame) -> Answer:
        header = frame.header
        if header.get("invocation_id") != spec.invocation_id:
            raise RefusedRequestError(409, "invocation_over", "This invocation has ended.")
        self._requests += 1
        if self._requests > REQUESTS_CAP:
            detail = f"An invocation may send at most {REQUESTS_CAP} requests."
            raise RefusedRequestError(429, "too_many_requests", detail)
        method, content_type = header.get("method"), header.get("content_type")
        if not isinstance(method, str) or method not in _METHODS:
            raise RefusedRequestError(405, "method_not_allowed", "This method is not forwarded.")
        if not isinstance(content_type, str) or not _CONTENT_TYPE.fullmatch(content_type):
            raise RefusedRequestError(400, "invalid_request", "The content type is malformed.")
        target = checked_target(spec.project_slug, header.get("path"))
        headers = _identity(spec)
        if frame.body:
            headers["Content-Type"] = content_type
        take = self._reservation.take
        return await self._client.request(method, target, headers, frame.body, take)
