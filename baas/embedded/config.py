"""What the operator chose: the variables that the supervisor itself reads."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from baas.embedded.errors import StackError

CHECKOUT = Path(__file__).resolve().parent.parent.parent
_NOT_IN_PATHS = "\"'$\\;{}%?#"
EMBEDDED_S3 = "embedded-s3"


@dataclass(frozen=True, kw_only=True)
class Config:
    """The stack's shape. What is given from outside is not started."""

    data_dir: Path
    host: str
    port: int  # 0: any free one
    web_workers: int
    web_threads: int
    workers: int
    worker_threads: int
    dispatchers: int
    access_log: bool
    environ: Mapping[str, str]  # the caller's, handed on to the product's processes
    own_postgres: bool
    own_redis: bool
    own_s3: bool

    @property
    def database_connections(self) -> int:
        """The most that all processes together may hold, with room for people and back-ups."""
        threads = self.web_workers * self.web_threads + self.workers * self.worker_threads
        # A thread keeps one for the data plane and one for Django.
        return max(200, 2 * threads + 10 * self.dispatchers + 100)


def from_environ(environ: Mapping[str, str] = os.environ) -> Config:
    """Read the variables. Raises StackError naming the one that is wrong."""
    return Config(
        data_dir=_data_dir(environ),
        host=environ.get("BAAS_HOST") or "127.0.0.1",
        port=_integer(environ, "BAAS_PORT", 8000, 0, 65535),
        web_workers=_integer(environ, "BAAS_WEB_WORKERS", 1, 1, 64),
        web_threads=_integer(environ, "BAAS_WEB_THREADS", 32, 1, 512),
        workers=_integer(environ, "BAAS_WORKERS", 1, 1, 64),
        worker_threads=_integer(environ, "BAAS_WORKER_THREADS", 16, 1, 512),
        dispatchers=_integer(environ, "BAAS_DISPATCHERS", 1, 1, 64),
        access_log=_choice(environ, "BAAS_ACCESS_LOG", "off", ("off", "stdout")) == "stdout",
        environ=dict(environ),
        own_postgres=not _given(environ, "BAAS_DATABASE_URL"),
        own_redis=not _given(environ, "BAAS_REDIS_URL"),
        own_s3=environ.get("BAAS_OBJECT_STORE") == EMBEDDED_S3,
    )


def _data_dir(environ: Mapping[str, str]) -> Path:
    path = Path(environ.get("BAAS_DATA_DIR") or CHECKOUT / ".baas").absolute()
    # The path stands in URLs and in nginx's configuration, where these mean something.
    wrong = {character for character in str(path) if character in _NOT_IN_PATHS}
    if wrong or not str(path).isprintable():
        raise StackError(
            f"BAAS_DATA_DIR={str(path)!r} is wrong: expected a path without any of {_NOT_IN_PATHS}"
        )
    return path


def _given(environ: Mapping[str, str], name: str) -> bool:
    return bool(environ.get(name) or environ.get(f"{name}_FILE"))


def _integer(
    environ: Mapping[str, str], name: str, default: int, smallest: int, largest: int
) -> int:
    text = environ.get(name) or str(default)
    try:
        value = int(text)
    except ValueError:
        value = smallest - 1
    if not smallest <= value <= largest:
        raise StackError(f"{name}={text!r} is wrong: expected a number, {smallest} to {largest}.")
    return value


def _choice(environ: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    value = environ.get(name) or default
    if value not in choices:
        raise StackError(f"{name}={value!r} is wrong: expected {' or '.join(choices)}.")
    return value
