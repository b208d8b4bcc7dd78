"""Landlock, on top of mounts and seccomp where the kernel has it: a second lock on files."""

import os
import struct

from functions.sandbox import syscalls

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_ALL_OF_ABI_1 = (1 << 13) - 1
_NET_BIND_TCP, _NET_CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2

READ = _EXECUTE | _READ_FILE | _READ_DIR


def _handled_files(abi: int) -> int:
    access = _ALL_OF_ABI_1
    access |= _REFER if abi >= 2 else 0
    access |= _TRUNCATE if abi >= 3 else 0
    return access | (_IOCTL_DEV if abi >= 5 else 0)


def _attributes(abi: int) -> bytes:
    """What is forbidden unless a rule allows it: all file access, all TCP, outside signals."""
    packed = struct.pack("Q", _handled_files(abi))
    if abi >= 4:
        packed += struct.pack("Q", _NET_BIND_TCP | _NET_CONNECT_TCP)
    if abi >= 6:
        packed += struct.pack("Q", _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS)
    return packed


def restrict(*, readable: str, writable: str) -> None:
    """Allow reading beneath `readable` and writing beneath `writable`, and nothing else.

    Does nothing on a kernel without Landlock (`syscalls.landlock_abi()` says so to the probe).
    """
    abi = syscalls.landlock_abi()
    if abi == 0:
        return
    ruleset = syscalls.landlock_create_ruleset(_attributes(abi))
    writing = _handled_files(abi) & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)
    device = _READ_FILE | _WRITE_FILE | (_TRUNCATE if abi >= 3 else 0)
    for path, access in ((readable, READ), (writable, writing), ("/dev/null", device)):
        directory = os.open(path, os.O_PATH | os.O_CLOEXEC)
        syscalls.landlock_allow_beneath(ruleset, directory, access)
        os.close(directory)
    syscalls.landlock_restrict_self(ruleset)
    os.close(ruleset)
