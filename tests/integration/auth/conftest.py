"""Helpers of the auth tests."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Argon2 with little memory: what these tests are about is not how long a hash takes.

    `tests/unit/kernel/test_passwords.py` holds the real parameters.
    """
    from argon2 import PasswordHasher

    from baas.kernel import passwords

    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64))
    passwords._decoy.cache_clear()
    yield
    passwords._decoy.cache_clear()


SignUp = Callable[..., dict[str, Any]]


@pytest.fixture
def sign_up(client: Any, project: Any) -> SignUp:
    """Makes an account in the test's project; returns the grant (tokens and user)."""

    def make(email: str = "alice@example.com", **fields: Any) -> dict[str, Any]:
        body = {"email": email, "password": PASSWORD, **fields}
        reply = client.post(f"{project.path}/auth/sign-up", body)
        assert reply.status == 201, reply
        grant: dict[str, Any] = reply.json
        return grant

    return make
