"""Rate limits: who is limited, what the replies say, and that processes count together."""

import pytest

from tests.installation import Client, TestProject


def limit(client: Client, project: TestProject, **limits: object) -> None:
    path = f"{project.path}/settings"
    reply = client.patch(path, {"rate_limits": limits}, token=project.secret_key)
    assert reply.status == 200, reply


def from_ip(client: Client, project: TestProject, ip: str, token: str | None = None):  # type: ignore[no-untyped-def]
    return client.request(
        "GET", f"{project.path}/collections", token=token, headers={"X-Forwarded-For": ip}
    )


def test_a_caller_over_the_limit_is_told_when_to_come_back(
    client: Client, project: TestProject
) -> None:
    limit(client, project, per_ip=3, window_s=3600)
    left = [from_ip(client, project, "192.0.2.7") for _ in range(3)]
    assert [reply.headers["ratelimit-remaining"] for reply in left] == ["2", "1", "0"]
    assert {reply.headers["ratelimit-limit"] for reply in left} == {"3"}
    assert 0 < int(left[0].headers["ratelimit-reset"]) <= 3600
    refused = from_ip(client, project, "192.0.2.7")
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["ratelimit-remaining"] == "0"
    assert from_ip(client, project, "192.0.2.8").status != 429


def test_both_doors_are_limited_and_a_refused_write_leaves_no_trace(
    client: Client, project: TestProject
) -> None:
    from baas.kernel import db

    rules = {"rules": {"create": "public"}}
    client.put(f"{project.path}/collections/notes", rules, token=project.secret_key)
    limit(client, project, per_ip=1, window_s=3600)
    first = client.post(f"{project.path}/db/notes/docs", {})
    assert (first.status, first.headers["ratelimit-remaining"]) == (201, "0")
    assert client.post(f"{project.path}/db/notes/docs", {}).code == "rate_limited"
    assert client.get(f"{project.path}/.well-known/jwks.json").code == "rate_limited"
    row = db.fetch_one("SELECT count(*) FROM kernel_event WHERE project_id = %s", (project.id,))
    assert row == (1,)


def test_a_project_has_a_limit_of_its_own(client: Client, project: TestProject) -> None:
    limit(client, project, per_project=2, per_ip=0, window_s=3600)
    replies = [from_ip(client, project, f"192.0.2.{n}") for n in range(4)]
    assert [reply.status == 429 for reply in replies] == [False, False, True, True]


def test_one_subscriber_of_ipv6_has_one_limit(client: Client, project: TestProject) -> None:
    limit(client, project, per_ip=1, window_s=3600)
    assert from_ip(client, project, "2001:db8:0:1::5").status != 429
    assert from_ip(client, project, "2001:db8:0:1:ffff::9").status == 429
    assert from_ip(client, project, "2001:db8:0:2::5").status != 429


def test_secret_keys_are_limited_only_where_asked(client: Client, project: TestProject) -> None:
    limit(client, project, per_ip=1, window_s=3600)
    for _ in range(3):
        reply = from_ip(client, project, "192.0.2.9", project.secret_key)
        assert (reply.status, "ratelimit-limit" in reply.headers) == (200, False)
    limit(client, project, per_ip=1, window_s=3600, limit_privileged=True)
    assert from_ip(client, project, "192.0.2.9", project.secret_key).status == 200
    assert from_ip(client, project, "192.0.2.9", project.secret_key).status == 429


def test_callers_with_bad_tokens_are_counted(client: Client, project: TestProject) -> None:
    limit(client, project, per_ip=2, window_s=3600)
    replies = [from_ip(client, project, "192.0.2.10", "sk_wrong").status for _ in range(3)]
    assert replies == [401, 401, 429]


@pytest.mark.parametrize("limits", [{"per_ip": -1}, {"per_day": 5}, {"window_s": 0}, "many"])
def test_a_limit_that_is_none_is_refused(
    client: Client, project: TestProject, limits: object
) -> None:
    path = f"{project.path}/settings"
    reply = client.patch(path, {"rate_limits": limits}, token=project.secret_key)
    assert reply.status == 422, reply


def test_guessing_an_operators_password_is_limited(client: Client) -> None:
    body = {"email": "nobody@example.com", "password": "wrong"}
    headers = {"X-Forwarded-For": "192.0.2.99"}

    def attempt() -> str:
        return client.request("POST", "/v1/admin/login", json=body, headers=headers).code

    assert {attempt() for _ in range(20)} == {"invalid_credentials"}
    assert attempt() == "rate_limited"


def test_processes_count_together(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from baas.kernel.events.wake import client_from_url
    from baas.kernel.http import rate_limits
    from baas.kernel.problems import TooMany

    monkeypatch.setattr(rate_limits, "_start", lambda: None)
    redis = client_from_url(redis_url)
    states = [({}, set()), ({}, set())]  # what two processes would have in memory

    def be(process: int) -> None:
        monkeypatch.setattr(rate_limits, "_counts", states[process][0])
        monkeypatch.setattr(rate_limits, "_unsent", states[process][1])

    for process in (0, 1):
        be(process)
        for _ in range(5):
            rate_limits.take("shared", 10, 3600)
        rate_limits.add_up(redis)
    be(0)
    rate_limits.take("shared", 20, 3600)
    rate_limits.add_up(redis)  # learns of the other's five
    with pytest.raises(TooMany):
        rate_limits.take("shared", 11, 3600)
    be(1)
    rate_limits.take("shared", 11, 3600)  # has not heard of the eleventh yet
    rate_limits.add_up(redis)
    with pytest.raises(TooMany):
        rate_limits.take("shared", 11, 3600)
