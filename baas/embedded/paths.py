"""Where sockets go: the kernel takes at most 107 bytes for the path of a Unix socket."""

import hashlib
import os
import stat
from pathlib import Path

from baas.embedded.errors import StackError

_LONGEST_NAME = len("/function-host.sock") + 4  # room for numbers: web-10.sock, .s.PGSQL.5432
_LIMIT = 107


def socket_dir_for(data_dir: Path) -> Path:
    """`run` in the data directory, or when that is too long a short name that is always the same.

    Nothing is made yet: see `make_private`.
    """
    inside = data_dir / "run"
    if len(os.fsencode(inside)) + _LONGEST_NAME <= _LIMIT:
        return inside
    name = hashlib.blake2b(os.fsencode(data_dir), digest_size=8).hexdigest()
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    base = Path(runtime) if runtime and os.access(runtime, os.W_OK) else Path("/tmp")  # noqa: S108
    return base / f"baas-{os.getuid()}-{name}"


def make_private(directory: Path, variable: str | None = None) -> None:
    """Make the directory with mode 0700, or check that it is our own. Raises StackError."""
    hint = f" Set {variable} to another one." if variable else ""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = os.lstat(directory)
        if stat.S_ISLNK(found.st_mode) and variable:
            found = os.stat(directory)  # a link that the operator chose to make
        if not stat.S_ISDIR(found.st_mode):
            raise StackError(f"{directory} is not a directory.{hint}")
        if found.st_uid != os.geteuid():
            raise StackError(
                f"{directory} belongs to the user {found.st_uid}: start as that user.{hint}"
            )
        if stat.S_IMODE(found.st_mode) != 0o700:
            directory.chmod(0o700)
        if not os.access(directory, os.W_OK):
            raise StackError(f"{directory} cannot be written.{hint}")
    except OSError as error:
        raise StackError(f"{directory} cannot be used: {error.strerror}.{hint}") from error
