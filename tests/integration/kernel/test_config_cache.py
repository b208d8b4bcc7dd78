"""The configuration cache: quick to answer, and quick to hear of changes."""

import os
import time
from collections.abc import Callable, Iterator
from importlib import import_module

import psycopg
import pytest
from django.db import connection, transaction

from baas.kernel import config_cache
from baas.kernel.config_cache import ConfigCache
from tests.installation import Client, TestProject


class Source:
    """Configuration that counts how often it is loaded."""

    def __init__(self) -> None:
        self.value: str | None = "first"
        self.loads = 0

    def load(self, project_id: int, key: object) -> str | None:
        self.loads += 1
        return self.value


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(source: Source, project: TestProject) -> ConfigCache[str]:
    """A cache of its own, warm: the listening connection is up."""
    found = ConfigCache(f"test {project.id}", source.load)
    assert _eventually(
        lambda: found.get(project.id, "warm") == "first" and _is_kept(found, source, project)
    )
    source.loads = 0
    return found


def _is_kept(cache: ConfigCache[str], source: Source, project: TestProject) -> bool:
    before = source.loads
    cache.get(project.id, "warm")
    return source.loads == before


def _eventually(condition: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def elsewhere(installation: None) -> Iterator[psycopg.Connection]:
    """Another process's connection."""
    params = connection.get_connection_params()
    params = {k: v for k, v in params.items() if k not in ("cursor_factory", "context")}
    with psycopg.connect(**params) as found:
        yield found


def test_a_value_is_loaded_once(
    cache: ConfigCache[str], source: Source, project: TestProject
) -> None:
    assert [cache.get(project.id, "a") for _ in range(3)] == ["first"] * 3
    assert source.loads == 1


def test_what_is_missing_is_asked_for_again(
    cache: ConfigCache[str], source: Source, project: TestProject
) -> None:
    source.value = None
    assert cache.get(project.id, "a") is None
    source.value = "now"
    assert cache.get(project.id, "a") == "now"


def test_a_change_here_counts_from_its_commit(
    cache: ConfigCache[str], source: Source, project: TestProject
) -> None:
    cache.get(project.id, "a")
    with transaction.atomic():
        source.value = "second"
        config_cache.changed(project.id)
        assert cache.get(project.id, "a") == "first"
    assert cache.get(project.id, "a") == "second"


def test_a_change_elsewhere_arrives_within_moments(
    cache: ConfigCache[str], source: Source, project: TestProject, elsewhere: psycopg.Connection
) -> None:
    cache.get(project.id, "a")
    source.value = "second"
    elsewhere.execute("SELECT pg_notify(%s, %s)", (config_cache.CHANNEL, str(project.id)))
    assert cache.get(project.id, "a") == "first"  # not committed yet
    elsewhere.commit()
    assert _eventually(lambda: cache.get(project.id, "a") == "second", 2)


def test_a_change_of_another_project_leaves_this_one_alone(
    cache: ConfigCache[str], source: Source, project: TestProject
) -> None:
    cache.get(project.id, "a")
    config_cache.changed(project.id + 1_000_000)
    cache.get(project.id, "a")
    assert source.loads == 1


def test_what_is_read_in_a_transaction_is_not_kept(
    cache: ConfigCache[str], source: Source, project: TestProject
) -> None:
    with transaction.atomic():
        cache.get(project.id, "a")
    source.value = "second"
    assert cache.get(project.id, "a") == "second"


def test_nothing_is_believed_while_nobody_listens(
    cache: ConfigCache[str], source: Source, project: TestProject, elsewhere: psycopg.Connection
) -> None:
    cache.get(project.id, "a")
    elsewhere.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE %s AND datname = current_database() AND pid <> pg_backend_pid()",
        (f"LISTEN {config_cache.CHANNEL}%",),
    )
    elsewhere.commit()
    source.value = "second"
    assert _eventually(lambda: cache.get(project.id, "a") == "second", 2)
    # And it comes back by itself.
    assert _eventually(lambda: _is_kept(cache, source, project), 5)


def test_settings_changed_by_one_request_count_for_the_next(
    client: Client, project: TestProject
) -> None:
    path = f"{project.path}/settings"
    for number in range(20):
        origins = {"cors_origins": [f"https://{number}.example.com"]}
        client.patch(path, origins, token=project.secret_key)
        assert client.get(path, token=project.secret_key).json == origins


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that is what we look at
def test_a_forked_child_does_not_believe_that_it_listens(
    cache: ConfigCache[str], source: Source, project: TestProject
) -> None:
    wake = import_module("baas.kernel.events.wake")  # the package has a function of that name
    wake.wake()
    cache.get(project.id, "a")
    child = os.fork()
    if child == 0:
        # Nothing but memory is looked at here: the child shares our sockets.
        fresh = config_cache._thread is None and not config_cache._listening.is_set()
        empty = not config_cache._entries
        os._exit(0 if fresh and empty and wake._thread is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert config_cache._thread is not None
