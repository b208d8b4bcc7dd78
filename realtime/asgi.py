"""The ASGI application of the realtime process: websockets and nothing else."""

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from channels.routing import URLRouter
from django.urls import re_path

from baas.kernel import ids
from baas.kernel.problems import CONTENT_TYPE, NotFound, render
from realtime.consumer import Consumer, NowhereConsumer
from realtime.hub import Hub
from realtime.keeper import Keeper

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_TOKEN: Final = re.compile(r"([?&]token=)[^&\s\"]+")


class HideTokens(logging.Filter):
    """The server logs a handshake with its whole address: tokens do not belong into logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                _TOKEN.sub(r"\1…", arg) if isinstance(arg, str) else arg for arg in record.args
            )
        return True


for _name in ("uvicorn.error", "uvicorn.access"):
    logging.getLogger(_name).addFilter(HideTokens())

_websockets = URLRouter(
    [
        re_path(r"^v1/projects/(?P<project>[^/]+)/realtime$", Consumer.as_asgi()),
        re_path(r"", NowhereConsumer.as_asgi()),
    ]
)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """One hub per process lives as long as the server: from lifespan startup to shutdown."""
    match scope["type"]:
        case "websocket":
            await _websockets(scope, receive, send)
        case "lifespan":
            await _live(scope, receive, send)
        case "http":
            await _not_found(send)
        case kind:
            raise ValueError(f"there is no handler for {kind}")


async def _live(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()  # lifespan.startup
    hub = Hub()
    keeper = Keeper(hub)
    scope["state"].update(hub=hub, keeper=keeper)
    hub.start()
    keeper.start()
    await send({"type": "lifespan.startup.complete"})
    await receive()  # lifespan.shutdown
    keeper.stop()
    await hub.stop()
    await send({"type": "lifespan.shutdown.complete"})


async def _not_found(send: Send) -> None:
    problem = NotFound(
        "There are only websockets here: connect to /v1/projects/{project}/realtime."
    )
    body = render(problem, request_id := ids.new_id())
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
