"""Resource limits that every sandbox has, whether or not there are cgroups."""

import resource
from dataclasses import dataclass

# The interpreter that a sandbox is forked from has this much writable memory already.
INTERPRETER_MB = 32
# An idle Node: resident pages, most of them of its program; and what each of its threads that run
# JavaScript may write to, most of which is the place that V8 keeps for machine code (512 MiB).
NODE_MB = 80
NODE_WRITABLE_MB = 640
NODE_THREADS = 8
OPEN_FILES = 64
PENDING_SIGNALS = 256


@dataclass(frozen=True, kw_only=True)
class Limits:
    """One sandbox's ceilings."""

    memory_mb: int
    processes: int = 64
    tmp_mb: int = 64
    tmp_inodes: int = 4096


def _set(kind: int, value: int) -> None:
    resource.setrlimit(kind, (value, value))


def apply_rlimits(limits: Limits) -> None:
    """Put this process and all it starts under the limits, but for the number of processes."""
    # RLIMIT_AS would break threads (each reserves 64 MiB of address space); DATA counts what can
    # be written. It makes Python raise MemoryError before the kernel has to kill.
    _set(resource.RLIMIT_DATA, (limits.memory_mb + INTERPRETER_MB) << 20)
    _set(resource.RLIMIT_NOFILE, OPEN_FILES)
    _set(resource.RLIMIT_FSIZE, limits.tmp_mb << 20)
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_MEMLOCK, 0)
    _set(resource.RLIMIT_MSGQUEUE, 0)
    _set(resource.RLIMIT_SIGPENDING, PENDING_SIGNALS)
    _set(resource.RLIMIT_NICE, 0)
    _set(resource.RLIMIT_RTPRIO, 0)


def apply_process_limit(limits: Limits) -> None:
    """Limit processes and threads of this uid.

    Only after the last `unshare(CLONE_NEWUSER)`: set earlier it would count in the outer user
    namespace, and all functions would share one ceiling.
    """
    _set(resource.RLIMIT_NPROC, limits.processes)
