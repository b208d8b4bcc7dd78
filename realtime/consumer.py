"""The websocket door: bytes to frames, frames to bytes. What they mean is the session's."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any
from urllib.parse import parse_qs

from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer

from baas.kernel import context, ids
from baas.kernel.problems import NotFound, Problem, Unauthenticated
from baas.kernel.projects import by_slug
from realtime import frames, metrics
from realtime.hub import Hub
from realtime.keeper import Keeper
from realtime.outbox import Outbox
from realtime.session import Session

logger = logging.getLogger(__name__)


class Consumer(AsyncConsumer):  # type: ignore[misc] # channels has no types
    """One socket of a project."""

    session: Session | None = None
    _writer: asyncio.Task[None] | None = None
    _closing: asyncio.Task[None] | None = None

    async def dispatch(self, message: dict[str, Any]) -> None:
        # Channels' own would ask a thread to look after database connections for each frame;
        # there are none in this thread.
        try:
            await getattr(self, message["type"].replace(".", "_"))(message)
        except StopConsumer:
            raise
        except Exception:
            logger.exception("a websocket message could not be handled")
            self._end(frames.INTERNAL_ERROR, "internal_error")

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        """Accept, then let in or close with a code that browsers can read."""
        await self.send({"type": "websocket.accept"})
        hub: Hub = self.scope["state"]["hub"]
        keeper: Keeper = self.scope["state"]["keeper"]
        slug = self.scope["url_route"]["kwargs"]["project"]
        request_id = ids.new_id()
        context.set_current(
            context.Context(
                request_id=request_id, traceparent=context.new_traceparent(), project=slug
            )
        )
        outbox = Outbox(self._send_text)
        try:
            session = Session(
                hub=hub,
                project=await hub.pool.run(by_slug, slug),
                client_ip=self._client_ip(),
                request_id=request_id,
                outbox=outbox,
                end=self._end,
            )
            await session.sign_in(self._token())
        except NotFound as problem:
            return await self._close(frames.NOT_FOUND, problem.code)
        except Unauthenticated as problem:
            return await self._close(frames.INVALID_TOKEN, problem.code)
        except Problem as problem:
            return await self._close(frames.TRY_AGAIN, problem.code)
        self.session = session
        keeper.add(session)
        metrics.SOCKETS.inc()
        self._writer = asyncio.create_task(self._write(outbox))
        return None

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        if self.session is None:
            return  # what was on its way when we closed
        text = message.get("text")
        if text is None:
            self._end(frames.UNSUPPORTED_DATA, "send text frames")
        else:
            await self.session.handle(text)

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        if self.session is not None:
            self.session.close()
            keeper: Keeper = self.scope["state"]["keeper"]
            keeper.remove(self.session)
            metrics.SOCKETS.dec()
        if self._writer is not None:
            self._writer.cancel()
        raise StopConsumer

    async def _write(self, outbox: Outbox) -> None:
        try:
            await outbox.run()
        except OSError:
            # The socket is gone (ASGI 2.4). Its disconnect message comes behind the frame that is
            # being answered, which may wait for room.
            outbox.close()
        except Exception:
            logger.exception("a socket's writer failed")
            self._end(frames.INTERNAL_ERROR, "internal_error")

    def _send_text(self, frame: str) -> Coroutine[Any, Any, None]:
        sending: Coroutine[Any, Any, None] = self.base_send(
            {"type": "websocket.send", "text": frame}
        )
        return sending

    def _end(self, code: int, reason: str) -> None:
        """Close from outside of a handler."""
        if self.session is not None:
            self.session.close()
        if self._writer is not None:
            self._writer.cancel()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(code, reason))

    async def _close(self, code: int, reason: str) -> None:
        try:
            await self.send({"type": "websocket.close", "code": code, "reason": reason})
        except OSError:
            return  # gone already

    def _token(self) -> str | None:
        """From `?token=`, or from a header where the client can set one."""
        query: str = self.scope["query_string"].decode("latin-1")
        given = parse_qs(query, max_num_fields=20).get("token") if query else None
        if given:
            return given[-1]
        header = self._header(b"authorization")
        if header is None:
            return None
        scheme, _, token = header.partition(" ")
        # Whatever else stands there is no token of ours, and is refused as such.
        return token if scheme.lower() == "bearer" else header

    def _client_ip(self) -> str:
        """As `Request.client_ip`: what the proxy in front says, else the socket's peer."""
        forwarded = self._header(b"x-forwarded-for")
        if forwarded:
            return forwarded.rsplit(",", 1)[-1].strip()
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    def _header(self, name: bytes) -> str | None:
        for key, value in self.scope["headers"]:
            if key == name:
                found: str = value.decode("latin-1")
                return found
        return None


class NowhereConsumer(AsyncConsumer):  # type: ignore[misc] # channels has no types
    """A websocket to an address that there is not."""

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        await self.send({"type": "websocket.accept"})
        await self.send(
            {"type": "websocket.close", "code": frames.NOT_FOUND, "reason": "not_found"}
        )

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        """Ignore what was on its way when we closed."""

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        raise StopConsumer
