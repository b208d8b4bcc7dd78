"""System calls: each dangerous family answers with a refusal, by raw number too."""

import platform

import pytest

from tests.security.harness import Host

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers are x86_64's")

REFUSED = {
    "mount": (165, b"x", b"/tmp", b"tmpfs", 0, 0),
    "umount2": (166, b"/tmp", 2),
    "pivot_root": (155, b"/tmp", b"/tmp"),
    "chroot": (161, b"/tmp"),
    "unshare_user": (272, 0x10000000),
    "unshare_net": (272, 0x40000000),
    "unshare_mount": (272, 0x20000),
    "setns": (308, 0, 0),
    "clone_user": (56, 0x10000000 | 17, 0, 0, 0, 0),
    "clone_net": (56, 0x40000000 | 17, 0, 0, 0, 0),
    "clone_pid": (56, 0x20000000 | 17, 0, 0, 0, 0),
    "clone3": (435, 0, 0),
    "open_tree": (428, -100, b"/", 1),
    "move_mount": (429, 0, b"", 0, b"", 0),
    "fsopen": (430, b"tmpfs", 0),
    "fsmount": (432, 0, 0, 0),
    "mount_setattr": (442, -100, b"/", 0, 0, 0),
    "ptrace": (101, 0, 0, 0, 0),
    "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
    "process_vm_writev": (311, 1, 0, 0, 0, 0, 0),
    "pidfd_getfd": (438, 0, 0, 0),
    "kcmp": (312, 1, 1, 0, 0, 0),
    "bpf": (321, 0, 0, 0),
    "perf_event_open": (298, 0, 0, 0, 0, 0),
    "userfaultfd": (323, 0),
    "io_uring_setup": (425, 8, 0),
    "io_uring_enter": (426, 0, 0, 0, 0, 0),
    "io_uring_register": (427, 0, 0, 0, 0),
    "io_setup": (206, 8, 0),
    "add_key": (248, b"user", b"x", b"x", 1, -3),
    "request_key": (249, b"user", b"x", 0, 0),
    "keyctl": (250, 0, -3, 1),
    "init_module": (175, 0, 0, b""),
    "finit_module": (313, 0, b"", 0),
    "delete_module": (176, b"x", 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "reboot": (169, 0xFEE1DEAD, 672274793, 0, 0),
    "swapon": (167, b"/tmp/x", 0),
    "settimeofday": (164, 0, 0),
    "clock_settime": (227, 0, 0),
    "clock_adjtime": (305, 0, 0),
    "adjtimex": (159, 0),
    "sethostname": (170, b"x", 1),
    "setdomainname": (171, b"x", 1),
    "open_by_handle_at": (304, 0, 0, 0),
    "name_to_handle_at": (303, -100, b"/", 0, 0, 0),
    "personality": (135, 0x0040000),
    "syslog": (103, 3, 0, 0),
    "acct": (163, b"/tmp/x"),
    "quotactl": (179, 0, 0, 0, 0),
    "fanotify_init": (300, 0, 0),
    "inotify_init": (253,),
    "timer_create": (222, 0, 0, 0),
    "iopl": (172, 3),
    "ioperm": (173, 0, 1, 1),
    "modify_ldt": (154, 0, 0, 0),
    "vhangup": (153,),
    "shmget": (29, 0, 4096, 0o1600),
    "semget": (64, 0, 1, 0o1600),
    "msgget": (68, 0, 0o1600),
    "mq_open": (240, b"x", 0o102, 0o600, 0),
    "memfd_create": (319, b"x", 0),
    "memfd_secret": (447, 0),
    "mlock": (149, 0, 4096),
    "mlockall": (151, 3),
    "sched_setscheduler": (144, 0, 1, 0),
    "sched_setaffinity": (203, 0, 0, 0),
    "sched_setattr": (314, 0, 0, 0),
    "setpriority": (141, 0, 0, -20),
    "setuid": (105, 0),
    "setgid": (106, 0),
    "setresuid": (117, 0, 0, 0),
    "setgroups": (116, 0, 0),
    "capset": (126, 0, 0),
    "setxattr": (188, b"/tmp", b"user.x", b"x", 1, 0),
    "mknod": (133, b"/tmp/n", 0o020666, 0x103),
    "execveat": (322, -100, b"/bin/sh", 0, 0, 0),
    "seccomp": (317, 1, 0, 0),
    "landlock_create": (444, 0, 0, 1),
    "landlock_restrict": (446, 0, 0),
    "vmsplice": (278, 0, 0, 0, 0),
    "move_pages": (279, 0, 0, 0, 0, 0, 0),
    "process_madvise": (440, 0, 0, 0, 0, 0),
    "mincore": (27, 0, 4096, 0),
    "rt_sigqueueinfo": (129, 1, 9, 0),
    "lookup_dcookie": (212, 0, 0, 0),
    "prctl_seccomp_off": (157, 22, 0, 0, 0, 0),
    "prctl_dumpable": (157, 4, 1, 0, 0, 0),
    "prctl_pdeathsig": (157, 1, 0, 0, 0, 0),
    "prctl_subreaper": (157, 36, 1, 0, 0, 0),
    "prctl_keepcaps": (157, 8, 1, 0, 0, 0),
    "statmount": (457, 0, 0, 0, 0),
    "listmount": (458, 0, 0, 0, 0),
    "unknown": (9999,),
}


def test_every_dangerous_call_is_refused(host: Host) -> None:
    text = f"""
    def handler(event, context):
        return {{name: syscall(*arguments) for name, arguments in {REFUSED!r}.items()}}
    """
    found = host.value(text)
    assert set(found) == set(REFUSED)
    refused = {"EPERM", "ENOSYS"}
    assert {name: answer for name, answer in found.items() if answer not in refused} == {}


@pytest.mark.parametrize(
    ("family", "kind", "protocol"),
    [
        (16, 3, 0),  # netlink
        (17, 3, 0),  # packet
        (38, 5, 0),  # AF_ALG
        (40, 1, 0),  # vsock
        (44, 3, 0),  # XDP
        (31, 3, 1),  # bluetooth
        (29, 3, 1),  # CAN
        (30, 5, 0),  # TIPC
        (2, 3, 1),  # raw ICMP
        (2, 2, 1),  # ping socket
        (2, 1, 262),  # MPTCP
        (2, 1, 132),  # SCTP
        (2, 5, 132),
        (2, 6, 33),  # DCCP
        (10, 3, 58),
        (1, 5, 0),  # unix seqpacket: not in the list
        (1, 3, 0),
        (0, 1, 0),
    ],
)
def test_exotic_sockets_are_refused(host: Host, family: int, kind: int, protocol: int) -> None:
    text = "def handler(e, c): return syscall(41, *e)"
    assert host.value(text, [family, kind, protocol], function="sockets") == "EAFNOSUPPORT"


def test_terminal_injection_is_refused(host: Host) -> None:
    text = """
    def handler(event, context):
        requests = (0x5412, 0x541C, 0x1_0000_5412)
        return [syscall(16, fd, request, b"x") for fd in (0, 1) for request in requests]
    """
    assert set(host.value(text)) == {"ENOTTY"}


def test_the_32_bit_entry_is_fatal(host: Host) -> None:
    text = """
    import ctypes, mmap
    def handler(event, context):
        code = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 7)
        code.write(bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3]))  # mov eax, 20; int 0x80; ret
        address = ctypes.addressof(ctypes.c_char.from_buffer(code))
        return ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    """
    assert host.run(text).outcome == "crashed"


def test_the_x32_entry_is_fatal(host: Host) -> None:
    text = "def handler(e, c): return syscall(0x40000000 | 39)"
    assert host.run(text).outcome == "crashed"


def test_capabilities_and_identity_are_gone(host: Host) -> None:
    text = """
    import os
    def handler(event, context):
        no_new_privs = _libc.prctl(39, 0, 0, 0, 0)
        seccomp = _libc.prctl(21, 0, 0, 0, 0)
        bounding = [c for c in range(41) if _libc.prctl(23, c, 0, 0, 0) == 1]
        groups = [g for g in os.getgroups() if g != os.getgid()]
        return [os.getresuid(), groups, no_new_privs, seccomp, bounding]
    """
    uids, groups, no_new_privs, seccomp, bounding = host.value(text)
    assert len(set(uids)) == 1
    assert uids[0] != 0
    # Groups that are not mapped, or its own, which an ordinary user cannot drop.
    assert set(groups) <= {65534}
    assert no_new_privs == 1
    assert seccomp == 2
    assert bounding == []


def test_rlimits_cannot_be_raised(host: Host) -> None:
    text = """
    import resource
    def handler(event, context):
        raised = []
        for name in dir(resource):
            if name.startswith("RLIMIT_"):
                kind = getattr(resource, name)
                soft, hard = resource.getrlimit(kind)
                if hard == resource.RLIM_INFINITY:
                    continue
                try:
                    resource.setrlimit(kind, (hard + 1, hard + 1))
                    raised.append(name)
                except (OSError, ValueError):
                    pass
        cores = resource.getrlimit(resource.RLIMIT_CORE)
        return [raised, cores]
    """
    assert host.value(text) == [[], [0, 0]]


def test_an_exec_stays_under_every_limit(host: Host) -> None:
    text = """
    import subprocess, sys
    def handler(event, context):
        python = sys.executable
        plain = subprocess.run([python, "-ISc", "print(6 * 7)"], capture_output=True, text=True)
        code = "import socket; socket.socket(16, 3, 0)"
        attack = subprocess.run([python, "-ISc", code], capture_output=True, text=True)
        return [plain.stdout, attack.returncode, attack.stderr.strip().splitlines()[-1][:7]]
    """
    assert host.value(text, memory_mb=256) == ["42\n", 1, "OSError"]
