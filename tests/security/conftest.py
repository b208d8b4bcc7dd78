"""One host per isolation mode; every test ends with a look at the neighbours."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.api_server import ApiServer
from tests.security.harness import Host, start_host


@pytest.fixture(scope="session")
def api() -> Iterator[ApiServer]:
    with tempfile.TemporaryDirectory(prefix="fnapi-") as directory:
        Path(directory).chmod(0o755)
        server = ApiServer(Path(directory) / "web.sock")
        yield server
        server.stop()


@pytest.fixture(scope="session", params=["root", "user"])
def session_host(request: pytest.FixtureRequest, api: ApiServer) -> Iterator[Host]:
    host = start_host(request.param, "--memory-mb", "2048", api_url=api.url)
    if host is None:
        pytest.skip(f"{request.param} mode cannot be had by this user on this machine")
    yield host
    host.stop()


@pytest.fixture
def host(session_host: Host, api: ApiServer) -> Iterator[Host]:
    """A host under attack; afterwards it and its other tenants must be well."""
    api.reset()
    yield session_host
    session_host.assert_neighbour_is_well()


@pytest.fixture
def node_host(host: Host) -> Host:
    """A host that has Node."""
    status = host.runner.status()
    if status["node_problem"] == "Node is not installed.":
        pytest.skip(status["node_problem"])
    assert status["runtimes"]["nodejs"], status
    return host
