"""Encryption of what must be read back."""

from typing import Any

import pytest

from baas.kernel import encryption


def test_what_was_encrypted_comes_back() -> None:
    secret = encryption.encrypt(b"a secret", "row 1")
    assert b"a secret" not in secret
    assert secret != encryption.encrypt(b"a secret", "row 1")
    assert encryption.decrypt(secret, "row 1") == b"a secret"


def test_it_decrypts_only_for_its_row_its_key_and_unchanged(settings: Any) -> None:
    secret = encryption.encrypt(b"a secret", "row 1")
    attempts = [(secret, "row 2"), (secret[:-1] + bytes([secret[-1] ^ 1]), "row 1"), (b"", "row 1")]
    for ciphertext, context in attempts:
        with pytest.raises(encryption.DecryptionError):
            encryption.decrypt(ciphertext, context)
    settings.ENCRYPTION_KEY = bytes(32)
    with pytest.raises(encryption.DecryptionError):
        encryption.decrypt(secret, "row 1")


def test_keys_for_different_purposes_differ(settings: Any) -> None:
    first, second = encryption.derived_key("one"), encryption.derived_key("two")
    assert len(first) == 32
    assert len({first, second, settings.ENCRYPTION_KEY}) == 3
    settings.SECRET_KEY = "another key of at least 32 characters"
    assert encryption.derived_key("one") != first
