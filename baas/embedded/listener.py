"""The public port: taken at once, held as long as the stack lives.

The proxy inherits the socket, so while it restarts callers wait in the queue of the kernel
instead of being refused, and nobody else can take the port.
"""

import errno
import socket

from baas.embedded.errors import StackError


class Listener:
    """A listening TCP socket."""

    def __init__(self, host: str, port: int) -> None:
        """Raises StackError when the address is taken or not ours."""
        try:
            (family, kind, _, _, address), *_ = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        except socket.gaierror as error:
            raise StackError(f"BAAS_HOST={host!r} is wrong: {error.strerror}.") from error
        self._socket = socket.socket(family, kind)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(address)
            self._socket.listen(4096)
            # nginx takes an inherited socket as it is. Its workers share it: woken together, all
            # but one would block in accept() and serve nobody until the next connection comes.
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise StackError(_explain(error, host, port)) from error
        self.address: str = self._socket.getsockname()[0]
        self.port: int = self._socket.getsockname()[1]
        self.is_ipv6 = family == socket.AF_INET6

    @property
    def fd(self) -> int:
        return self._socket.fileno()

    @property
    def nginx_address(self) -> str:
        """The same address as nginx writes it: it then takes the inherited socket."""
        return f"[{self.address}]:{self.port}" if self.is_ipv6 else f"{self.address}:{self.port}"

    @property
    def url(self) -> str:
        """Where a program on this machine reaches it."""
        anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
        host = anywhere.get(self.address, self.address)
        return f"http://[{host}]:{self.port}" if self.is_ipv6 else f"http://{host}:{self.port}"

    def close(self) -> None:
        self._socket.close()


def _explain(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is taken: stop what uses it, or choose another one, such as "
            f"BAAS_PORT={port + 1 if port < 65535 else 8000}."
        )
    if error.errno == errno.EACCES:
        return f"Port {port} may only be opened by root: choose BAAS_PORT above 1023."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"BAAS_HOST={host} is not an address of this machine."
    return f"{host}:{port} cannot be opened (BAAS_HOST, BAAS_PORT): {error.strerror}."
