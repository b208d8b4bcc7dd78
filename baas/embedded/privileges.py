"""Leave root behind: Postgres refuses to run as root, and a proxy has no business being root.

As an ordinary user nothing happens. As root a child enters a user namespace in which it is an
ordinary user without any capability; towards the file system it still owns what root owns, so no
file changes hands. Where user namespaces are missing (many containers), it becomes a real ordinary
user that keeps just the right to pass file permissions, so that it reaches its files anyway.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

_libc = ctypes.CDLL(None, use_errno=True)

_CLONE_NEWUSER = 0x10000000
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522

_INSIDE_ID = 1000  # who the child believes to be in its namespace
_NOBODY = 65534


@dataclass(frozen=True, kw_only=True)
class Demotion:
    """How a child of root becomes an ordinary process."""

    apply: Callable[[], None] | None  # runs in the child between fork and exec
    uid: int  # who must own the child's data directory


@cache
def demotion() -> Demotion:
    """The way that works on this machine; found once by trying."""
    if os.geteuid() != 0:
        return Demotion(apply=None, uid=os.geteuid())
    if _works(_enter_user_namespace):
        return Demotion(apply=_enter_user_namespace, uid=0)
    return Demotion(apply=_become_nobody, uid=_NOBODY)


def _works(step: Callable[[], None]) -> bool:
    pid = os.fork()
    if pid == 0:
        try:
            step()
            # Root in somebody else's checkout: without its powers it may not even read it.
            os.stat(sys.executable)
            os.close(os.open(__file__, os.O_RDONLY))
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _enter_user_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    _check(_libc.unshare(_CLONE_NEWUSER))
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{_INSIDE_ID} {uid} 1"),
        ("gid_map", f"{_INSIDE_ID} {gid} 1"),
    ):
        fd = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _become_nobody() -> None:
    _check(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    mask = 1 << _CAP_DAC_OVERRIDE
    header = _CapHeader(version=_CAPABILITY_VERSION_3, pid=0)
    data = (_CapData * 2)(_CapData(effective=mask, permitted=mask, inheritable=mask))
    with contextlib.suppress(OSError):  # a container that never had it: then by ordinary rights
        _check(_libc.capset(ctypes.byref(header), data))
        # Ambient: an exec of an ordinary program keeps it.
        _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0))


def adopt(directory: os.PathLike[str], uid: int) -> None:
    """Give the tree to `uid` when root made it for another way of demotion; else do nothing."""
    if os.geteuid() != 0 or os.lstat(directory).st_uid == uid:
        return
    # The top last: an interrupted change of hands is taken up again.
    for parent, names, files in os.walk(directory, topdown=False):
        for name in (*files, *names):
            os.lchown(os.path.join(parent, name), uid, -1)
    os.lchown(directory, uid, -1)
