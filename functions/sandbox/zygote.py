"""The zygote: a small pre-imported interpreter that forks one child per cold function.

Single-threaded, pid 1 of its namespace, inside the read-only root. The host speaks to it over a
packet socket: `start` comes with descriptors; `started` goes back with a pidfd, and `exited` when
a sandbox is gone. EOF ends it, and with it every sandbox.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from functions.sandbox import child, keeper, seccomp, syscalls
from functions.sandbox.enclosure import MESSAGE_CAP

_MAX_DESCRIPTORS = 12
# What most functions import anyway; forked, it costs them nothing.
_PREIMPORTED = (  # noqa: SIM905 - shorter to read
    "asyncio base64 collections contextlib dataclasses datetime decimal email.utils enum fractions"
    " functools hashlib heapq hmac html http inspect io ipaddress itertools json logging math"
    " operator pathlib queue random re secrets statistics string struct tempfile textwrap threading"
    " time traceback typing unicodedata urllib.parse uuid zlib zoneinfo"
).split()


class Zygote:
    """State of the fork server."""

    def __init__(
        self, control: socket.socket, mode: child.Mode, unseen: dict[str, list[str]]
    ) -> None:
        self._control = control
        self._mode = mode
        self._unseen = unseen  # by runtime
        machine = syscalls.architecture()
        self._programs = {
            counted: seccomp.program(machine, memory_is_counted=counted)
            for counted in (True, False)
        }
        self._self = os.pidfd_open(os.getpid())
        self._instances: dict[int, int] = {}  # pid -> the host's number of the sandbox

    def _send(self, message: dict[str, Any], descriptors: list[int]) -> None:
        socket.send_fds(self._control, [json.dumps(message).encode()], descriptors)

    def start(self, request: dict[str, Any], descriptors: list[int]) -> None:
        """Fork a sandbox into a pid namespace of its own."""
        birth = child.Birth(
            mode=self._mode,
            uid=request["uid"],
            program=self._programs[len(descriptors) > child.CHANNELS],
            descriptors=descriptors,
            unseen=tuple(self._unseen[request["runtime"]]),
            heap_mb=request["heap_mb"],
        )
        live = keeper.live if request["runtime"] == "nodejs" else child.live
        try:
            syscalls.unshare(syscalls.CLONE_NEWPID)
            try:
                pid = os.fork()
                if pid == 0:
                    live(birth)
            finally:
                # Only the next fork enters the namespace of an unshare, and only once.
                syscalls.setns(self._self, syscalls.CLONE_NEWPID)
        except OSError as error:
            self._send({"failed": request["id"], "error": str(error)}, [])
            return
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._instances[pid] = request["id"]
        pidfd = os.pidfd_open(pid)
        self._send({"started": request["id"]}, [pidfd])
        os.close(pidfd)

    def reap(self) -> None:
        """Tell the host of every sandbox that is gone, with the kernel's own accounting."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self._instances.pop(pid, None)
            if number is None:
                continue  # a child of a sandbox that outlived its namespace's init for a moment
            message = {
                "exited": number,
                "status": os.waitstatus_to_exitcode(status),
                "cpu_s": usage.ru_utime + usage.ru_stime,
                "max_rss_kb": usage.ru_maxrss,
            }
            self._send(message, [])

    def run(self) -> None:
        """Serve until the host is gone."""
        wake, ring = socket.socketpair()
        wake.setblocking(False)
        ring.setblocking(False)
        signal.set_wakeup_fd(ring.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wake, select.POLLIN)
        self._send({"ready": os.getpid(), "python": sys.version.split()[0]}, [])
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == wake.fileno():
                    wake.recv(4096)
                    self.reap()
                    continue
                message, descriptors, _, _ = socket.recv_fds(
                    self._control, MESSAGE_CAP, _MAX_DESCRIPTORS
                )
                if not message:
                    os._exit(0)
                self.start(json.loads(message), list(descriptors))


def main(mode: child.Mode, unseen: dict[str, list[str]]) -> None:
    """Entry point after the exec; the socket is descriptor 3."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    syscalls.die_with_parent()
    control = socket.socket(fileno=3)
    os.set_inheritable(3, False)
    for name in _PREIMPORTED:
        importlib.import_module(name)
    sys.path[:] = [path for path in sys.path if path.startswith(sys.base_prefix)]
    sys.argv = ["function"]
    zygote = Zygote(control, mode, unseen)
    gc.collect()
    gc.disable()
    gc.freeze()
    zygote.run()
