"""Password hashes with their real parameters."""

import threading

import pytest

from baas.kernel import passwords
from baas.kernel.problems import Unavailable


def test_a_hash_is_argon2id_of_at_least_the_rfcs_low_memory_profile() -> None:
    made = passwords.hash_password("correct horse")
    kind, _, parameters = made.split("$")[1:4]
    numbers = dict(pair.split("=") for pair in parameters.split(","))
    assert kind == "argon2id"
    assert int(numbers["m"]) >= 64 * 1024
    assert int(numbers["t"]) >= 3
    assert not passwords.needs_rehash(made)
    assert passwords.verify(made, "correct horse")
    assert not passwords.verify(made, "wrong horse")
    assert made != passwords.hash_password("correct horse")


def test_without_a_hash_no_password_is_right() -> None:
    assert not passwords.verify(None, "a password that nobody has")
    assert not passwords.verify("", "")
    assert not passwords.verify("not a hash", "")


def test_no_more_hashes_at_once_than_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_slots", threading.BoundedSemaphore(1))
    monkeypatch.setattr(passwords, "MAX_WAIT_S", 0.01)
    with passwords._slot(), pytest.raises(Unavailable) as refused:
        passwords.hash_password("x")
    assert refused.value.code == "overloaded"
    passwords.hash_password("x")  # the slot is free again
