"""Helpers of the auth tests."""

from collections.abc import Callable
from typing import Any

import pytest

PASSWORD = "correct horse battery"

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
