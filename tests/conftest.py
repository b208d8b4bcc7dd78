"""One Postgres and one Redis for the whole test session, started when first needed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import environment
from tests.oracle import Mingo


@pytest.fixture(scope="session")
def session_dir() -> Iterator[Path]:
    """The session's own directory; it and all in it are gone afterwards."""
    directories = (environment.SESSION_DIR, environment.SOCKET_DIR)
    for directory in directories:
        directory.mkdir(mode=0o700, exist_ok=True)
    yield environment.SESSION_DIR
    for directory in directories:
        if directory.exists():  # the sockets are inside the first unless its name is long
            shutil.rmtree(directory)


@pytest.fixture(scope="session")
def postgres_url(session_dir: Path) -> Iterator[str]:
    """A URL of a running PostgreSQL (the value of BAAS_DATABASE_URL); its role may make databases.

    Through Django's `db` fixtures tests get Django's own test database on the same server.
    """
    environment.POSTGRES.start()
    yield environment.POSTGRES.url
    environment.POSTGRES.stop()


@pytest.fixture(scope="session")
def redis_url(session_dir: Path) -> Iterator[str]:
    """A URL of a running Redis (the value of BAAS_REDIS_URL); shared by all tests."""
    environment.REDIS.start()
    yield environment.REDIS.url
    environment.REDIS.stop()


@pytest.fixture(scope="session")
def mingo() -> Iterator[Mingo]:
    """An oracle of MongoDB's query language: see tests/oracle/README.md."""
    oracle = Mingo()
    yield oracle
    oracle.close()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(postgres_url: str, redis_url: str) -> None:
    """Hook of pytest-django: the servers are up before the test database is made."""
