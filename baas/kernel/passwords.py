"""Password hashes: Argon2id with the library's parameters (RFC 9106, low memory profile)."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from baas.kernel.problems import Unavailable

_hasher = PasswordHasher()

# Each hash takes 64 MiB and all cores for some tens of milliseconds: more at once than there are
# cores would only take memory, and every thread of the process, from everything else.
_slots = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))
MAX_WAIT_S: Final = 5.0


@contextmanager
def _slot() -> Iterator[None]:
    if not _slots.acquire(timeout=MAX_WAIT_S):
        raise Unavailable("Too many sign-ins at this moment: try again.", code="overloaded")
    try:
        yield
    finally:
        _slots.release()


def hash_password(password: str) -> str:
    """Raises Unavailable `overloaded` when no slot gets free for MAX_WAIT_S seconds."""
    with _slot():
        return _hasher.hash(password)


@cache
def _decoy() -> str:
    return _hasher.hash("a password that nobody has")


def verify(password_hash: str | None, password: str) -> bool:
    """Whether the password is right. Takes the same time when there is no hash (no account).

    Raises Unavailable `overloaded` when no slot gets free for MAX_WAIT_S seconds.
    """
    with _slot():
        decoy = _decoy()  # made here, whichever way the first call of the process goes
        try:
            _hasher.verify(password_hash or decoy, password)
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    return _hasher.check_needs_rehash(password_hash)
