"""The sandbox's file tree: a read-only root of exactly what an interpreter needs."""

import os
from dataclasses import dataclass

from functions.sandbox import syscalls

STORE = "/.store"  # every package of this node; seen by the zygote only
PROC = "/.proc"  # for writing id maps; seen by the zygote only
GUEST = "/.guest"  # holds this package alone; seen by the zygote only
_GUEST_PACKAGE = f"{GUEST}/functions/sandbox"
ZYGOTE_ONLY = (PROC, _GUEST_PACKAGE)  # and STORE, until a package is chosen
NODE = "/.node/bin/node"
NODE_WORKER = "/.node/worker"  # the JavaScript side of a sandbox
CODE = "/fn"  # the function's package, in a sandbox
TMP = "/tmp"  # noqa: S108 - the sandbox's own, a tmpfs of its own

# Not zero: a shared mapping of it is memory that only a cgroup sees.
_DEVICES = ("null", "full", "random", "urandom")
_FILES = {
    "/etc/passwd": "function:x:1000:1000::/tmp:/nonexistent\n",
    "/etc/group": "function:x:1000:\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "/etc/nsswitch.conf": "hosts: files\n",
}


@dataclass(frozen=True, kw_only=True)
class RootPlan:
    """What the zygote's root is made of; all paths absolute."""

    stage: str  # an empty directory to build on
    store: str  # directory of unpacked packages
    sandbox_source: str  # the directory of this package
    read_only: tuple[str, ...]  # files and directories shown at their own paths
    hidden: tuple[str, ...]  # directories beneath those which must look empty
    links: tuple[tuple[str, str], ...]  # (path, target), such as /lib64 -> usr/lib64
    placed: tuple[tuple[str, str], ...] = ()  # (source, path): shown read-only elsewhere


def bind_read_only(source: str, target: str) -> None:
    """Show a file or directory elsewhere, not writable there."""
    syscalls.mount(source, target, None, syscalls.MS_BIND | syscalls.MS_REC)
    syscalls.make_read_only(target)


def _make_place(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, mode=0o755, exist_ok=True)
        return
    os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
    with open(target, "x"):
        pass


def _show(stage: str, source: str, place: str) -> None:
    target = stage + place
    _make_place(source, target)
    bind_read_only(source, target)


def _make_devices(stage: str) -> None:
    os.mkdir(f"{stage}/dev", 0o755)
    for name in _DEVICES:
        target = f"{stage}/dev/{name}"
        _make_place(f"/dev/{name}", target)
        syscalls.mount(f"/dev/{name}", target, None, syscalls.MS_BIND)
        syscalls.make_read_only(target, devices=True)


def build_root(plan: RootPlan) -> None:
    """Make the root described by the plan and enter it; needs an own mount namespace."""
    stage = plan.stage
    os.umask(0o022)
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("root", stage, "tmpfs", flags, "size=1m,nr_inodes=1024,mode=755")
    for path in plan.read_only:
        _show(stage, path, path)
    for source, path in plan.placed:
        _show(stage, source, path)
    for path in plan.hidden:
        syscalls.mount("empty", stage + path, "tmpfs", flags | syscalls.MS_RDONLY, "size=4k")
    for path, target in plan.links:
        os.makedirs(stage + os.path.dirname(path), mode=0o755, exist_ok=True)
        os.symlink(target, stage + path)
    _make_devices(stage)
    for path, content in _FILES.items():
        os.makedirs(stage + os.path.dirname(path), mode=0o755, exist_ok=True)
        with open(stage + path, "w") as file:
            file.write(content)
    _show(stage, plan.store, STORE)
    _show(stage, plan.sandbox_source, _GUEST_PACKAGE)
    os.mkdir(stage + PROC)
    syscalls.mount("/proc", stage + PROC, None, syscalls.MS_BIND | syscalls.MS_REC)
    for path in (CODE, TMP, "/.old"):
        os.mkdir(stage + path, 0o755)
    syscalls.pivot_root(stage, stage + "/.old")
    os.chdir("/")
    syscalls.detach("/.old")
    os.rmdir("/.old")
    syscalls.make_read_only("/", recursive=False)


def mount_tmp(size_mb: int, inodes: int) -> None:
    """Give this sandbox its own /tmp, limited in bytes and files; nothing there can be executed."""
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    options = f"size={size_mb}m,nr_inodes={inodes},mode=1777"
    syscalls.mount("tmp", TMP, "tmpfs", flags, options)
