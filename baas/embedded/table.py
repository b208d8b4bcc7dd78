"""The process table: every program of the stack, with exactly the variables that it sees."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from signal import Signals

from baas.embedded import binaries, privileges, proxy, s3
from baas.embedded.config import CHECKOUT, Config
from baas.embedded.listener import Listener
from baas.embedded.postgres import Postgres
from baas.embedded.process import Process
from baas.embedded.redis import Redis
from baas.embedded.s3 import S3


class Table:
    """Makes the processes for one configuration, data directory and public port.

    `env` is what the product's processes see: the caller's variables and those that any production
    deployment sets. Nothing tells them that they are embedded.
    """

    def __init__(
        self, config: Config, *, sockets: Path, env: Mapping[str, str], listener: Listener
    ) -> None:
        self._config = config
        self._sockets = sockets
        self._env = env
        self._listener = listener
        self._demote = privileges.demotion().apply

    def postgres(self, server: Postgres) -> Process:
        return Process(
            name="postgres",
            argv=server.argv,
            env=server.env,
            cwd=server.directory,
            socket=server.socket,
            prepare=server.prepare,
            stop_signal=Signals.SIGINT,
            hurry_signal=Signals.SIGQUIT,
            grace_s=30,
            demote=self._demote,
        )

    def redis(self, server: Redis) -> Process:
        return Process(
            name="redis",
            argv=server.argv,
            env=server.env,
            cwd=server.directory,
            socket=server.socket,
            prepare=server.prepare,
            demote=self._demote,
        )

    def objectstore(self, server: S3) -> Process:
        return Process(
            name="objectstore",
            argv=server.argv,
            env=server.env,
            cwd=server.directory,
            port=server.port,
            prepare=server.prepare,
            grace_s=s3.GRACE_S,
            demote=self._demote,
        )

    def function_host(self) -> Process:
        """The one that may stay root, and the one that sees nothing: hostile code runs below it."""
        socket = self._sockets / "function-host.sock"
        data_dir = self._config.data_dir / "functions"
        return Process(
            name="function-host",
            argv=[
                *(sys.executable, "-m", "functions.host", "--socket", str(socket)),
                *("--data-dir", str(data_dir), "--api-url", f"unix://{self._internal_socket}"),
            ],
            env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            cwd=CHECKOUT,
            socket=socket,
            prepare=lambda: _clear(socket, data_dir),
            # Sandboxes have uids of their own and must pass through directories that it makes.
            umask=0o022,
        )

    def webs(self) -> list[Process]:
        return [
            self._product(
                name,
                *("granian", "--interface", "wsgi", "--uds", str(socket), "--workers", "1"),
                *("--blocking-threads", str(self._config.web_threads)),
                *("--blocking-threads-idle-timeout", "600", "--http", "1", "--no-ws"),
                *("--workers-kill-timeout", "8", "--log-level", "error", "--backlog", "2048"),
                "baas.wsgi:application",
                socket=socket,
            )
            for name, socket in self._web_sockets
        ]

    def realtime(self) -> Process:
        socket = self._sockets / "realtime.sock"
        return self._product(
            "realtime",
            *("uvicorn", "baas.asgi:application", "--uds", str(socket), "--no-access-log"),
            # Only the proxy can reach the socket, and it overwrites what callers claim.
            *("--log-level", "warning", "--forwarded-allow-ips", "*"),
            *("--ws-ping-interval", "25", "--ws-ping-timeout", "25", "--ws-max-size", "1048576"),
            # Compressing a frame for each socket costs several times what sending it does.
            *("--ws-per-message-deflate", "false"),
            *("--timeout-graceful-shutdown", "5"),
            socket=socket,
        )

    def dispatchers(self) -> list[Process]:
        names = _numbered("dispatcher", self._config.dispatchers)
        return [self._manage(name, "dispatcher") for name in names]

    def workers(self) -> list[Process]:
        return [
            self._product(
                name,
                *(
                    "celery",
                    "--quiet",
                    "--app",
                    "baas.celery",
                    "worker",
                    "--hostname",
                    f"{name}@%h",
                ),
                *("--pool", "threads", "--concurrency", str(self._config.worker_threads)),
                *("--loglevel", "WARNING", "--without-gossip", "--without-mingle"),
                "--without-heartbeat",
            )
            for name in _numbered("worker", self._config.workers)
        ]

    def proxy(self) -> Process:
        run_dir = self._config.data_dir / "proxy"
        conf = run_dir / "nginx.conf"
        return Process(
            name="proxy",
            argv=[str(binaries.nginx()), "-p", str(run_dir), "-e", "stderr", "-c", str(conf)],
            # nginx takes over the listening sockets that this names.
            env={"PATH": os.defpath, "NGINX": f"{self._listener.fd};"},
            cwd=self._config.data_dir,
            port=self._listener.port,
            prepare=lambda: self._write_proxy_conf(run_dir, conf),
            stop_signal=Signals.SIGQUIT,
            hurry_signal=Signals.SIGTERM,
            grace_s=6,
            demote=self._demote,
            pass_fds=(self._listener.fd,),
        )

    def schema_check(self) -> Process:
        return self._product("schema", "baas.embedded.schema")

    def migrate(self) -> Process:
        return self._manage("migrate", "migrate", "--no-input", "--verbosity", "1")

    def create_operator(self) -> Process:
        return self._manage("operator", "create_operator", "--if-missing")

    @property
    def _internal_socket(self) -> Path:
        """Where the function host reaches the HTTP interface."""
        return self._sockets / "web.sock"

    @property
    def _web_sockets(self) -> list[tuple[str, Path]]:
        # With several, web.sock is the proxy's, which spreads the calls.
        names = _numbered("web", self._config.web_workers)
        return [(name, self._sockets / f"{name}.sock") for name in names]

    def _write_proxy_conf(self, run_dir: Path, conf: Path) -> None:
        run_dir.mkdir(mode=0o700, exist_ok=True)
        listen = [self._listener.nginx_address]
        if self._config.web_workers > 1:
            self._internal_socket.unlink(missing_ok=True)
            listen.append(f'"unix:{self._internal_socket}"')
        text = proxy.render(
            run_dir=run_dir,
            listen=listen,
            web=[f'"unix:{socket}"' for _, socket in self._web_sockets],
            realtime=[f'"unix:{self._sockets / "realtime.sock"}"'],
            access_log="/dev/stdout" if self._config.access_log else "off",
            web_threads=self._config.web_workers * self._config.web_threads,
            # One serves 20,000 requests a second; with two cores a second one only costs switches.
            worker_processes=max(1, min(2, (os.cpu_count() or 1) // 2)),
            open_files=_open_files(),
        )
        conf.write_text(text)

    def _manage(self, name: str, *arguments: str) -> Process:
        return self._python(name, str(CHECKOUT / "manage.py"), *arguments)

    def _product(
        self, name: str, module: str, *arguments: str, socket: Path | None = None
    ) -> Process:
        return self._python(name, "-m", module, *arguments, socket=socket)

    def _python(self, name: str, *arguments: str, socket: Path | None = None) -> Process:
        return Process(
            name=name,
            argv=[sys.executable, *arguments],
            env=self._env,
            cwd=CHECKOUT,
            socket=socket,
            prepare=lambda: _clear(socket),
            demote=self._demote,
        )


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def _clear(socket: Path | None, data_dir: Path | None = None) -> None:
    # The socket file of a killed process would keep the next one from listening.
    if socket:
        socket.unlink(missing_ok=True)
    if data_dir:
        data_dir.mkdir(mode=0o700, exist_ok=True)


def _open_files() -> int:
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
