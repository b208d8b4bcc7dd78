"""Network: there is none."""

import socket

import pytest

from tests.security.harness import Host

CONNECT = """
import socket
def handler(event, context):
    family, address = event
    try:
        with socket.socket(getattr(socket, family), socket.SOCK_STREAM) as s:
            s.settimeout(1)
            s.connect(tuple(address) if isinstance(address, list) else address)
        return "connected"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
"""


@pytest.mark.parametrize(
    "address",
    [
        ["127.0.0.1", 5432],
        ["127.0.0.1", 6379],
        ["127.0.0.1", 8000],
        ["0.0.0.0", 8000],
        ["127.1", 80],
        ["2130706433", 80],
        ["169.254.169.254", 80],
        ["2852039166", 80],
        ["0xa9fea9fe", 80],
        ["10.0.0.1", 80],
        ["192.168.0.1", 443],
        ["172.17.0.1", 2375],
        ["100.100.100.200", 80],
        ["8.8.8.8", 53],
    ],
)
def test_it_reaches_no_ipv4_address(host: Host, address: list[object]) -> None:
    found = host.value(CONNECT, ["AF_INET", address], function="connect")
    assert found in ("ENETUNREACH", "EACCES", "EPERM")


@pytest.mark.parametrize("address", ["::1", "fd00:ec2::254", "::ffff:169.254.169.254", "fe80::1"])
def test_it_reaches_no_ipv6_address(host: Host, address: str) -> None:
    found = host.value(CONNECT, ["AF_INET6", [address, 80]], function="connect")
    assert found not in ("connected", "ECONNREFUSED")


def test_it_resolves_no_name(host: Host) -> None:
    text = """
    import socket
    def handler(event, context):
        try:
            return socket.getaddrinfo("example.org", 80)
        except socket.gaierror as error:
            return error.errno
    """
    assert isinstance(host.value(text), int)


def test_it_sends_no_datagram(host: Host) -> None:
    text = """
    import socket
    def handler(event, context):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        hosts = ("127.0.0.1", "8.8.8.8", "255.255.255.255")
        return [refusal(lambda: s.sendto(b"x", (a, 53))) for a in hosts]
    """
    found = host.value(text)
    assert "done" not in found


def test_abstract_sockets_of_the_host_are_not_there(host: Host) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0baas-test-abstract")
        listener.listen()
        found = host.value(CONNECT, ["AF_UNIX", "\0baas-test-abstract"], function="connect")
    assert found in ("ECONNREFUSED", "EPERM")


def test_unix_sockets_of_the_host_are_not_there(host: Host) -> None:
    for path in (str(host.socket), "/var/run/docker.sock", "/run/systemd/private"):
        assert host.value(CONNECT, ["AF_UNIX", path], function="connect") == "ENOENT"


def test_only_loopback_exists_and_it_is_down(host: Host) -> None:
    text = """
    import socket
    def handler(event, context):
        return socket.if_nameindex()
    """
    result = host.run(text)
    assert result.outcome == "error" or b"eth" not in (result.result or b"")
