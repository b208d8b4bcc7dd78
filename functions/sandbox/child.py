"""From a forked zygote to a sandbox. PREPARATION, then CONFINEMENT: the isolation policy.

Every line of it has a test in tests/security that attacks it, and one that leaves it out. Nothing
of the user's code has been read when the last step is done.
"""

import gc
import os
import resource
import signal
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from functions.sandbox import frames, landlock, mounts, privileges, syscalls, worker
from functions.sandbox.limits import Limits, apply_process_limit, apply_rlimits

CONTROL, API, LOG = 3, 4, 5  # the sandbox's descriptors, after stdin, stdout and stderr
CHANNELS = 5  # descriptors passed before those of cgroups: control, api, log, stdout, stderr

Mode = Literal["root", "user"]


@dataclass(kw_only=True)
class Birth:
    """What one sandbox is made from."""

    mode: Mode
    uid: int  # root mode: this sandbox's own; user mode: unused
    program: bytes  # the seccomp filter
    descriptors: list[int]  # control, api, log, stdout, stderr, then cgroup.procs files
    proc: int = -1  # procfs, for the id maps of user mode
    unseen: tuple[str, ...] = ()  # mounts that only the other runtimes need
    heap_mb: int = 0  # Node: the ceiling of its heap, fixed when it starts
    # Known when a function is assigned:
    code: str = ""  # the package's path beneath the store
    limits: Limits = field(default_factory=lambda: Limits(memory_mb=0))


def forget_zygote(birth: Birth) -> None:
    """No signal handler and no death signal of the zygote is inherited in a useful form."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    syscalls.die_with_parent()
    os.setsid()


def join_cgroups(birth: Birth) -> None:
    """Enter this sandbox's cgroups through files that the host opened (0 means myself)."""
    for file in birth.descriptors[CHANNELS:]:
        os.write(file, b"0")


def leave_namespaces(birth: Birth) -> None:
    """Own mounts, network (with no interface up), IPC, host name and cgroup view; the pid
    namespace began with the fork."""
    syscalls.unshare(
        syscalls.CLONE_NEWNS
        | syscalls.CLONE_NEWNET
        | syscalls.CLONE_NEWIPC
        | syscalls.CLONE_NEWUTS
        | syscalls.CLONE_NEWCGROUP
    )
    syscalls.sethostname("function")


def mount_tmp(birth: Birth) -> None:
    """A private /tmp, limited in bytes and files."""
    mounts.mount_tmp(birth.limits.tmp_mb, birth.limits.tmp_inodes)


def hide_what_the_zygote_sees(birth: Birth) -> None:
    """No procfs, no source of ours, no other runtime."""
    birth.proc = privileges.open_proc()
    for path in (*mounts.ZYGOTE_ONLY, *birth.unseen):
        syscalls.detach(path)


def rewire_descriptors(birth: Birth) -> None:
    """stdin is /dev/null, then the five channels and procfs; everything else is closed."""
    control, api, log, out, err = (os.dup(fd) for fd in birth.descriptors[:CHANNELS])
    null = os.open("/dev/null", os.O_RDONLY)
    proc = birth.proc
    # Duplicates lie above all low numbers, so no target below is also a source still needed.
    sources = [os.dup(fd) for fd in (null, out, err, control, api, log, proc)]
    if min(sources) <= len(sources):
        raise OSError("descriptors overlap")
    for target, source in enumerate(sources):
        os.dup2(source, target, inheritable=False)
    birth.proc = len(sources) - 1
    os.closerange(len(sources), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    for standard in (0, 1, 2):
        os.set_inheritable(standard, True)


def mount_code(birth: Birth) -> None:
    """The function's package, read-only, at /fn; no other package can be reached any more."""
    mounts.bind_read_only(f"{mounts.STORE}/{birth.code}", mounts.CODE)
    syscalls.detach(mounts.STORE)


def limit_resources(birth: Birth) -> None:
    """Memory, files, signals, priorities."""
    apply_rlimits(birth.limits)


def become_nobody(birth: Birth) -> None:
    """An own uid, or an own user namespace; no capability either way."""
    if birth.mode == "root":
        privileges.become_user(birth.uid)
    else:
        privileges.become_nested_user(birth.proc)
    os.close(birth.proc)
    apply_process_limit(birth.limits)


def arm_death_signal(birth: Birth) -> None:
    """Again: the kernel forgets it when the uid changes."""
    syscalls.die_with_parent()


def forbid_new_privileges(birth: Birth) -> None:
    """setuid bits and file capabilities mean nothing from here on."""
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)


def lock_files(birth: Birth) -> None:
    """Landlock: write beneath /tmp only, no TCP, no signal or abstract socket to the outside."""
    landlock.restrict(readable="/", writable=mounts.TMP)


def filter_system_calls(birth: Birth) -> None:
    """The last step: the allow-list of seccomp.py."""
    os.chdir(mounts.TMP)
    syscalls.install_seccomp_filter(birth.program)


# Done ahead, for any function: the costly part.
PREPARATION = (
    forget_zygote,
    join_cgroups,
    leave_namespaces,
    mount_tmp,
    hide_what_the_zygote_sees,
    rewire_descriptors,
)
# Done when a function is assigned.
CONFINEMENT = (
    mount_code,
    limit_resources,
    become_nobody,
    arm_death_signal,
    forbid_new_privileges,
    lock_files,
    filter_system_calls,
)


def take(steps: tuple[Callable[[Birth], None], ...], birth: Birth, control_fd: int) -> None:
    """Do the steps; the first that fails is told to the host and ends this process."""
    for step in steps:
        try:
            step(birth)
        except Exception as error:  # noqa: BLE001 - whatever it is, this child must not go on
            report = {"type": "setup_failed", "step": step.__name__, "error": str(error)}
            os.write(control_fd, frames.encode(report))
            os._exit(70)


def live(birth: Birth) -> NoReturn:
    """Become a sandbox and serve calls until the host closes the channel. Never returns."""
    try:
        # The report of a step goes to the socket itself until it has moved to its final place.
        take(PREPARATION[:-1], birth, birth.descriptors[0])
        rewire_descriptors(birth)
        control = worker.control_channel(socket.socket(socket.AF_UNIX, fileno=CONTROL))
        control.send({"type": "prepared"})
        assignment = control.receive()
        if assignment is None:
            os._exit(0)
        birth.code = assignment.header["code"]
        birth.limits = Limits(**assignment.header["limits"])
        take(CONFINEMENT, birth, CONTROL)
        gc.enable()
        worker.serve(control, socket.socket(socket.AF_UNIX, fileno=API), LOG)
    except BaseException:  # noqa: BLE001 - into the function's log; nobody else would see it
        os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
        os._exit(71)
    os._exit(0)  # a return would continue as a second zygote
