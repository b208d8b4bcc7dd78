"""An own Valkey (Redis protocol) on a Unix socket. It keeps nothing: Postgres is the ledger."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from baas.embedded import binaries, child
from baas.embedded.errors import StackError

SOCKET_NAME = "redis.sock"


class Redis:
    """A disposable server. `start` and `stop` serve tests and tools."""

    def __init__(self, directory: Path, socket_dir: Path) -> None:
        self.directory = directory
        self.socket = socket_dir / SOCKET_NAME
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What BAAS_REDIS_URL holds."""
        return f"unix://{self.socket}?db=0"

    @property
    def broker_url(self) -> str:
        """What BAAS_BROKER_URL holds: Celery has its own spelling, and its own database."""
        return f"redis+socket://{self.socket}?virtual_host=1"

    @property
    def argv(self) -> list[str]:
        """The server in the foreground; SIGTERM ends it."""
        return [
            str(binaries.redis()),
            *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--save", "", "--appendonly", "no", "--dir", str(self.directory)),
            # Full means an error for the writer, never silently dropped messages.
            *("--maxmemory", "512mb", "--maxmemory-policy", "noeviction"),
            *("--daemonize", "no", "--loglevel", "warning", "--tcp-backlog", "511"),
        ]

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C"}

    def prepare(self) -> None:
        """Make its directory; drop the socket file of a killed server."""
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self.socket.unlink(missing_ok=True)

    def is_ready(self) -> bool:
        """Whether it answers."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def start(self, timeout_s: float = 20) -> None:
        """Start and wait for an answer. Raises StackError with what the server said."""
        self.prepare()
        log = self.directory / "redis.log"
        with log.open("wb") as output:
            self._process = process = child.spawn(
                self.argv, env=self.env, cwd=self.directory, output=output
            )
        deadline = time.monotonic() + timeout_s
        while not self.is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise StackError(f"Redis did not start: {log.read_text(errors='replace')}")
            time.sleep(0.005)

    def stop(self) -> None:
        if self._process:
            child.stop(self._process, signal.SIGTERM)
            self._process = None
