"""The system call policy: an allow-list of our own, and the BPF program made from it.

Read POLICY as the policy: what is not named is refused. A refused call answers EPERM (or the errno
given here, where programs look at it before they fall back), a call newer than this list ENOSYS,
a call through a foreign architecture kills the process.
"""

import errno
import struct
from dataclasses import dataclass

from functions.sandbox import numbers
from functions.sandbox.syscalls import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
)


@dataclass(frozen=True, kw_only=True)
class OneOf:
    """The argument, masked, must be one of these values (low 32 bits)."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF


@dataclass(frozen=True, kw_only=True)
class NoneOf:
    """The argument may have none of these bits."""

    argument: int
    bits: int


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A call that is allowed when every check holds, and answers `errno` otherwise."""

    checks: tuple[OneOf | NoneOf, ...]
    errno: int = errno.EPERM


# Ordinary computing. Not here, on purpose: mount and namespace calls, keyrings, ptrace and
# process_vm_*, bpf, perf, io_uring, userfaultfd, modules, clocks, raw I/O, mlock and scheduling,
# System V IPC and message queues (kernel memory that outlives its maker), memfd and vmsplice
# (memory that rlimits do not see), inotify and POSIX timers (counted per uid), chown and setuid,
# mknod, file handles, mincore (a side channel on pages shared with other projects).
ALLOWED = frozenset(
    """
    accept accept4 access alarm arch_prctl bind brk chdir chmod clock_getres clock_gettime
    clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3 epoll_create
    epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve exit
    exit_group faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fdatasync fgetxattr
    flistxattr fork fstat fstatfs fsync ftruncate futex futex_waitv getcpu getcwd getdents
    getdents64 getegid geteuid getgid getgroups getitimer getpeername getpgid getpgrp getpid
    getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname
    getsockopt gettid gettimeofday getuid getxattr kill lgetxattr link linkat listen listxattr
    llistxattr lseek lstat membarrier mkdir mkdirat mmap mprotect mremap msync munmap nanosleep
    newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 poll ppoll pread64
    preadv preadv2 prlimit64 pselect6 pwrite64 pwritev pwritev2 read readahead readlink readlinkat
    readv recvfrom recvmmsg recvmsg rename renameat renameat2 restart_syscall rmdir rseq
    rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getparam
    sched_getscheduler sched_yield select sendfile sendmmsg sendmsg sendto set_robust_list
    set_tid_address setitimer setpgid setsid shutdown sigaltstack signalfd4 stat statfs
    statx symlink symlinkat sysinfo tgkill time timerfd_create timerfd_gettime timerfd_settime
    times tkill truncate umask uname unlink unlinkat utime utimensat utimes vfork wait4 waitid
    write writev
    """.split()  # noqa: SIM905 - a policy is read as text
)

_NEW_NAMESPACES = (
    CLONE_NEWNS
    | CLONE_NEWCGROUP
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWPID
    | CLONE_NEWNET
)
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_SOCK_STREAM, _SOCK_DGRAM = 1, 2
_IPPROTO_DEFAULT, _IPPROTO_TCP, _IPPROTO_UDP = 0, 6, 17
# TCGETS (isatty), TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX; above all not TIOCSTI.
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GETPIPE_SZ. No locks and leases:
# files of the runtime are shared between projects, and a lock on one is seen by all.
_FCNTLS = (0, 1, 2, 3, 4, 1030, 1032)
# PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP, PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS,
# PR_SET_VMA (glibc names its anonymous memory).
_PRCTLS = (3, 15, 16, 21, 23, 39, 0x53564D41)
# All but SO_ATTACH_FILTER and SO_ATTACH_REUSEPORT_CBPF, which put programs into the kernel.
_SOCKET_OPTIONS = tuple(option for option in range(84) if option not in (26, 51))
# Up to MADV_COLLAPSE; the memory-poisoning advice starts at 100.
_MADVICE = tuple(range(26))

CHECKED: dict[str, Checked] = {
    "clone": Checked(checks=(NoneOf(argument=0, bits=_NEW_NAMESPACES),)),
    # The protocol matters: MPTCP and ICMP come in through ordinary families and types.
    "socket": Checked(
        checks=(
            OneOf(argument=0, values=(_AF_UNIX, _AF_INET, _AF_INET6)),
            OneOf(argument=1, values=(_SOCK_STREAM, _SOCK_DGRAM), mask=0xF),
            OneOf(argument=2, values=(_IPPROTO_DEFAULT, _IPPROTO_TCP, _IPPROTO_UDP)),
        ),
        errno=errno.EAFNOSUPPORT,
    ),
    "socketpair": Checked(
        checks=(OneOf(argument=0, values=(_AF_UNIX,)),), errno=errno.EAFNOSUPPORT
    ),
    "ioctl": Checked(checks=(OneOf(argument=1, values=_IOCTLS),), errno=errno.ENOTTY),
    "fcntl": Checked(checks=(OneOf(argument=1, values=_FCNTLS),), errno=errno.ENOLCK),
    "prctl": Checked(checks=(OneOf(argument=0, values=_PRCTLS),)),
    "madvise": Checked(checks=(OneOf(argument=2, values=_MADVICE),)),
    "setsockopt": Checked(checks=(OneOf(argument=2, values=_SOCKET_OPTIONS),)),
}

# MAP_SHARED, MAP_PRIVATE and MAP_SHARED_VALIDATE of a file, MAP_PRIVATE | MAP_ANONYMOUS.
_MAPPINGS = (0x01, 0x02, 0x03, 0x22)
_MAPPING_KIND = 0x2F
# Where no cgroup counts memory: pages of a shared anonymous mapping stay when whoever touched them
# has dropped or left them, and neither a limit nor a look at the processes finds them. Nor does it
# find what waits in sockets: their buffers stay as they are (no SO_SNDBUF and SO_RCVBUF).
_UNCOUNTED_OPTIONS = tuple(option for option in _SOCKET_OPTIONS if option not in (7, 8))
UNCOUNTED = {
    "mmap": Checked(checks=(OneOf(argument=3, values=_MAPPINGS, mask=_MAPPING_KIND),)),
    "setsockopt": Checked(checks=(OneOf(argument=2, values=_UNCOUNTED_OPTIONS),)),
}

# Its flags lie in memory that a filter cannot read; libc falls back to clone on ENOSYS.
REFUSED = {"clone3": errno.ENOSYS, "flock": errno.ENOLCK}

# The last call that existed when this list was made (uretprobe aside, numbers are shared).
_LAST_KNOWN_CALL = 470

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_GREATER = 0x20, 0x15, 0x35, 0x25
_JUMP_ANY_BIT, _AND, _RETURN = 0x45, 0x54, 0x06
_VERDICT_ALLOW, _VERDICT_KILL, _VERDICT_ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_ARGUMENTS = 0, 4, 16
_X32_BIT = 0x40000000

_ARCHITECTURES = {
    "x86_64": (0xC000003E, numbers.X86_64),
    "aarch64": (0xC00000B7, numbers.AARCH64),
}

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def _errno(code: int) -> Instruction:
    return (_RETURN, 0, 0, _VERDICT_ERRNO | code)


_ALLOW: Instruction = (_RETURN, 0, 0, _VERDICT_ALLOW)
_KILL: Instruction = (_RETURN, 0, 0, _VERDICT_KILL)


def _check(check: OneOf | NoneOf, refusal: Instruction) -> list[Instruction]:
    """Fall through when the check holds, return the refusal otherwise."""
    code: list[Instruction] = [(_LOAD, 0, 0, _OFFSET_ARGUMENTS + 8 * check.argument)]
    if isinstance(check, NoneOf):
        return [*code, (_JUMP_ANY_BIT, 0, 1, check.bits), refusal]
    if check.mask != 0xFFFFFFFF:
        code.append((_AND, 0, 0, check.mask))
    last = len(check.values)
    code += [(_JUMP_EQUAL, last - i, 0, value) for i, value in enumerate(check.values)]
    return [*code, refusal]


def _checked(number: int, rule: Checked) -> list[Instruction]:
    body: list[Instruction] = []
    for check in rule.checks:
        body += _check(check, _errno(rule.errno))
    body.append(_ALLOW)
    return [(_JUMP_EQUAL, 0, len(body), number), *body]


def _ranges(allowed: list[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for number in sorted(allowed):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def _allowed(first: int, last: int) -> list[Instruction]:
    if first == last:
        return [(_JUMP_EQUAL, 0, 1, first), _ALLOW]
    return [(_JUMP_AT_LEAST, 0, 2, first), (_JUMP_GREATER, 1, 0, last), _ALLOW]


def assemble(architecture: str, *, memory_is_counted: bool = True) -> list[Instruction]:
    """The policy as BPF instructions for `x86_64` or `aarch64`; OSError for any other machine.

    `memory_is_counted`: by a cgroup, which knows of pages that no process maps.
    """
    if architecture not in _ARCHITECTURES:
        raise OSError(f"no system call policy for the architecture {architecture}")
    audit_code, table = _ARCHITECTURES[architecture]
    code: list[Instruction] = [
        (_LOAD, 0, 0, _OFFSET_ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, audit_code),
        _KILL,
        (_LOAD, 0, 0, _OFFSET_NUMBER),
        (_JUMP_AT_LEAST, 0, 1, _X32_BIT),  # the x32 ABI has other meanings for these numbers
        _KILL,
    ]
    allowed = ALLOWED if memory_is_counted else ALLOWED - UNCOUNTED.keys()
    checked = CHECKED if memory_is_counted else CHECKED | UNCOUNTED
    for first, last in _ranges([table[name] for name in allowed if name in table]):
        code += _allowed(first, last)
    for name, rule in checked.items():
        code += _checked(table[name], rule)
    for name, refusal in REFUSED.items():
        code += [(_JUMP_EQUAL, 0, 1, table[name]), _errno(refusal)]
    return [*code, (_JUMP_GREATER, 0, 1, _LAST_KNOWN_CALL), _errno(errno.ENOSYS), _errno(1)]


def program(architecture: str, *, memory_is_counted: bool = True) -> bytes:
    """The policy as the kernel takes it."""
    code = assemble(architecture, memory_is_counted=memory_is_counted)
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)
