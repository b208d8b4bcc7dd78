"""Which files an interpreter needs, so that a sandbox shows exactly those.

The interpreter is the one that the host's own virtualenv was made from, wherever it lies: /usr,
/usr/local, a pyenv or uv directory. Its site-packages are hidden.
"""

import glob
import os
import struct
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

# Loads every extension module of the standard library and prints the shared objects mapped.
_LIST_LIBRARIES = """
import ctypes, glob, os, sysconfig
for name in glob.glob(os.path.join(sysconfig.get_path("platstdlib"), "lib-dynload", "*.so")):
    try:
        ctypes.CDLL(name)
    except OSError:
        pass
for line in open("/proc/self/maps"):
    if line.rstrip().endswith(".so") or ".so." in line:
        print(line.split(None, 5)[5].strip())
"""
_PT_INTERP = 3
_SYSTEM_LINKS = ("/lib", "/lib64", "/lib32", "/libx32")
ALSO = ("/etc/ld.so.cache", "/usr/share/zoneinfo", "/usr/lib/locale/C.utf8")


class UnsafeLayoutError(Exception):
    """Something that functions must never see lies inside what they have to see."""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """An interpreter and the paths that it needs."""

    python: str
    read_only: tuple[str, ...]
    hidden: tuple[str, ...]
    links: tuple[tuple[str, str], ...]


def is_beneath(path: str, directory: str) -> bool:
    """Whether a path is a directory or lies in it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def base_python() -> str:
    """The real path of the interpreter below any virtualenv."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _standard_library() -> set[str]:
    """Directories of the base interpreter's standard library, not those of a virtualenv."""
    base = {"base": sys.base_prefix, "installed_base": sys.base_prefix}
    base |= {"platbase": sys.base_exec_prefix, "installed_platbase": sys.base_exec_prefix}
    paths = (sysconfig.get_path(name, vars=base) for name in ("stdlib", "platstdlib"))
    return {os.path.realpath(path) for path in paths}


def _libraries(python: str) -> set[str]:
    """Shared objects that the interpreter and its standard modules map."""
    command = [python, "-I", "-S", "-c", _LIST_LIBRARIES]
    done = subprocess.run(  # noqa: S603 - our own interpreter, constant arguments
        command, check=True, capture_output=True, text=True, timeout=60, env={"LANG": "C.UTF-8"}
    )
    return set(done.stdout.splitlines())


def _loader(python: str) -> str | None:
    """The dynamic loader that the interpreter's ELF header names; None when it is static."""
    with open(python, "rb") as file:
        head = file.read(65_536)
    if head[:5] != b"\x7fELF\x02":
        raise OSError(f"{python} is not a 64-bit ELF program")
    (table,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    for index in range(count):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", head, table + index * size)
        if kind == _PT_INTERP:
            return head[offset : offset + length].rstrip(b"\0").decode()
    return None


def _loader_link(python: str) -> list[tuple[str, str]]:
    """The loader is often named through a link outside of all library directories."""
    loader = _loader(python)
    if loader is None:
        return []
    path = os.path.join(os.path.realpath(os.path.dirname(loader)), os.path.basename(loader))
    return [(path, os.readlink(path))] if os.path.islink(path) else []


def _library_places(libraries: set[str], standard: set[str]) -> set[str]:
    """Directories of system libraries; single files where a prefix keeps its own."""
    places = set()
    for library in libraries:
        if any(is_beneath(library, directory) for directory in standard):
            continue
        own = sys.base_prefix not in ("/usr", "/") and is_beneath(library, sys.base_prefix)
        places.add(library if own else os.path.dirname(library))
    return places


def without_nested(paths: set[str]) -> tuple[str, ...]:
    """The paths but for those that lie beneath another of them."""
    kept: list[str] = []
    for path in sorted(paths):
        if not any(is_beneath(path, other) for other in kept):
            kept.append(path)
    return tuple(kept)


def _package_directories(shown: tuple[str, ...]) -> tuple[str, ...]:
    """Third-party packages beneath what is shown: they are not for functions."""
    patterns = ("{}/site-packages", "{}/dist-packages", "{}/python3*/*-packages")
    found: set[str] = set()
    for path in shown:
        for pattern in patterns:
            found.update(glob.glob(pattern.format(glob.escape(path))))
    return tuple(sorted(p for p in found if os.path.isdir(p) and not os.path.islink(p)))


def _links(python: str, shown: tuple[str, ...]) -> list[tuple[str, str]]:
    links = [(path, os.readlink(path)) for path in _SYSTEM_LINKS if os.path.islink(path)]
    links += _loader_link(python)
    return [link for link in links if not any(is_beneath(link[0], path) for path in shown)]


def require_apart(shown: tuple[str, ...], secret_places: list[Path]) -> None:
    """Raise UnsafeLayoutError when one of the secret places would be shown."""
    for place in secret_places:
        for path in shown:
            if is_beneath(str(place), path) or is_beneath(path, str(place)):
                raise UnsafeLayoutError(
                    f"{place} and {path}, which functions must see, lie inside each other: move one"
                )


def examine(secret_places: list[Path]) -> Interpreter:
    """Find out what this host's interpreter needs.

    Raises UnsafeLayoutError when one of `secret_places` (source, data, virtualenv) would be shown.
    """
    python = base_python()
    standard = _standard_library()
    shown = {python, *standard, *_library_places(_libraries(python), standard)}
    shown.update(path for path in ALSO if os.path.exists(path))
    read_only = without_nested(shown)
    require_apart(read_only, secret_places)
    return Interpreter(
        python=python,
        read_only=read_only,
        hidden=_package_directories(read_only),
        links=tuple(_links(python, read_only)),
    )
