"""What nobody in good faith sends: refused with a reason, never a 500, never more than is due."""

import base64
import json
from typing import Any

import pytest

from baas.kernel import metrics
from tests.installation import Client, TestProject

LISTS = ("buckets", "functions", "secrets", "triggers", "deliveries", "collections", "users")


def cursor(position: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


@pytest.mark.parametrize("name", [*LISTS, "events"])
@pytest.mark.parametrize("position", [True, "a\0", [], [1], {"a": 1}, 2**63, -1, 1.5, None])
def test_a_forged_cursor_is_no_error_of_ours(
    client: Client, project: TestProject, name: str, position: Any
) -> None:
    reply = client.get(f"{project.path}/{name}?cursor={cursor(position)}", token=project.secret_key)
    assert reply.status in (200, 400)
    if reply.status == 400:
        assert reply.code == "invalid_cursor"


@pytest.mark.parametrize("name", LISTS)
def test_a_nul_in_the_query_is_refused(client: Client, project: TestProject, name: str) -> None:
    reply = client.get(f"{project.path}/{name}?function=%00", token=project.secret_key)
    assert reply.code == "malformed_request"


@pytest.mark.parametrize("word", ["%s", "a%(x)sb*", "%%", "100%"])
def test_a_percent_sign_is_no_placeholder(client: Client, project: TestProject, word: str) -> None:
    for name in ("type", "subject"):
        path = f"{project.path}/events?{name}={word.replace('%', '%25')}"
        assert client.get(path, token=project.secret_key).json["items"] == []


def test_numbers_of_thousands_of_digits_are_refused(client: Client, project: TestProject) -> None:
    path, digits = f"{project.path}/db/c/docs", "9" * 5000
    key = project.secret_key
    assert client.get(f"{path}?skip={digits}", token=key).code == "invalid_query"
    headers = {"If-Match": f'"{digits}"'}
    reply = client.put(f"{path}/a", {}, token=key, headers=headers)
    assert reply.code == "version_mismatch"
    assert project.events() == []


def test_made_up_methods_make_no_time_series(client: Client, project: TestProject) -> None:
    for path in (f"{project.path}/db/c/docs", "/v1/admin/projects"):
        client.request("MADEUP", path)
    assert b"MADEUP" not in metrics.scrape()[0]
    assert b'method="other"' in metrics.scrape()[0]


def test_a_large_body_is_not_read_for_whoever_may_not_send_it(
    client: Client, project: TestProject
) -> None:
    path, body = f"{project.path}/functions/f", b" " * (1024 * 1024 + 1)
    reply = client.request("PUT", path, body=body, headers={"Idempotency-Key": "k"})
    assert reply.code == "body_too_large"


def test_who_acts_as_another_has_idempotency_keys_of_its_own(
    client: Client, project: TestProject
) -> None:
    rules = {"rules": {"create": 'data.secret == "x"', "read": "public"}}
    client.put(f"{project.path}/collections/c", rules, token=project.secret_key)
    told = client.post(
        f"{project.path}/db/c/docs",
        {"secret": "y"},
        token=project.secret_key,
        headers={"Idempotency-Key": "k", "X-Act-As": "anonymous", "X-Explain-Rules": "1"},
    )
    assert "rule" in told.json
    reply = client.post(
        f"{project.path}/db/c/docs", {"secret": "y"}, headers={"Idempotency-Key": "k"}
    )
    assert reply.code == "rule_denied"
    assert "rule" not in reply.json
    assert "idempotency-replayed" not in reply.headers
    assert project.events() == []
