"""Becoming nobody: the ways in which a sandbox gives up its identity and its powers."""

import os

from functions.sandbox import mounts, syscalls

INSIDE_ID = 1000  # the uid and gid that a function sees in user-namespace mode


def write_id_maps(proc: int, *, inside: int, outside_uid: int, outside_gid: int) -> None:
    """Map one uid and gid of this process's new user namespace; `proc` is an open procfs."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inside} {outside_uid} 1"),
        ("gid_map", f"{inside} {outside_gid} 1"),
    ):
        file = os.open(f"self/{name}", os.O_WRONLY, dir_fd=proc)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)


def become_user(uid: int) -> None:
    """From root to an unprivileged uid that no other sandbox has, with no capability left."""
    syscalls.drop_bounding_capabilities()
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    syscalls.drop_capabilities()


def become_nested_user(proc: int) -> None:
    """From the zygote's user namespace into one of this sandbox's own, with no capability in it."""
    uid, gid = os.getuid(), os.getgid()
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    write_id_maps(proc, inside=INSIDE_ID, outside_uid=uid, outside_gid=gid)
    syscalls.drop_bounding_capabilities()
    syscalls.drop_capabilities()


def open_proc() -> int:
    """Open the zygote's procfs, to be used after it has been taken out of the tree."""
    return os.open(mounts.PROC, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
