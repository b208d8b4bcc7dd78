"""Helpers of the documents tests: Alice owns, Bob is another user, Charlie must see nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.installation import Client, Reply, TestProject

Declare = Callable[..., None]


class Collection:
    """One collection of a project, called as one caller after the other."""

    def __init__(self, client: Client, project: TestProject, name: str = "notes") -> None:
        self.client = client
        self.project = project
        self.name = name
        self.path = f"{project.path}/db/{name}"

    def declare(self, **declared: Any) -> Reply:
        return self.client.put(
            f"{self.project.path}/collections/{self.name}",
            declared,
            token=self.project.secret_key,
        )

    def create(self, document: Any, token: str | None = "secret", **given: Any) -> Reply:
        return self.client.post(f"{self.path}/docs", document, token=self._token(token), **given)

    def get(self, id: str, token: str | None = "secret", **given: Any) -> Reply:
        return self.client.get(f"{self.path}/docs/{id}", token=self._token(token), **given)

    def put(self, id: str, document: Any, token: str | None = "secret", **given: Any) -> Reply:
        return self.client.put(
            f"{self.path}/docs/{id}", document, token=self._token(token), **given
        )

    def patch(self, id: str, update: Any, token: str | None = "secret", **given: Any) -> Reply:
        return self.client.patch(
            f"{self.path}/docs/{id}", update, token=self._token(token), **given
        )

    def delete(self, id: str, token: str | None = "secret", **given: Any) -> Reply:
        return self.client.delete(f"{self.path}/docs/{id}", token=self._token(token), **given)

    def query(self, token: str | None = "secret", **query: Any) -> Reply:
        return self.client.post(f"{self.path}/query", query, token=self._token(token))

    def ids(self, token: str | None = "secret", **query: Any) -> list[str]:
        reply = self.query(token, **query)
        assert reply.status == 200, reply
        return [document["_id"] for document in reply.json["items"]]

    def _token(self, token: str | None) -> str | None:
        return self.project.secret_key if token == "secret" else token


@pytest.fixture
def notes(client: Client, project: TestProject) -> Collection:
    """The collection `notes` of a fresh project; not declared yet."""
    return Collection(client, project)


@pytest.fixture
def sign_up(client: Client, project: TestProject) -> Callable[[str], tuple[str, str]]:
    """Makes a user: (access token, uid)."""

    def make(name: str) -> tuple[str, str]:
        reply = client.post(
            f"{project.path}/auth/sign-up",
            {"email": f"{name}@example.com", "password": "correct horse battery"},
        )
        assert reply.status == 201, reply
        return reply.json["access_token"], reply.json["user"]["id"]

    return make
