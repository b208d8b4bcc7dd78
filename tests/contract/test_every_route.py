"""What every route of both doors answers to callers who should get nothing."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest

from tests.contract.addresses import IN_PROJECT, METHODS, OF_OPERATORS, OPERATIONS, Operation
from tests.installation import Client, Reply, TestProject

# Where an anonymous caller gets an answer by design. Everything else refuses him in a project
# that has no rule which lets him in: a new open route must be named here.
OPEN = {
    "POST /v1/projects/{project}/auth/anonymous",
    "GET /v1/projects/{project}/.well-known/jwks.json",
    "GET /v1/projects/{project}/.well-known/openid-configuration",
}
UNAUTHORISED = {"POST /v1/admin/login"}
MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}
TOO_DEEP = b'{"a":' * 101 + b"1" + b"}" * 101
TOO_BIG = b'{"a":"' + b"x" * (1024 * 1024) + b'"}'


def each(operations: list[Operation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operation", operations, ids=str)


@pytest.fixture
def quiet() -> Callable[[], int]:
    """Counts the events of the whole installation."""
    from baas.kernel import db

    def count() -> int:
        row = db.fetch_one("SELECT count(*) FROM kernel_event")
        assert row is not None
        return int(row[0])

    return count


@pytest.fixture
def no_event(project: TestProject, quiet: Callable[[], int]) -> Iterator[None]:
    """The test may not cause any event."""
    before = quiet()
    yield
    assert quiet() == before


def assert_problem(
    reply: Reply, status: int | set[int], code: str | set[str] | None = None
) -> None:
    """A problem+json with all members, with the request's id."""
    statuses = {status} if isinstance(status, int) else status
    assert reply.status in statuses, (reply.status, reply.body[:300])
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json
    assert problem.keys() >= MEMBERS
    assert problem["status"] == reply.status
    assert problem["request_id"] == reply.headers["x-request-id"]
    assert all(isinstance(problem[name], str) and problem[name] for name in MEMBERS - {"status"})
    for error in problem.get("errors", []):
        assert error.keys() == {"field", "code", "detail"}
    if code is not None:
        codes = {code} if isinstance(code, str) else code
        assert problem["code"] in codes, problem
    if reply.status == 401:
        assert reply.headers["www-authenticate"] == "Bearer"


def send(client: Client, operation: Operation, project: str, **given: Any) -> Reply:
    """The operation with a body that is well formed, where it takes one."""
    if operation.method in ("POST", "PUT", "PATCH") and "body" not in given:
        given["body"] = b"{}"
    return client.request(operation.method, operation.at(project), **given)


def test_the_lists_are_not_empty() -> None:
    assert len(IN_PROJECT) > 10
    assert len(OF_OPERATORS) > 5
    assert {str(operation) for operation in OPERATIONS} >= OPEN | UNAUTHORISED


@each(IN_PROJECT)
@pytest.mark.usefixtures("no_event")
def test_an_unknown_project_is_not_found(client: Client, operation: Operation) -> None:
    for slug in ("no-such-project", "No_Slug", "x"):
        assert_problem(send(client, operation, slug), 404, "project_not_found")


@each([operation for operation in IN_PROJECT if str(operation) not in OPEN])
@pytest.mark.usefixtures("no_event")
def test_it_refuses_an_anonymous_caller(
    client: Client, project: TestProject, operation: Operation
) -> None:
    # 404 where nothing of that name exists for him, 422 and 415 where anybody may call rightly.
    assert_problem(send(client, operation, project.slug), {400, 401, 403, 404, 415, 422})


@each(IN_PROJECT)
@pytest.mark.usefixtures("no_event")
def test_it_refuses_the_key_of_another_project(
    client: Client,
    project: TestProject,
    stranger: TestProject,
    operation: Operation,
) -> None:
    reply = send(client, operation, project.slug, token=stranger.secret_key)
    assert_problem(reply, 401, "invalid_token")


@each(IN_PROJECT)
@pytest.mark.usefixtures("no_event")
@pytest.mark.parametrize(
    "token", ["garbage", "a.b.c", "sk_unknown", "pat_unknown", "pk_unknown", "inv_bm8=", "é"]
)
def test_it_refuses_a_garbage_token(
    client: Client, project: TestProject, operation: Operation, token: str
) -> None:
    reply = send(client, operation, project.slug, token=token)
    assert_problem(reply, 401, "invalid_token")


@each(IN_PROJECT)
@pytest.mark.usefixtures("no_event")
def test_it_refuses_another_scheme(
    client: Client, project: TestProject, operation: Operation
) -> None:
    for header in ("Basic YTpi", "Bearer", "Bearer ", ""):
        reply = send(client, operation, project.slug, headers={"Authorization": header})
        assert_problem(reply, 401, "invalid_token")


@each(IN_PROJECT)
def test_it_refuses_an_expired_token(
    client: Client, project: TestProject, operation: Operation, quiet: Callable[[], int]
) -> None:
    from auth import signing_keys

    granted = client.post(f"{project.path}/auth/anonymous").json["access_token"]
    key = signing_keys.in_force(project.id)
    claims = jwt.decode(granted, options={"verify_signature": False})
    claims |= {"iat": int(time.time()) - 1000, "exp": int(time.time()) - 1}
    expired = jwt.encode(claims, key.private_key, algorithm="ES256", headers={"kid": key.kid})
    before = quiet()
    reply = send(client, operation, project.slug, token=expired)
    assert_problem(reply, 401, "invalid_token")
    assert quiet() == before


@each(OF_OPERATORS)
@pytest.mark.usefixtures("no_event")
def test_operators_routes_want_an_operator(
    client: Client, project: TestProject, operation: Operation
) -> None:
    if str(operation) in UNAUTHORISED:
        assert_problem(send(client, operation, project.slug), 422)
        return
    assert_problem(send(client, operation, project.slug), 401, "authentication_required")
    for token in ("garbage", "pat_unknown", project.secret_key, project.publishable_key):
        reply = send(client, operation, project.slug, token=token)
        assert_problem(reply, 401, "invalid_token")


GARBAGE: list[tuple[str, bytes, str, int, str]] = [
    ("no JSON", b'{"a":', "application/json", 400, "malformed_json"),
    ("not UTF-8", b'{"a":"\xff"}', "application/json", 400, "malformed_json"),
    ("too deep", TOO_DEEP, "application/json", 400, "nesting_too_deep"),
    ("too big", TOO_BIG, "application/json", 413, "body_too_large"),
    ("not JSON's type", b"<a/>", "text/xml", 415, "unsupported_media_type"),
]


@each([operation for operation in OPERATIONS if operation.takes_json])
@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [case[1:] for case in GARBAGE],
    ids=[case[0] for case in GARBAGE],
)
def test_it_refuses_a_garbage_body(
    client: Client,
    project: TestProject,
    operator_token: str,
    quiet: Callable[[], int],
    operation: Operation,
    body: bytes,
    content_type: str,
    status: int,
    code: str,
) -> None:
    token = project.secret_key if operation.in_project else operator_token
    if operation.in_project and "/auth/" in operation.path:
        # End users' routes: what they need is a user, not a key.
        token = client.post(f"{project.path}/auth/anonymous").json["access_token"]
    before = quiet()
    reply = client.request(
        operation.method,
        operation.at(project.slug),
        body=body,
        token=token,
        headers={"Content-Type": content_type},
    )
    assert quiet() == before
    assert_problem(reply, status, code)


@pytest.mark.parametrize("path", sorted(METHODS), ids=str)
@pytest.mark.usefixtures("no_event")
def test_another_method_is_answered_with_those_that_are_there(
    client: Client, project: TestProject, operator_token: str, path: str
) -> None:
    here = METHODS[path]
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - here:
        operation = Operation(method=method, path=path, takes_json=False)
        reply = send(client, operation, project.slug, token=operator_token)
        assert_problem(reply, 405, "method_not_allowed")
        allowed = set(reply.headers["allow"].split(", "))
        assert here <= allowed, (method, allowed)
        assert method not in allowed


@pytest.mark.usefixtures("no_event")
@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/projects", "/v1/admin", "/v2/x", "/v1/admin/login/", "/favicon.ico", "/%s",
     "/v1/admin/tokens/a/b", "//"],
)  # fmt: skip
def test_an_unknown_address_is_a_problem_too(
    client: Client, project: TestProject, path: str
) -> None:
    for method in ("GET", "POST", "DELETE", "HEAD"):
        reply = client.request(method, path)
        if method == "HEAD":
            assert reply.status == 404
        else:
            assert_problem(reply, 404, "not_found")
    reply = client.get(f"{project.path}/nothing/here")
    assert_problem(reply, 404, "not_found")


@pytest.mark.parametrize("path", ["/v1/projects/{}/auth/\0", "/v1/admin/tokens/\0", "/\0"])
def test_a_nul_in_an_address_is_malformed(client: Client, project: TestProject, path: str) -> None:
    assert_problem(client.delete(path.format(project.slug)), 400, "malformed_request")


@each(OPERATIONS)
def test_every_reply_names_its_request(
    client: Client, project: TestProject, operation: Operation
) -> None:
    reply = send(client, operation, project.slug, headers={"X-Request-Id": "my-request-1"})
    assert reply.headers["x-request-id"] == "my-request-1"
    reply = send(client, operation, project.slug, headers={"X-Request-Id": "no good\n"})
    assert len(reply.headers["x-request-id"]) == 26
