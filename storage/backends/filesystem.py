"""Bytes as files: the default of the embedded stack.

`a/b/name` is the file `a/b/.xx/name`, where xx comes from a hash of the name, so that no directory
grows too long (no segment of a key starts with a dot, so the two cannot meet). A put writes into
`.incoming/` and renames: a reader sees all bytes or none.
"""

import errno
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from storage.backends.base import (
    CHUNK,
    ByteStream,
    KeyMissing,
    ObjectStore,
    StoredKey,
    StoreError,
    StoreFull,
    StoreUnavailable,
    require_key,
)

_INCOMING: Final = ".incoming"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FilesystemStore(ObjectStore):
    """Keeps bytes below `root`, which is made when needed (mode 0700)."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._incoming = f"{root}/{_INCOMING}"

    def put(self, key: str, chunks: Iterable[bytes]) -> int:
        target = self._path(key)
        temporary: str | None = None
        try:
            try:
                descriptor, temporary = self._create()
            except OSError as error:
                raise _store_error(error) from error
            try:
                size = _write(descriptor, chunks)
            finally:
                os.close(descriptor)
            try:
                directory = os.path.dirname(target)
                self._make_directory(directory)
                os.rename(temporary, target)
                _sync_directory(directory)
            except OSError as error:
                raise _store_error(error) from error
            temporary = None
            return size
        finally:
            if temporary is not None:
                with suppress(FileNotFoundError):
                    os.unlink(temporary)

    def _create(self) -> tuple[int, str]:
        name = f"{self._incoming}/{secrets.token_hex(16)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(name, flags, 0o600), name
        except FileNotFoundError:
            self._make_directory(self._incoming)
            return os.open(name, flags, 0o600), name

    def _make_directory(self, directory: str) -> None:
        """Make the directory, and its name in each parent durable."""
        if os.path.isdir(directory):
            return
        if directory == self._root:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            return
        parent = os.path.dirname(directory)
        self._make_directory(parent)
        with suppress(FileExistsError):
            os.mkdir(directory, mode=0o700)
        _sync_directory(parent)

    def open(self, key: str, start: int = 0, end: int | None = None) -> ByteStream:
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise KeyMissing(key) from error
        except OSError as error:
            raise _store_error(error) from error
        if end is None:
            end = os.fstat(descriptor).st_size
        return _FileStream(descriptor, start, end)

    def delete(self, key: str) -> None:
        try:
            os.unlink(self._path(key))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _store_error(error) from error

    def keys(self, prefix: str = "") -> Iterator[StoredKey]:
        parent = prefix.rpartition("/")[0]
        for directory, _, names in os.walk(f"{self._root}/{parent}"):
            if os.path.basename(directory) == _INCOMING:
                continue
            above = os.path.relpath(os.path.dirname(directory), self._root) if names else ""
            for name in names:
                key = name if above == "." else f"{above}/{name}"
                if not key.startswith(prefix):
                    continue
                try:
                    status = os.stat(os.path.join(directory, name))
                except FileNotFoundError:
                    continue  # deleted while we walk
                yield StoredKey(
                    key=key,
                    size=status.st_size,
                    modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
                )

    def discard_unfinished(self, older_than_s: float) -> int:
        limit = time.time() - older_than_s
        removed = 0
        try:
            names = os.listdir(self._incoming)
        except FileNotFoundError:
            return 0
        for name in names:
            path = f"{self._incoming}/{name}"
            # Every chunk that arrives moves the time forward. Gone meanwhile: it ended by itself.
            with suppress(FileNotFoundError):
                if os.stat(path).st_mtime <= limit:
                    os.unlink(path)
                    removed += 1
        return removed

    def check(self) -> dict[str, Any]:
        try:
            descriptor, name = self._create()
            os.close(descriptor)
            os.unlink(name)
            space = os.statvfs(self._root)
        except OSError as error:
            raise _store_error(error) from error
        return {"kind": "filesystem", "free_bytes": space.f_bavail * space.f_frsize}

    def _path(self, key: str) -> str:
        require_key(key)
        above, _, name = key.rpartition("/")
        fan = blake2b(name.encode(), digest_size=1).hexdigest()
        return f"{self._root}/{above}/.{fan}/{name}" if above else f"{self._root}/.{fan}/{name}"


class _FileStream(ByteStream):
    def __init__(self, descriptor: int, position: int, end: int) -> None:
        self._descriptor = descriptor
        self._position = position
        self._end = end

    def __next__(self) -> bytes:
        length = min(CHUNK, self._end - self._position)
        if length <= 0 or self._descriptor < 0:
            raise StopIteration
        chunk = os.pread(self._descriptor, length, self._position)
        if not chunk:
            raise StoreError("the file is shorter than it was when it was stored")
        self._position += len(chunk)
        return chunk

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()  # a server that forgets us must not cost a descriptor for ever


def _write(descriptor: int, chunks: Iterable[bytes]) -> int:
    size = 0
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            try:
                written = os.write(descriptor, view)
            except OSError as error:
                raise _store_error(error) from error
            size += written
            view = view[written:]
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise _store_error(error) from error
    return size


def _sync_directory(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _store_error(error: OSError) -> StoreError:
    if error.errno in _FULL:
        return StoreFull("the file system of the object store is full")
    return StoreUnavailable(f"the file system of the object store fails: {error}")
