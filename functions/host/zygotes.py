"""The host's end of a zygote: starting one, asking it for sandboxes, hearing of their end."""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from functions.host.kinds import Kind
from functions.host.programs import Programs
from functions.sandbox.child import Mode
from functions.sandbox.enclosure import MESSAGE_CAP

log = logging.getLogger("functions.host.zygotes")

_PRODUCT_ROOT = Path(__file__).resolve().parent.parent.parent
_BOOT = (
    "import sys; sys.path[:0] = [{path!r}]; from functions.sandbox import enclosure;"
    " enclosure.main()"
)
_START_TIMEOUT_S = 20.0
_FORK_TIMEOUT_S = 10.0


class IsolationError(Exception):
    """A layer of isolation cannot be set up on this node; the message names it."""


class StartError(Exception):
    """The zygote could not fork a sandbox."""


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How a sandbox ended, by the kernel's word."""

    status: int  # exit code, or minus the signal's number
    cpu_s: float
    max_rss_mb: int
    is_ours: bool = False  # the zygote ended, or was stopped: no doing of the function's


class Zygote:
    """A running zygote."""

    def __init__(self, process: asyncio.subprocess.Process, sock: socket.socket) -> None:
        self._process = process
        self._socket = sock
        self._started: dict[int, asyncio.Future[int]] = {}
        self._exited: dict[int, Callable[[Exit], None]] = {}
        self.forks = 0
        self.born_s = asyncio.get_running_loop().time()
        self.is_alive = True
        asyncio.get_running_loop().add_reader(sock.fileno(), self._on_readable)

    @property
    def instances(self) -> int:
        """Sandboxes that have not ended."""
        return len(self._exited)

    async def start(
        self,
        number: int,
        *,
        kind: Kind,
        uid: int,
        descriptors: list[int],
        on_exit: Callable[[Exit], None],
    ) -> int:
        """Fork a sandbox and return its pidfd. The descriptors stay the caller's to close.

        `on_exit` is called once when it has ended. StartError when it could not be forked.
        """
        if not self.is_alive:
            raise StartError("the zygote has ended")
        request = {
            "id": number,
            "uid": uid,
            "runtime": kind.runtime,
            "heap_mb": kind.heap_mb,
        }
        future = asyncio.get_running_loop().create_future()
        self._started[number] = future
        self._exited[number] = on_exit
        self.forks += 1
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors)
            return await asyncio.wait_for(asyncio.shield(future), _FORK_TIMEOUT_S)
        except TimeoutError as error:
            self.stop()  # single-threaded and without user code, it has no reason to be silent
            raise StartError("the zygote does not answer") from error
        except OSError as error:
            self._started.pop(number, None)
            self._exited.pop(number, None)
            raise StartError(f"the zygote does not take requests: {error}") from error

    def stop(self) -> None:
        """End the zygote and all its sandboxes."""
        if self.is_alive:
            self._lose()

    async def wait(self) -> None:
        """Wait until its outer process has ended."""
        await self._process.wait()

    def _on_readable(self) -> None:
        while self.is_alive:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._socket, MESSAGE_CAP, 1)
            except BlockingIOError:
                return
            except OSError:
                self._lose()
                return
            if not data:
                self._lose()
                return
            self._take(json.loads(data), list(descriptors))

    def _take(self, message: dict[str, Any], descriptors: list[int]) -> None:
        if "exited" in message:
            on_exit = self._exited.pop(message["exited"])
            on_exit(
                Exit(
                    status=message["status"],
                    cpu_s=message["cpu_s"],
                    max_rss_mb=-(-message["max_rss_kb"] >> 10),
                )
            )
            return
        number: int = message["failed" if "failed" in message else "started"]
        future = self._started.pop(number)
        if "failed" in message:
            self._exited.pop(number)
            if not future.done():
                future.set_exception(StartError(message["error"]))
        elif future.done():
            os.close(descriptors[0])
        else:
            future.set_result(descriptors[0])

    def _lose(self) -> None:
        """The zygote is gone, or goes now; the kernel ends every sandbox with it."""
        self.is_alive = False
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        for future in self._started.values():
            if not future.done():
                future.set_exception(StartError("the zygote ended"))
        self._started.clear()
        exits, self._exited = self._exited, {}
        for on_exit in exits.values():
            on_exit(Exit(status=-9, cpu_s=0.0, max_rss_mb=0, is_ours=True))


async def _first_message(sock: socket.socket) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    data = await asyncio.wait_for(loop.sock_recv(sock, MESSAGE_CAP), _START_TIMEOUT_S)
    if not data:
        raise IsolationError("the zygote ended before it was ready")
    message: dict[str, Any] = json.loads(data)
    if "failed" in message:
        raise IsolationError(f"layer {message['failed']!r} failed: {message['error']}")
    return message


async def spawn(mode: Mode, programs: Programs, *, stage: Path, store: Path) -> Zygote:
    """Start a zygote; IsolationError names the layer that could not be set up."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    config = {
        "mode": mode,
        "python": programs.python,
        "unseen": programs.unseen,
        "root": {
            "stage": str(stage),
            "store": str(store),
            "read_only": programs.read_only,
            "hidden": programs.hidden,
            "links": programs.links,
            "placed": programs.placed,
            "sandbox_source": str(_PRODUCT_ROOT / "functions" / "sandbox"),
        },
    }
    ours.send(json.dumps(config).encode())
    process = await asyncio.create_subprocess_exec(
        programs.python,
        *("-I", "-S", "-B", "-c", _BOOT.format(path=str(_PRODUCT_ROOT))),
        str(theirs.fileno()),
        pass_fds=[theirs.fileno()],
        stdin=asyncio.subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        start_new_session=True,
    )
    theirs.close()
    try:
        message = await _first_message(ours)
    except (TimeoutError, OSError, IsolationError) as error:
        ours.close()
        await process.wait()
        if isinstance(error, IsolationError):
            raise
        raise IsolationError(f"the zygote did not start: {error}") from error
    log.info("zygote ready: mode %s, python %s", mode, message["python"])
    return Zygote(process, ours)
