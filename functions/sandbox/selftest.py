"""The function with which the host tests a node before it runs anybody's code.

Every attempt must be refused; the names of those that were not are the result.
"""

import ctypes
import os
import socket
from collections.abc import Callable
from typing import Any


def _read_passwords() -> None:
    with open("/etc/shadow") as file:
        file.read()


def _see_processes() -> None:
    os.listdir("/proc/1")


def _write_code() -> None:
    with open("/fn/new", "w") as file:
        file.write("x")


def _write_root() -> None:
    os.mkdir("/new")


def _reach_loopback() -> None:
    socket.create_connection(("127.0.0.1", 80), timeout=0.2).close()


def _listen_on_tcp() -> None:
    # Nobody could reach it, but only Landlock refuses it: that is how its absence is noticed.
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 8080))  # noqa: S104 - an attempt that must fail


def _become_root() -> None:
    os.setuid(0)


def _make_user_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000) < 0:
        raise OSError(ctypes.get_errno(), "unshare")


def _mount() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"x", b"/tmp", b"tmpfs", 0, None) < 0:
        raise OSError(ctypes.get_errno(), "mount")


def _send_netlink() -> None:
    socket.socket(16, socket.SOCK_RAW).close()


def _see_neighbours() -> None:
    os.kill(2, 0)


def _signal_everyone() -> None:
    os.kill(-1, 0)


_LANDLOCK_ABI_WITH_TCP = 4
_ATTEMPTS: tuple[Callable[[], None], ...] = (
    _read_passwords,
    _see_processes,
    _write_code,
    _write_root,
    _reach_loopback,
    _become_root,
    _make_user_namespace,
    _mount,
    _send_netlink,
    _see_neighbours,
    _signal_everyone,
)


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Try what must not work."""
    succeeded = []
    attempts = _ATTEMPTS
    if event["landlock_abi"] >= _LANDLOCK_ABI_WITH_TCP:
        attempts = (*attempts, _listen_on_tcp)
    for attempt in attempts:
        try:
            attempt()
        except OSError:
            continue
        succeeded.append(attempt.__name__.removeprefix("_"))
    return {"succeeded": succeeded, "pid": os.getpid()}
