"""Operators and their personal access tokens."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from tests.installation import Client, TestProject

PASSWORD = "an operator's password"


@pytest.fixture
def email(installation: None) -> str:
    """The address of an operator."""
    from baas.kernel import operators

    address = f"op-{secrets.token_hex(4)}@example.com"
    operators.create(email=address, password=PASSWORD)
    return address


def _login(client: Client, email: str) -> str:
    reply = client.post("/v1/admin/login", {"email": email.upper(), "password": PASSWORD})
    assert reply.status == 200
    token: str = reply.json["token"]
    return token


def test_logging_in_gives_a_token(client: Client, email: str) -> None:
    token = _login(client, email)
    assert token.startswith("pat_")
    assert client.get("/v1/admin/projects", token=token).status == 200


@pytest.mark.parametrize("who", ["known", "unknown"])
def test_a_wrong_password_and_an_unknown_operator_are_answered_alike(
    client: Client, email: str, who: str
) -> None:
    body = {"email": email if who == "known" else "nobody@example.com", "password": "wrong"}
    reply = client.post("/v1/admin/login", body)
    assert (reply.status, reply.code) == (401, "invalid_credentials")
    assert reply.json["detail"] == "E-mail or password is wrong."


def test_tokens_are_made_listed_and_revoked(client: Client, email: str) -> None:
    token = _login(client, email)
    made = client.post("/v1/admin/tokens", {"name": "ci"}, token=token)
    assert made.status == 201
    listed = client.get("/v1/admin/tokens", token=token).json["items"]
    assert [item["name"] for item in listed] == ["login", "ci"]
    assert all("token" not in item for item in listed)
    assert client.get("/v1/admin/projects", token=made.json["token"]).status == 200
    assert client.delete(f"/v1/admin/tokens/{made.json['id']}", token=token).status == 204
    assert client.get("/v1/admin/projects", token=made.json["token"]).code == "invalid_token"
    gone = client.delete(f"/v1/admin/tokens/{made.json['id']}", token=token)
    assert (gone.status, gone.code) == (404, "token_not_found")


def test_a_token_ends_when_it_was_said_to(client: Client, email: str) -> None:
    token = _login(client, email)
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    made = client.post("/v1/admin/tokens", {"name": "old", "expires_at": past}, token=token)
    assert client.get("/v1/admin/projects", token=made.json["token"]).status == 401


def test_another_operators_tokens_are_out_of_reach(
    client: Client, email: str, operator_token: str
) -> None:
    made = client.post("/v1/admin/tokens", {"name": "mine"}, token=_login(client, email)).json
    path = f"/v1/admin/tokens/{made['id']}"
    assert client.delete(path, token=operator_token).code == "token_not_found"
    assert client.get("/v1/admin/projects", token=made["token"]).status == 200


def test_an_operator_may_configure_every_project(
    client: Client, project: TestProject, operator_token: str
) -> None:
    path = f"{project.path}/settings"
    assert client.get(path, token=operator_token).status == 200


def test_only_hashes_of_tokens_are_kept(client: Client, email: str) -> None:
    from baas.kernel import db

    token = _login(client, email)
    rows = db.fetch_all("SELECT to_jsonb(t)::text FROM kernel_personalaccesstoken t")
    assert all(token not in row[0] and token.encode().hex() not in row[0] for row in rows)


def test_a_second_operator_of_that_address_is_refused(email: str) -> None:
    from baas.kernel import operators
    from baas.kernel.problems import Conflict, Invalid

    with pytest.raises(Conflict):
        operators.create(email=email.upper(), password=PASSWORD)
    with pytest.raises(Invalid):
        operators.create(email="new@example.com", password="short")


def test_tokens_are_listed_in_pages(client: Client, email: str) -> None:
    token = _login(client, email)
    for n in range(3):
        client.post("/v1/admin/tokens", {"name": f"t{n}"}, token=token)
    path = "/v1/admin/tokens?limit=3"
    page = client.get(path, token=token).json
    assert [item["name"] for item in page["items"]] == ["login", "t0", "t1"]
    page = client.get(f"{path}&cursor={page['next_cursor']}", token=token).json
    assert ([item["name"] for item in page["items"]], page["next_cursor"]) == (["t2"], None)
