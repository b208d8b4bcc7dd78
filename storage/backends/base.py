"""The contract of object stores: bytes under a key, nothing more.

An object store knows no buckets, rules or projects: those are `storage.service`. Other rooms use
it through `storage.backends.default()` with a prefix of their own (`functions/…`).
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

CHUNK: Final = 256 * 1024  # bytes that move at once, in both directions

_KEY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_MAX_KEY: Final = 512


class StoreError(Exception):
    """The store could not do it. `retryable`: the same call may work in a moment."""

    retryable: ClassVar[bool] = False


class KeyMissing(StoreError):
    """There are no bytes under this key."""


class StoreFull(StoreError):
    """The store has no space left; nothing was kept."""


class StoreUnavailable(StoreError):
    """The store is out of reach or refuses us for the moment."""

    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    key: str
    size: int  # bytes
    modified_at: datetime  # when the put completed


class ByteStream(Iterator[bytes]):
    """Bytes on their way out of the store. Whoever opened it closes it, read to its end or not."""

    def __iter__(self) -> "ByteStream":
        return self

    @abstractmethod
    def close(self) -> None:
        """Free what the stream holds. May be called more than once."""

    def __enter__(self) -> "ByteStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ObjectStore(ABC):
    """One place that keeps bytes. Safe to share between threads.

    Keys are segments of `[A-Za-z0-9._-]` joined by `/`, none starting with a dot.
    """

    @abstractmethod
    def put(self, key: str, chunks: Iterable[bytes]) -> int:
        """Keep the chunks under `key`, in constant memory; returns how many bytes.

        When it returns they are durable and readable under `key`, in place of what was there.
        When it raises, or `chunks` does, `key` is as before. Raises StoreFull and
        StoreUnavailable; what `chunks` raises passes through.
        """

    @abstractmethod
    def open(self, key: str, start: int = 0, end: int | None = None) -> ByteStream:
        """The bytes from `start` to before `end` (to the last one when None).

        Raises KeyMissing at once, not while reading. The range must lie inside the object.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Forget `key`. No error when there is nothing."""

    @abstractmethod
    def keys(self, prefix: str = "") -> Iterator[StoredKey]:
        """All keys that start with `prefix`, in no order. Slow: for sweeps and deletions."""

    @abstractmethod
    def discard_unfinished(self, older_than_s: float) -> int:
        """Remove what puts that never ended (kill -9) left behind; returns how many.

        Only those that have not moved for `older_than_s` seconds: others may still be running.
        """

    @abstractmethod
    def check(self) -> dict[str, Any]:
        """Facts for `/readyz`. Raises StoreError when the store cannot be written to."""


def require_key(key: str) -> None:
    """Raises ValueError for a key that is none: a mistake of ours, never of a caller."""
    if len(key) > _MAX_KEY or not _KEY.fullmatch(key):
        raise ValueError(f"not a key of an object store: {key!r}")
