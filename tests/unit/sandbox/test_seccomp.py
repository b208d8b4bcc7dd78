"""The system call filter, run here by a small interpreter of BPF instead of by the kernel."""

import errno
import struct

import pytest

from functions.sandbox import numbers, seccomp

ALLOW, KILL = "allow", "kill"
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
TABLES = {"x86_64": numbers.X86_64, "aarch64": numbers.AARCH64}


def verdict(architecture: str, number: int, *arguments: int, audit: int | None = None) -> str | int:
    """What the filter answers: allow, kill or an errno."""
    code = ARCHITECTURES[architecture] if audit is None else audit
    padded = [*arguments, *([0] * (6 - len(arguments)))]
    data = struct.pack("<IIQ6Q", number, code, 0, *(a & 0xFFFFFFFFFFFFFFFF for a in padded))
    program = seccomp.assemble(architecture)
    accumulator, position = 0, 0
    while True:
        operation, if_true, if_false, operand = program[position]
        position += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif operation == 0x54:
            accumulator &= operand
        elif operation == 0x06:
            if operand == 0x7FFF0000:
                return ALLOW
            return KILL if operand == 0x80000000 else operand & 0xFFFF
        else:
            holds = {
                0x15: accumulator == operand,
                0x35: accumulator >= operand,
                0x25: accumulator > operand,
                0x45: bool(accumulator & operand),
            }[operation]
            position += if_true if holds else if_false


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_exactly_the_listed_calls_are_allowed(architecture: str) -> None:
    table = TABLES[architecture]
    allowed = {table[name] for name in seccomp.ALLOWED if name in table}
    checked = {table[name] for name in seccomp.CHECKED}
    for number in range(600):
        if number in checked:
            continue
        answer = verdict(architecture, number)
        assert (answer == ALLOW) == (number in allowed), number


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_name_of_the_policy_has_a_number(architecture: str) -> None:
    table = TABLES[architecture]
    assert set(seccomp.CHECKED) | set(seccomp.REFUSED) <= set(table)
    assert set(table) <= seccomp.ALLOWED | set(seccomp.CHECKED) | set(seccomp.REFUSED)
    assert set(numbers.X86_64) == seccomp.ALLOWED | set(seccomp.CHECKED) | set(seccomp.REFUSED)
    assert len(set(table.values())) == len(table)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_program_fits_the_kernels_limits(architecture: str) -> None:
    program = seccomp.assemble(architecture)
    assert len(program) <= 4096
    assert all(0 <= jump < 256 for _, *jumps, _ in program for jump in jumps)
    assert len(seccomp.program(architecture)) == 8 * len(program)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_foreign_architecture_is_killed(architecture: str) -> None:
    assert verdict(architecture, 0, audit=0x40000003) == KILL  # i386
    assert verdict(architecture, 0, audit=0) == KILL
    assert verdict(architecture, 0x40000000 | 39) == KILL  # x32
    assert verdict(architecture, 0xFFFFFFFF) == KILL


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("bit", [7, 17, 25, 26, 27, 28, 29, 30])
def test_clone_makes_threads_and_processes_but_no_namespaces(architecture: str, bit: int) -> None:
    number = TABLES[architecture]["clone"]
    thread = 0x3D0F00
    assert verdict(architecture, number, thread) == ALLOW
    assert verdict(architecture, number, 17) == ALLOW
    if bit != 7:  # CLONE_NEWTIME is part of the signal number in clone(2)
        assert verdict(architecture, number, thread | 1 << bit) == errno.EPERM
    assert verdict(architecture, TABLES[architecture]["clone3"]) == errno.ENOSYS


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sockets_are_unix_tcp_and_udp_only(architecture: str) -> None:
    number = TABLES[architecture]["socket"]
    cloexec_nonblocking = 0o2004000
    for family in range(50):
        for kind in range(8):
            for protocol in (0, 1, 6, 17, 58, 132, 255, 262):
                answer = verdict(architecture, number, family, kind | cloexec_nonblocking, protocol)
                good = family in (1, 2, 10) and kind in (1, 2) and protocol in (0, 6, 17)
                assert answer == (ALLOW if good else errno.EAFNOSUPPORT)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_high_bits_of_an_argument_do_not_smuggle_a_value_past_a_check(architecture: str) -> None:
    number = TABLES[architecture]["ioctl"]
    assert verdict(architecture, number, 0, 0x5401) == ALLOW
    assert verdict(architecture, number, 0, 0x5412) == errno.ENOTTY
    assert verdict(architecture, number, 0, 0x1_0000_5412) == errno.ENOTTY


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_locks_and_leases_are_refused(architecture: str) -> None:
    fcntl, flock = TABLES[architecture]["fcntl"], TABLES[architecture]["flock"]
    for command in (5, 6, 7, 36, 37, 38, 1024, 1026, 1031, 1033):
        assert verdict(architecture, fcntl, 0, command) == errno.ENOLCK
    assert verdict(architecture, flock, 0, 1) == errno.ENOLCK
    assert verdict(architecture, fcntl, 0, 3) == ALLOW


def test_an_unknown_machine_is_refused() -> None:
    with pytest.raises(OSError, match="riscv64"):
        seccomp.program("riscv64")
