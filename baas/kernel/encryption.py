"""What must be read back (signing keys, secrets of functions), encrypted in the database.

AES-256-GCM under `settings.ENCRYPTION_KEY`. The context names the row that a value belongs to:
a ciphertext copied into another row does not decrypt.
"""

import os
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

_NONCE: Final = 12  # bytes; random: far fewer than 2^32 values are encrypted under one key


class DecryptionError(Exception):
    """The value was not encrypted with this key for this context (BAAS_SECRET_KEY changed?)."""


def encrypt(plaintext: bytes, context: str) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(settings.ENCRYPTION_KEY).encrypt(nonce, plaintext, context.encode())


def decrypt(ciphertext: bytes, context: str) -> bytes:
    """Raises DecryptionError."""
    cipher = AESGCM(settings.ENCRYPTION_KEY)
    try:
        return cipher.decrypt(ciphertext[:_NONCE], ciphertext[_NONCE:], context.encode())
    except (InvalidTag, ValueError) as error:
        raise DecryptionError(
            f"{context} cannot be decrypted: was BAAS_SECRET_KEY changed?"
        ) from error


def derived_key(purpose: str) -> bytes:
    """A 32-byte key for one purpose (at most 16 characters), derived from BAAS_SECRET_KEY."""
    return _derived_key(settings.SECRET_KEY, purpose)


@lru_cache(maxsize=32)
def _derived_key(secret: str, purpose: str) -> bytes:
    return blake2b(secret.encode(), person=purpose.encode(), digest_size=32).digest()
