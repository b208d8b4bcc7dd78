"""A whole installation inside the test process, called through its WSGI door.

Nothing is rolled back between tests: each makes its own project, so commits, other connections and
`on_commit` are the real ones. A tier takes these fixtures by importing them in its conftest.
"""

import io
import itertools
import json as jsonlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from pytest_django import DjangoDbBlocker

_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A reply, read to its end; `headers` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return jsonlib.loads(self.body)

    @property
    def code(self) -> str:
        """The problem's code; fails when the reply is no problem+json."""
        assert self.headers["content-type"] == "application/problem+json", self
        code: str = self.json["code"]
        return code


class Client:
    """Calls `baas.wsgi.application` in this process."""

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request. `path` may have a query string; `token` becomes the Authorization header."""
        from baas.wsgi import application

        if json is not None:
            body = jsonlib.dumps(json).encode()
        path, _, query = path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path.encode().decode("latin-1"),
            "QUERY_STRING": quote(query, safe="=&%+,:/?"),
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body or b""),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        if body is not None:
            environ["CONTENT_LENGTH"] = str(len(body))
            environ["CONTENT_TYPE"] = "application/json"
        if token is not None:
            environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        for name, value in (headers or {}).items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, found: list[tuple[str, str]], *_: Any) -> Any:
            started.append((status, found))
            return lambda _: None

        chunks = application(environ, start_response)  # type: ignore[arg-type]
        try:
            content = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        status, found = started[-1]
        return Reply(
            status=int(status[:3]),
            headers={name.lower(): value for name, value in found},
            body=content,
        )

    def get(self, path: str, **given: Any) -> Reply:
        return self.request("GET", path, **given)

    def post(self, path: str, json: Any = None, **given: Any) -> Reply:
        return self.request("POST", path, json=json, **given)

    def put(self, path: str, json: Any = None, **given: Any) -> Reply:
        return self.request("PUT", path, json=json, **given)

    def patch(self, path: str, json: Any = None, **given: Any) -> Reply:
        return self.request("PATCH", path, json=json, **given)

    def delete(self, path: str, **given: Any) -> Reply:
        return self.request("DELETE", path, **given)


@dataclass(frozen=True, kw_only=True)
class TestProject:
    """A project of its own for one test."""

    __test__ = False

    id: int
    slug: str
    secret_key: str
    publishable_key: str

    @property
    def path(self) -> str:
        return f"/v1/projects/{self.slug}"

    def events(self, kind: str = "%") -> list[tuple[str, str]]:
        """(type, subject) of all events of the project so far, oldest first; `kind` is LIKE's."""
        from baas.kernel import db

        rows = db.fetch_all(
            "SELECT type, subject FROM kernel_event WHERE project_id = %s AND type LIKE %s"
            " ORDER BY seq",
            (self.id, kind),
        )
        return [(row[0], row[1]) for row in rows]


@pytest.fixture(scope="session")
def migrated(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The session's database with all tables, whichever tests are collected."""
    from django.core.management import call_command
    from django.db import connection

    with django_db_blocker.unblock():
        # pytest-django makes the tables only when it sees tests that use its own fixtures.
        call_command("migrate", verbosity=0)
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        # Threads that listen or poll would keep the database from being dropped.
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )


@pytest.fixture
def installation(migrated: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The database, with real commits that stay. For tests that keep to their own projects."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def client(installation: None) -> Client:
    return Client()


@pytest.fixture
def make_project(installation: None) -> Callable[[], TestProject]:
    """Makes projects: nobody else's, empty, gone with the session's database."""

    def make() -> TestProject:
        from baas.kernel import projects

        slug = f"test-{next(_numbers)}-{secrets.token_hex(4)}"
        row, secret = projects.create(slug=slug, name="")
        return TestProject(
            id=row.id, slug=slug, secret_key=secret, publishable_key=row.publishable_key
        )

    return make


@pytest.fixture
def project(make_project: Callable[[], TestProject]) -> TestProject:
    return make_project()


@pytest.fixture
def operator_token(installation: None) -> str:
    """A `pat_…` of an operator of his own."""
    return new_operator_token()


def new_operator_token() -> str:
    """A `pat_…` of a new operator."""
    from baas.kernel import ids, operators
    from baas.kernel.models import Operator

    # Nobody logs in with the password, so its hash need not be one.
    operator = Operator.objects.create(email=f"{ids.new_id()}@example.com", password_hash="none")
    return operators.create_token(operator, name="test")[1]
