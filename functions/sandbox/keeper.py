"""A sandbox for Node: this process keeps it, a child of it is the confined Node.

Node cannot be forked from a zygote and takes long to start, so it is started ahead, inside a
finished sandbox that has no code yet. The keeper, pid 1 in there, is what can still mount: when a
function is assigned it shows the package at /fn, confines itself like any sandbox, hands the
function over and from then on only waits for Node's end. Node was confined before its exec.
"""

import os
import resource
import socket
import traceback
from typing import NoReturn

from functions.sandbox import child, frames, mounts, worker
from functions.sandbox.limits import NODE_THREADS, NODE_WRITABLE_MB, Limits

_KEEPER = 6  # Node's descriptor to this process, after child.LOG
# Before a function is known, none has more: a limit can be lowered only.
_LARGEST_MB = 4096 + NODE_THREADS * NODE_WRITABLE_MB
_SEMI_SPACES = 32  # the young generation's share of the heap, divided
# What Node is after the exec; a function cannot ask for less. As in child.CONFINEMENT, but for the
# code, which comes later.
CONFINEMENT = tuple(step for step in child.CONFINEMENT if step is not child.mount_code)


def _command(heap_mb: int) -> list[str]:
    return [
        mounts.NODE,
        f"--max-old-space-size={heap_mb}",
        f"--max-semi-space-size={max(1, heap_mb // _SEMI_SPACES)}",
        "--v8-pool-size=1",
        "--disable-warning=ExperimentalWarning",
        f"{mounts.NODE_WORKER}/main.js",
    ]


def _become_node(birth: child.Birth, keeper: socket.socket) -> NoReturn:
    """Confine this process, arrange its descriptors and exec Node in it."""
    try:
        birth.limits = Limits(memory_mb=_LARGEST_MB)
        channel = os.dup(keeper.fileno())
        child.take(CONFINEMENT, birth, child.CONTROL)
        os.dup2(channel, _KEEPER)
        os.closerange(_KEEPER + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        for descriptor in (child.CONTROL, child.API, child.LOG, _KEEPER):
            os.set_inheritable(descriptor, True)
        environment = {
            "HOME": mounts.TMP,
            "TMPDIR": mounts.TMP,
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "PATH": os.path.dirname(mounts.NODE),
        }
        os.execve(mounts.NODE, _command(birth.heap_mb), environment)  # noqa: S606 - no shell
    except BaseException:  # noqa: BLE001 - into the log; nobody else would see it
        os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
    os._exit(71)


def _start_node(birth: child.Birth) -> tuple[int, socket.socket]:
    """Fork the process that becomes Node and wait until it is ready for any function."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _become_node(birth, theirs)
    theirs.close()
    if ours.recv(1) != b"r":
        _, status = os.waitpid(pid, 0)
        raise OSError(f"it ended with {os.waitstatus_to_exitcode(status)}")
    return pid, ours


def _outlive(node: int) -> NoReturn:
    """Reap what ends in here; end as Node did, and everything else with it.

    Pid 1 cannot be killed by its own signal, so a signal becomes 128 + its number, as in shells.
    """
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == node:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def live(birth: child.Birth) -> NoReturn:
    """Become a sandbox with a confined Node in it, that serves calls. Never returns."""
    try:
        child.take(child.PREPARATION[:-1], birth, birth.descriptors[0])
        child.rewire_descriptors(birth)
        control = worker.control_channel(socket.socket(socket.AF_UNIX, fileno=child.CONTROL))
        try:
            node, handover = _start_node(birth)
        except OSError as error:
            control.send({"type": "setup_failed", "step": "start_node", "error": str(error)})
            os._exit(70)
        control.send({"type": "prepared"})
        assignment, init = control.receive(), control.receive()
        if assignment is None or init is None:
            os._exit(0)
        birth.code = assignment.header["code"]
        birth.limits = Limits(**assignment.header["limits"])
        child.take(child.CONFINEMENT, birth, child.CONTROL)
        # As the same user, which needs no capability to lower a limit.
        # A coarse one: what V8 sets aside hides what is used, which others watch.
        data = (birth.limits.memory_mb + NODE_THREADS * NODE_WRITABLE_MB) << 20
        resource.prlimit(node, resource.RLIMIT_DATA, (data, data))
        handover.sendall(frames.encode(init.header))
        handover.close()
        # Control and API stay open in here: the host takes their end for that of the sandbox.
        _outlive(node)
    except BaseException:  # noqa: BLE001 - as above
        os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
    os._exit(71)  # a return would continue as a second zygote
