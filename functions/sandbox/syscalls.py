"""The Linux calls that Python does not wrap, through ctypes; each raises OSError when refused."""

import ctypes
import os
import platform
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4

_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV, _MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 40  # CAP_CHECKPOINT_RESTORE; later ones answer EINVAL and are tried anyway

_NUMBERS = {
    "x86_64": {"pivot_root": 155, "seccomp": 317},
    "aarch64": {"pivot_root": 41, "seccomp": 277},
}
# Since Linux 5.0 new calls have one number on all architectures.
_MOUNT_SETATTR = 442
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
]


def architecture() -> str:
    """The machine's name as the kernel gives it: `x86_64`, `aarch64`, …"""
    return platform.machine()


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _syscall(name: str, number: int, *arguments: int | bytes) -> int:
    converted = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    return _check(int(_libc.syscall(ctypes.c_long(number), *converted)), name)


def _number(name: str) -> int:
    try:
        return _NUMBERS[architecture()][name]
    except KeyError:
        raise OSError(f"the sandbox does not know the architecture {architecture()}") from None


def unshare(flags: int) -> None:
    """Leave the namespaces named by CLONE_NEW* flags."""
    _check(_libc.unshare(ctypes.c_int(flags)), f"unshare({flags:#x})")


def setns(fd: int, flags: int) -> None:
    """Enter namespaces of the process behind a pidfd."""
    _check(_libc.setns(fd, ctypes.c_int(flags)), f"setns({flags:#x})")


def mount(
    source: str | None, target: str, fstype: str | None, flags: int, options: str | None = None
) -> None:
    """mount(2)."""
    _check(
        _libc.mount(
            source.encode() if source else None,
            target.encode(),
            fstype.encode() if fstype else None,
            flags,
            options.encode() if options else None,
        ),
        f"mount {fstype or source} on {target}",
    )


def detach(target: str) -> None:
    """Take a mount out of this mount namespace at once, whoever still uses it."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def make_read_only(target: str, *, devices: bool = False, recursive: bool = True) -> None:
    """Make a mount (and what is mounted below it) read-only and nosuid, nodev unless `devices`."""
    attributes = _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID
    attributes |= _MOUNT_ATTR_NOEXEC if devices else _MOUNT_ATTR_NODEV
    packed = ctypes.create_string_buffer(struct.pack("QQQQ", attributes, 0, 0, 0), 32)
    flags = _AT_RECURSIVE if recursive else 0
    _syscall(
        f"mount_setattr {target}",
        _MOUNT_SETATTR,
        _AT_FDCWD,
        target.encode(),
        flags,
        ctypes.addressof(packed),
        32,
    )


def pivot_root(new_root: str, put_old: str) -> None:
    """Make `new_root` the root of this mount namespace."""
    _syscall("pivot_root", _number("pivot_root"), new_root.encode(), put_old.encode())


def sethostname(name: str) -> None:
    """Name this UTS namespace."""
    _check(_libc.sethostname(name.encode(), len(name)), "sethostname")


def prctl(option: int, value: int, third: int = 0) -> None:
    """prctl(2) with up to three arguments."""
    arguments = [ctypes.c_ulong(a) for a in (value, third, 0, 0)]
    _check(_libc.prctl(ctypes.c_int(option), *arguments), f"prctl({option})")


def drop_bounding_capabilities() -> None:
    """Empty the capability bounding set, so that no later exec can gain one."""
    for capability in range(64):
        if _libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            if capability <= _LAST_CAPABILITY:
                _check(-1, f"dropping capability {capability}")
            break


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def drop_capabilities() -> None:
    """Give up all effective, permitted, inheritable and ambient capabilities."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(ctypes.byref(header), (ctypes.c_uint32 * 6)()), "capset")


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that forked it ends."""
    prctl(PR_SET_PDEATHSIG, 9)


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def install_seccomp_filter(program: bytes) -> None:
    """Put this thread under a seccomp filter for ever; needs no_new_privs or CAP_SYS_ADMIN."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = _FilterProgram(len(program) // 8, ctypes.addressof(buffer))
    _syscall("seccomp", _number("seccomp"), 1, 0, ctypes.addressof(header))


def landlock_abi() -> int:
    """The kernel's Landlock ABI version, 0 when Landlock is absent or switched off."""
    try:
        return _syscall("landlock", _LANDLOCK_CREATE_RULESET, 0, 0, 1)
    except OSError:
        return 0  # ENOSYS or EOPNOTSUPP: both mean that it is not there


def landlock_create_ruleset(attributes: bytes) -> int:
    """Return a new ruleset's descriptor."""
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    address = ctypes.addressof(buffer)
    return _syscall("landlock", _LANDLOCK_CREATE_RULESET, address, len(attributes), 0)


def landlock_allow_beneath(ruleset: int, directory: int, access: int) -> None:
    """Allow `access` on everything beneath an opened directory or file."""
    buffer = ctypes.create_string_buffer(struct.pack("=Qi", access, directory), 12)
    _syscall("landlock", _LANDLOCK_ADD_RULE, ruleset, 1, ctypes.addressof(buffer), 0)


def landlock_restrict_self(ruleset: int) -> None:
    """Put this thread under the ruleset for ever."""
    _syscall("landlock", _LANDLOCK_RESTRICT_SELF, ruleset, 0)
