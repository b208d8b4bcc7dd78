"""The data directory: private, locked, with the secrets that the first start makes."""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from baas.embedded import processes
from baas.embedded.errors import StackError
from baas.embedded.paths import make_private
from baas.embedded.runfile import write_private

_LEAST_FREE_MB = 200


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """Random words that only this installation knows."""

    secret_key: str  # BAAS_SECRET_KEY
    postgres_password: str
    s3_access_key: str
    s3_secret_key: str


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Make the directory and hold it alone. Raises StackError when another stack does.

    The kernel drops the lock with its holder, however that ends.
    """
    make_private(data_dir, "BAAS_DATA_DIR")
    with (data_dir / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise StackError(
                f"Another stack (pid {file.read().strip() or 'unknown'}) runs on {data_dir}: stop "
                "it (`python -m baas.cli down`), or set BAAS_DATA_DIR to another directory."
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def holder(data_dir: Path) -> int | None:
    """The pid of the stack that runs on the directory; None when none does."""
    try:
        with (data_dir / "lock").open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read().strip()
                return int(text) if text.isdigit() else None
    except FileNotFoundError:
        pass
    return None


def ask_to_end(pid: int) -> None:
    processes.send(pid, signal.SIGTERM)


def check_free_space(data_dir: Path) -> None:
    """Raises StackError when the disk is as good as full: Postgres would stop in mid-flight."""
    free_mb = shutil.disk_usage(data_dir).free // 2**20
    if free_mb < _LEAST_FREE_MB:
        raise StackError(
            f"The disk of {data_dir} is full: {free_mb} MiB are free, at least {_LEAST_FREE_MB} "
            "are needed. Free some space, or set BAAS_DATA_DIR to a directory on another disk."
        )


def load_secrets(data_dir: Path) -> Secrets:
    """Read the secrets; the first start makes them."""
    path = data_dir / "secrets.json"
    fresh = Secrets(
        secret_key=secrets.token_hex(32),
        postgres_password=secrets.token_hex(32),
        s3_access_key=secrets.token_hex(10),
        s3_secret_key=secrets.token_hex(32),
    )
    try:
        known = json.loads(path.read_text())
    except FileNotFoundError:
        if (data_dir / "postgres").exists():
            raise StackError(
                f"{path} is missing, and without it the database next to it cannot be read: put "
                "it back from a backup, or start on an empty BAAS_DATA_DIR."
            ) from None
        write_private(path, json.dumps(asdict(fresh), indent=1))
        return fresh
    except (OSError, ValueError) as error:
        raise StackError(f"{path} cannot be read: {error}") from error
    return Secrets(**known)
