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
from weakref import WeakValueDictionary

from functions.host.apihttp import Answer, ApiClient, ApiError
from functions.runtypes import RunSpec
from functions.sandbox.frames import Frame, FrameError, FrameReader, encode

log = logging.getLogger("functions.host.bridge")

BODY_CAP: Final = 64 << 20
REQUESTS_CAP: Final = 1000  # per invocation
_HEADER_CAP: Final = 32 << 10
_LARGE: Final = 1 << 20
_LARGE_BODIES: Final = 4  # at one time, up to twice BODY_CAP each
_LARGE_BODIES_OF_ONE: Final = 3  # for one project: the others are never all waiting for it
_LARGE_TRANSFER_S: Final = 10.0  # between two processes of one machine
_OVER_CAP_PAUSE_S: Final = 0.05  # each request over the cap waits for its refusal
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
        self._by_project: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def large_bodies_of(self, project: str) -> asyncio.Semaphore:
        """What one project may have under way; kept for as long as somebody refers to it."""
        fresh = asyncio.Semaphore(_LARGE_BODIES_OF_ONE)
        return self._by_project.setdefault(project, fresh)


class _Reservation:
    """One request's leave to keep large bodies, taken when the first is seen."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._own: asyncio.Semaphore | None = None  # while it is held
        self.project = ""

    @property
    def is_held(self) -> bool:
        return self._own is not None

    async def take(self, size: int) -> None:
        if size <= _LARGE or self.is_held:
            return
        own = self._api.large_bodies_of(self.project)
        await own.acquire()
        try:
            await self._api.large_bodies.acquire()
        except BaseException:
            own.release()
            raise
        self._own = own

    def release(self) -> None:
        if self._own is not None:
            self._api.large_bodies.release()
            self._own.release()
            self._own = None


class Bridge:
    """One sandbox's way to the API."""

    def __init__(self, sock: socket.socket, api: Api, on_fault: Callable[[str], None]) -> None:
        self._socket = sock
        self._client = api.client
        self._reservation = _Reservation(api)
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
        self._reservation.project = spec.project

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
            if not self._is_at_end():  # else it is dying: its exit status tells why
                self._on_fault("an API request outside of an invocation")
            return
        self._loop.remove_reader(self._socket.fileno())
        self._task = self._loop.create_task(self._serve(self._spec))

    def _is_at_end(self) -> bool:
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    async def _serve(self, spec: RunSpec) -> None:
        """Answer one request after the other until the invocation ends or the channel closes."""
        body_due_s = None  # when a large body must be there
        try:
            while data := await self._receive(body_due_s):
                self._busy = True
                frames = self._reader.feed(data)
                if frames:
                    if len(frames) > 1 or not self._reader.is_idle:
                        raise FrameError("a request before the last one was answered")  # noqa: TRY301
                    await self._send(encode(*await self._answer(spec, frames[0])))
                    self._reservation.release()
                    body_due_s = None
                elif not self._reservation.is_held:
                    await self._reservation.take(self._reader.wanted)
                    if self._reservation.is_held:
                        body_due_s = self._loop.time() + _LARGE_TRANSFER_S
                self._busy = False
                # Neither receiving nor sending waits while the guest keeps pace: without this,
                # one that does would have the host to itself, deadlines included.
                await asyncio.sleep(0)
        except FrameError as error:
            self._on_fault(f"the API channel: {error}")
        except TimeoutError:  # an OSError, too
            self._on_fault("the API channel: a large body does not move")
        except OSError:
            return  # the sandbox is gone; its end is reported elsewhere
        except Exception:
            log.exception("the API bridge failed")
            self._on_fault("the API bridge failed")
        finally:
            self._reservation.release()

    async def _receive(self, due_s: float | None) -> bytes:
        async with asyncio.timeout_at(due_s):
            return await self._loop.sock_recv(self._socket, self._reader.wanted)

    async def _send(self, data: bytes) -> None:
        async with asyncio.timeout(_LARGE_TRANSFER_S if self._reservation.is_held else None):
            await self._loop.sock_sendall(self._socket, data)

    async def _answer(self, spec: RunSpec, frame: Frame) -> tuple[dict[str, Any], bytes]:
        try:
            answer = await self._forward(spec, frame)
        except (RefusedRequestError, ApiError) as error:
            problem = {"status": error.status, "code": error.code, "detail": error.detail}
            return {"status": error.status}, json.dumps(problem).encode()
        return {"status": answer.status, "content_type": answer.content_type[:200]}, answer.body

    async def _forward(self, spec: RunSpec, frame: Frame) -> Answer:
        header = frame.header
        self._requests += 1
        if header.get("invocation_id") != spec.invocation_id:
            if self._requests > REQUESTS_CAP:
                await asyncio.sleep(_OVER_CAP_PAUSE_S)
            raise RefusedRequestError(409, "invocation_over", "This invocation has ended.")
        if self._requests > REQUESTS_CAP:
            await asyncio.sleep(_OVER_CAP_PAUSE_S)
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
