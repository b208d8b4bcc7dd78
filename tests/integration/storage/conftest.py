"""Helpers of the storage tests: Alice owns, Bob is a member, Charlie must see nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.installation import Client, Reply, TestProject

OBJECT_EVENTS = "baas.storage.%"


@dataclass(frozen=True, kw_only=True)
class BucketClient:
    """One bucket of the test's project."""

    client: Client
    project: TestProject
    name: str

    @property
    def path(self) -> str:
        return f"{self.project.path}/storage/{self.name}"

    def put(
        self, path: str, body: bytes = b"hello", *, token: str | None = None, **headers: str
    ) -> Reply:
        fields = {"Content-Type": "text/plain", **_header_names(headers)}
        return self.client.request(
            "PUT", f"{self.path}/objects/{path}", body=body, token=token, headers=fields
        )

    def get(self, path: str, *, token: str | None = None, **headers: str) -> Reply:
        return self.client.request(
            "GET", f"{self.path}/objects/{path}", token=token, headers=_header_names(headers)
        )

    def head(self, path: str, *, token: str | None = None, **headers: str) -> Reply:
        return self.client.request(
            "HEAD", f"{self.path}/objects/{path}", token=token, headers=_header_names(headers)
        )

    def delete(self, path: str, *, token: str | None = None, **headers: str) -> Reply:
        return self.client.request(
            "DELETE", f"{self.path}/objects/{path}", token=token, headers=_header_names(headers)
        )

    def page(self, *, token: str | None = None, **query: Any) -> Reply:
        text = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
        return self.client.get(f"{self.path}/objects?{text}", token=token)

    def events(self) -> list[tuple[str, str]]:
        return self.project.events(OBJECT_EVENTS)


def _header_names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


MakeBucket = Callable[..., BucketClient]


@pytest.fixture
def make_bucket(client: Client, project: TestProject) -> MakeBucket:
    """Makes a bucket in the test's project; without arguments everyone may do everything."""

    def make(name: str = "photos", rules: Any = None, **settings: Any) -> BucketClient:
        if rules is None:
            rules = {"read": "public", "write": "public", "delete": "public"}
        reply = client.put(
            f"{project.path}/buckets/{name}",
            {"rules": rules, **settings},
            token=project.secret_key,
        )
        assert reply.status in (200, 201), reply
        return BucketClient(client=client, project=project, name=name)

    return make


@pytest.fixture
def bucket(make_bucket: MakeBucket) -> BucketClient:
    return make_bucket()


@pytest.fixture
def sign_up(client: Client, project: TestProject) -> Callable[[str], tuple[str, str]]:
    """Makes an account; returns its uid and token."""

    def make(name: str) -> tuple[str, str]:
        reply = client.post(
            f"{project.path}/auth/sign-up",
            {"email": f"{name}@example.com", "password": "correct horse battery"},
        )
        assert reply.status == 201, reply
        return reply.json["user"]["id"], reply.json["access_token"]

    return make
