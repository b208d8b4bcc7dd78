"""Password hashes: Argon2id with the library's parameters (RFC 9106, low memory profile)."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    return _hasher.hash(password)


@cache
def _decoy() -> str:
    return _hasher.hash("a password that nobody has")


def verify(password_hash: str | None, password: str) -> bool:
    """Whether the password is right. Takes the same time when there is no hash (no account)."""
    try:
        _hasher.verify(password_hash or _decoy(), password)
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    return _hasher.check_needs_rehash(password_hash)
