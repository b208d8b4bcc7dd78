"""The fixtures of an installation, with one project for all: what is refused changes nothing."""

from collections.abc import Callable

import pytest

from tests.installation import (
    Client,
    TestProject,
    client,
    installation,
    make_project,
    migrated,
    new_operator_token,
)

__all__ = ["client", "installation", "make_project", "migrated"]

_kept: dict[str, TestProject] = {}


@pytest.fixture
def project(make_project: Callable[[], TestProject], client: Client) -> TestProject:
    """One for all, with a closed collection and a closed bucket named `sample`."""
    if "project" not in _kept:
        made = make_project()
        for path in ("collections/sample", "buckets/sample"):
            reply = client.put(f"{made.path}/{path}", {}, token=made.secret_key)
            assert reply.status in (200, 201), reply
        _kept["project"] = made
    return _kept["project"]


@pytest.fixture
def stranger(make_project: Callable[[], TestProject]) -> TestProject:
    """Another project, whose keys are worth nothing in the first."""
    if "stranger" not in _kept:
        _kept["stranger"] = make_project()
    return _kept["stranger"]


@pytest.fixture(scope="session")
def _operator_tokens() -> list[str]:
    return []


@pytest.fixture
def operator_token(installation: None, _operator_tokens: list[str]) -> str:
    """One for all."""
    if not _operator_tokens:
        _operator_tokens.append(new_operator_token())
    return _operator_tokens[0]
