"""Builds the zygote's namespaces and root, then becomes the zygote by exec inside them.

Started by the host with one socket; the first message on it is the configuration. The exec leaves
it behind: paths of the host never come into the memory that sandboxes are forked from. Failures
are answered on the same socket, naming the layer.
"""

import json
import os
import socket
import sys
from typing import Any, NoReturn

from functions.sandbox import mounts, privileges, syscalls

MESSAGE_CAP = 65_536
_ZYGOTE_SOCKET = 3
_BOOT = (
    "import sys; sys.path[:0] = [{path!r}]; from functions.sandbox import zygote;"
    " zygote.main({mode!r}, {unseen!r})"
)


def _layer(layer: str, error: OSError, control: socket.socket) -> NoReturn:
    control.send(json.dumps({"failed": layer, "error": str(error)}).encode())
    os._exit(70)


def _enter_namespaces(mode: str) -> None:
    flags = (
        syscalls.CLONE_NEWNS
        | syscalls.CLONE_NEWNET
        | syscalls.CLONE_NEWIPC
        | syscalls.CLONE_NEWUTS
        | syscalls.CLONE_NEWPID
    )
    if mode == "root":
        syscalls.unshare(flags)
        return
    uid, gid = os.getuid(), os.getgid()
    syscalls.unshare(flags | syscalls.CLONE_NEWUSER)
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    privileges.write_id_maps(proc, inside=0, outside_uid=uid, outside_gid=gid)
    os.close(proc)


def _plan(config: dict[str, Any]) -> mounts.RootPlan:
    root = config["root"]
    return mounts.RootPlan(
        stage=root["stage"],
        store=root["store"],
        sandbox_source=root["sandbox_source"],
        read_only=tuple(root["read_only"]),
        hidden=tuple(root["hidden"]),
        links=tuple((path, target) for path, target in root["links"]),
        placed=tuple((source, path) for source, path in root["placed"]),
    )


def _become_zygote(control: socket.socket, config: dict[str, Any]) -> NoReturn:
    control.set_inheritable(False)  # the original stays, to tell of a failed exec
    os.dup2(control.fileno(), _ZYGOTE_SOCKET, inheritable=True)
    python, mode = config["python"], config["mode"]
    boot = _BOOT.format(path=mounts.GUEST, mode=mode, unseen=config["unseen"])
    argv = [python, "-I", "-S", "-B", "-X", "utf8", "-c", boot]
    os.execve(python, argv, {"PATH": "/usr/bin", "LANG": "C.UTF-8", "HOME": mounts.TMP})  # noqa: S606


def main() -> None:
    """Entry point of the process that the host starts; argument: the socket's descriptor."""
    control = socket.socket(fileno=int(sys.argv[1]))
    config = json.loads(control.recv(MESSAGE_CAP))
    try:
        syscalls.die_with_parent()
        _enter_namespaces(config["mode"])
    except OSError as error:
        _layer("namespaces", error, control)
    zygote = os.fork()
    if zygote:
        # The zygote is pid 1 of its namespace; this process only ties its life to the host's.
        control.close()
        _, status = os.waitpid(zygote, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    try:
        syscalls.die_with_parent()
        syscalls.sethostname("functions")
        mounts.build_root(_plan(config))
    except OSError as error:
        _layer("root", error, control)
    try:
        _become_zygote(control, config)
    except OSError as error:
        _layer("interpreter", error, control)
