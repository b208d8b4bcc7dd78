"""What the contract tests share: a project on the stack, and what a problem looks like."""

import json
import secrets
from typing import Any

import httpx

from .conftest import Stack

PASSWORD = "a long password"
MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}


def code(reply: httpx.Response) -> str:
    """The code of a problem, which must be whole (RFC 9457); "" of a success."""
    if reply.status_code < 400:
        return ""
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    problem = reply.json()
    assert problem.keys() >= MEMBERS, problem
    assert problem["status"] == reply.status_code
    if "idempotency-replayed" not in reply.headers:  # that is the first reply, with its id
        assert problem["request_id"] == reply.headers["x-request-id"]
    assert len(problem["detail"]) > 10, problem
    for error in problem.get("errors", []):
        assert error.keys() == {"field", "code", "detail"}
    if reply.status_code in (429, 503):
        assert int(reply.headers["retry-after"]) > 0
    found: str = problem["code"]
    return found


class App:
    """A project of its own, within `with`. Paths that do not begin with `/v1/` are below it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.client = httpx.Client(base_url=stack.url, timeout=60, trust_env=False)
        self.operator = stack.token
        self.slug = f"p-{secrets.token_hex(5)}"
        made = self("POST", "/v1/admin/projects", self.operator, {"slug": self.slug, "name": "n"})
        assert made.status_code == 201, made.text
        self.project: dict[str, Any] = made.json()
        self.key: str = self.project["secret_key"]

    def __enter__(self) -> "App":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    @property
    def path(self) -> str:
        return f"/v1/projects/{self.slug}"

    def __call__(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """One request; a `body` of bytes goes as it is, anything else as JSON."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if isinstance(body, bytes):
            more["content"] = body
        elif body is not None:
            more["content"] = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        address = path if path.startswith(("/v1/", "/healthz", "/readyz")) else self.path + path
        return self.client.request(method, address, headers=sent, **more)

    def sign_up(self, name: str = "user") -> dict[str, Any]:
        """A new user: `access_token`, `refresh_token`, `user`."""
        email = f"{name}-{secrets.token_hex(4)}@example.com"
        reply = self("POST", "/auth/sign-up", None, {"email": email, "password": PASSWORD})
        assert reply.status_code == 201, reply.text
        session: dict[str, Any] = reply.json()
        return session

    def token(self, name: str = "user") -> str:
        """The access token of a new user."""
        token: str = self.sign_up(name)["access_token"]
        return token

    def events(self) -> int:
        """How many events of the project there are."""
        return len(self("GET", "/events?limit=1000", self.key).json()["items"])

    def deploy(self, name: str, code: str, invoke: str = "public", **more: Any) -> dict[str, Any]:
        """A ready version of the function whose main.py is `code`."""
        body = {"code": {"inline": {"main.py": code}}, "rules": {"invoke": invoke}, **more}
        reply = self("PUT", f"/functions/{name}", self.key, body)
        assert reply.status_code == 201, reply.text
        version: dict[str, Any] = reply.json()
        assert version["state"] == "ready", version
        return version

    def invoke(self, name: str, event: Any = None, token: str | None = None) -> httpx.Response:
        return self("POST", f"/functions/{name}:invoke", token or self.key, event)
