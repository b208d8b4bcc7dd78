"""`make up`: bring the whole stack up, keep it up, take it down."""

import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path

from baas.embedded import job, probe, runfile, schema
from baas.embedded.config import CHECKOUT, Config
from baas.embedded.datadir import check_free_space, load_secrets, locked
from baas.embedded.errors import StackError
from baas.embedded.listener import Listener
from baas.embedded.output import Output
from baas.embedded.parent import Parent
from baas.embedded.paths import make_private, socket_dir_for
from baas.embedded.postgres import Postgres
from baas.embedded.redis import Redis
from baas.embedded.runfile import RunFile, write_private
from baas.embedded.s3 import S3
from baas.embedded.supervisor import Supervisor
from baas.embedded.table import Table

_PATIENCE_S = 120.0  # for /readyz, from the moment the last program was started
_OPEN_FILES = 65536
_LOOK_AT_PARENT_S = 0.25
# Who ends before whom: first no new requests, last the ledger.
_STOP_ORDER = (
    ("proxy",),
    ("web", "realtime", "dispatcher", "worker"),
    ("function-host",),
    ("objectstore", "redis"),
    ("postgres",),
)


def up(config: Config, parent: Parent | None = None) -> None:
    """Run the stack in the foreground until SIGINT, SIGTERM or SIGHUP, or the parent's end.

    Prints `ready: <url>` once on stdout, logs on stderr. Raises StackError when it cannot run.
    """
    os.umask(0o077)
    _raise_open_files()
    output = Output(sys.stderr.fileno())
    try:
        with locked(config.data_dir):
            check_free_space(config.data_dir)
            left = runfile.end_leftovers(config.data_dir / "run.json")
            if left:
                output.say("stack", f"ended what an earlier stack left running: {', '.join(left)}")
            asyncio.run(_Stack(config, output, parent).run())
    finally:
        output.flush()


class _Stack:
    def __init__(self, config: Config, output: Output, parent: Parent | None) -> None:
        self._config = config
        self._parent = parent
        self._output = output
        data_dir = config.data_dir
        self._secrets = load_secrets(data_dir)
        self._sockets = socket_dir_for(data_dir)
        make_private(self._sockets)
        self._listener = Listener(config.host, config.port)
        self._postgres = self._redis = None
        if config.own_postgres:
            password = self._secrets.postgres_password
            self._postgres = Postgres(
                data_dir / "postgres",
                self._sockets,
                password,
                max_connections=config.database_connections,
            )
        if config.own_redis:
            self._redis = Redis(data_dir / "redis", self._sockets)
        self._s3 = None
        if config.own_s3:
            keys = (self._secrets.s3_access_key, self._secrets.s3_secret_key)
            self._s3 = S3(data_dir / "s3", *keys)
            self._s3.prepare()  # its URL has the port that it chooses
        self._run_file = RunFile(data_dir / "run.json", url=self._listener.url)

    async def run(self) -> None:
        """From the first start to the last end."""
        self._supervisor = Supervisor(self._run_file, self._output)
        self._stop_asked = asyncio.Event()
        self._watch_signals()
        watching = asyncio.create_task(self._watch_parent())
        try:
            starting = asyncio.create_task(self._start())
            await self._until_stop_or(starting)
            if not self._stop_asked.is_set():
                await self._until_stop_or(asyncio.create_task(asyncio.Event().wait()))
        finally:
            watching.cancel()
            await self._stop()

    async def _watch_parent(self) -> None:
        while self._parent and not self._parent.wants_our_end():
            await asyncio.sleep(_LOOK_AT_PARENT_S)
        if self._parent and not self._stop_asked.is_set():
            self._on_signal()

    async def _until_stop_or(self, task: "asyncio.Task[object]") -> None:
        """Wait for the task, a stop signal or a failure, which is raised; ends the task."""
        stop = asyncio.create_task(self._stop_asked.wait())
        failed = asyncio.create_task(self._supervisor.failed())
        done, waiting = await asyncio.wait(
            [task, stop, failed], return_when=asyncio.FIRST_COMPLETED
        )
        for other in waiting:
            other.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for finished in done:
            finished.result()

    async def _start(self) -> None:
        began = time.monotonic()
        table = Table(
            self._config, sockets=self._sockets, env=self._environment(), listener=self._listener
        )
        start = self._supervisor.start
        # Callers are told to wait from now on, and wait no longer than needed.
        start(table.proxy())
        start(table.function_host())
        if self._redis:
            start(table.redis(self._redis))
        if self._s3:
            start(table.objectstore(self._s3))
        if self._postgres:
            start(table.postgres(self._postgres))  # last: its first start keeps us busy
            await self._wait_for_postgres(self._postgres)
        changed = await self._migrate(table)
        listening = (*table.webs(), table.realtime())
        for process in (*listening, *table.dispatchers(), *table.workers()):
            start(process)
        await self._prepare_operator(table, look=changed)
        while self._s3 and not self._s3.is_ready():
            await asyncio.sleep(0.1)
        await self._wait_until_ready([process.socket for process in listening])
        self._supervisor.was_ready = True
        self._supervisor.say(f"up in {time.monotonic() - began:.1f} s")
        with contextlib.suppress(OSError):  # nobody listens: the stack runs all the same
            print(f"ready: {self._listener.url}", flush=True)

    def _environment(self) -> dict[str, str]:
        """What the product's processes see: the caller's variables, and what is missing there."""
        data_dir = self._config.data_dir
        metrics = data_dir / "metrics"
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir(mode=0o700)
        given = {name: value for name, value in self._config.environ.items() if value}
        made = {
            "BAAS_DATA_DIR": str(data_dir),
            "BAAS_FUNCTION_HOST": f"unix://{self._sockets / 'function-host.sock'}",
            "BAAS_INTERNAL_URL": f"unix://{self._sockets / 'web.sock'}",
            "PROMETHEUS_MULTIPROC_DIR": str(metrics),
            "PYTHONUNBUFFERED": "1",
        }
        defaults = {
            "BAAS_PUBLIC_URL": self._listener.url,
            "BAAS_OBJECT_STORE": f"file://{data_dir / 'objects'}",
        }
        if not given.get("BAAS_SECRET_KEY_FILE"):
            defaults["BAAS_SECRET_KEY"] = self._secrets.secret_key
        if self._postgres:
            made["BAAS_DATABASE_URL"] = self._postgres.url
        if self._s3:
            made["BAAS_OBJECT_STORE"] = self._s3.url
        if self._redis:
            made["BAAS_REDIS_URL"] = self._redis.url
            if not given.get("BAAS_BROKER_URL_FILE"):
                defaults["BAAS_BROKER_URL"] = self._redis.broker_url
        return {**defaults, **given, **made}

    async def _migrate(self, table: Table) -> bool:
        """Bring the database up to date, unless nothing changed since the last time."""
        record = self._config.data_dir / "migrated.json"
        files = schema.digest_of_files(CHECKOUT)
        applied = (await job.run(table.schema_check(), self._output)).strip()
        now = json.dumps({"files": files, "applied": applied})
        if record.exists() and record.read_text() == now:
            return False
        self._output.say("migrate", await job.run(table.migrate(), self._output))
        applied = (await job.run(table.schema_check(), self._output)).strip()
        write_private(record, json.dumps({"files": files, "applied": applied}))
        return True

    async def _prepare_operator(self, table: Table, *, look: bool) -> None:
        """Make the first operator where there is none; keep operator.json's address true."""
        path = self._config.data_dir / "operator.json"
        known = json.loads(path.read_text()) if path.exists() else None
        if look or known is None:
            made = (await job.run(table.create_operator(), self._output)).strip()
            if made:
                known = json.loads(made.splitlines()[-1])
        if known is None:
            self._supervisor.say(f"{path} is missing, and there is an operator already")
            return
        document = {"url": self._listener.url, **{k: v for k, v in known.items() if k != "url"}}
        text = json.dumps(document, indent=1)
        if not path.exists() or path.read_text() != text:
            write_private(path, text)

    async def _wait_for_postgres(self, server: Postgres) -> None:
        # Recovery after a crash takes as long as it takes; its log says how far it is.
        while not (pid := self._supervisor.pid("postgres")) or not server.is_ready(pid):
            await asyncio.sleep(0.01)

    async def _wait_until_ready(self, sockets: list[Path | None]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        pause_s = 0.05
        while True:
            if not all(probe.listens(path) for path in sockets if path):
                status, body = 0, "not all processes listen yet"
            else:
                status, body = await probe.get(self._listener.url, "/readyz")
            if status == 200:
                return
            if time.monotonic() > deadline:
                raise StackError(
                    f"The stack did not become ready in {_PATIENCE_S:g} s: /readyz says "
                    f"{status or 'nothing'}: {body[:500]}"
                )
            await asyncio.sleep(pause_s)
            # What is not ready at once needs a person to read the log: no flood of questions.
            pause_s = min(pause_s * 1.1, 1.0)

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        wanted = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # not under nohup
            wanted.append(signal.SIGHUP)
        for number in wanted:
            loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        if self._stop_asked.is_set():
            self._supervisor.say("asked again: ending at once")
            self._supervisor.hurry()
        else:
            self._supervisor.say("ending; ask again to end at once")
            self._stop_asked.set()

    async def _stop(self) -> None:
        # Before the proxy: it would not see those who connect from now on.
        self._listener.close()
        for names in _STOP_ORDER:
            running = self._supervisor.names
            await self._supervisor.stop(
                name for name in running if name.rstrip("-0123456789") in names
            )
        self._run_file.delete()
        # Also the socket files that their owners left; perhaps in a directory far from our data.
        shutil.rmtree(self._sockets, ignore_errors=True)


def _raise_open_files() -> None:
    # Tens of thousands of sockets: the soft limit of a shell is 1,024.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if most == resource.RLIM_INFINITY else min(most, _OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
