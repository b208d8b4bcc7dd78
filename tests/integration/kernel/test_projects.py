"""Projects, their keys and settings, and what is left when they go: nothing."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from tests.installation import Client, TestProject


def test_a_project_shows_its_secret_once(client: Client, operator_token: str) -> None:
    slug = f"made-{secrets.token_hex(4)}"
    made = client.post("/v1/admin/projects", {"slug": slug, "name": "Made"}, token=operator_token)
    assert made.status == 201
    assert made.json.keys() == {"slug", "name", "secret_key", "publishable_key", "created_at"}
    assert made.json["secret_key"].startswith("sk_")
    shown = client.get(f"/v1/admin/projects/{slug}", token=operator_token).json
    assert shown == {k: v for k, v in made.json.items() if k != "secret_key"}
    settings = client.get(f"/v1/projects/{slug}/settings", token=made.json["secret_key"])
    assert settings.status == 200


@pytest.mark.parametrize(
    "slug", ["", "ab", "a" * 41, "Abc", "a_b", "-ab", "ab-", "a b", "ä-b", None, 7.5]
)
def test_it_refuses_a_bad_slug(client: Client, operator_token: str, slug: Any) -> None:
    reply = client.post("/v1/admin/projects", {"slug": slug}, token=operator_token)
    assert (reply.status, reply.code) == (422, "invalid")
    assert reply.json["errors"][0]["field"] == "slug"


def test_a_taken_slug_is_a_conflict(
    client: Client, operator_token: str, project: TestProject
) -> None:
    reply = client.post("/v1/admin/projects", {"slug": project.slug}, token=operator_token)
    assert (reply.status, reply.code) == (409, "project_exists")


def test_projects_are_listed_page_by_page(
    client: Client, operator_token: str, make_project: Callable[[], TestProject]
) -> None:
    mine = {make_project().slug for _ in range(5)}
    seen: list[str] = []
    query = "?limit=3"
    while query:
        page = client.get(f"/v1/admin/projects{query}", token=operator_token).json
        assert len(page["items"]) <= 3
        seen += [item["slug"] for item in page["items"]]
        query = f"?limit=3&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert mine <= set(seen)
    assert len(seen) == len(set(seen))


def test_rotated_keys_end_the_old_ones_within_the_recheck_time(
    client: Client, operator_token: str, project: TestProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auth import principals

    path = f"{project.path}/settings"
    assert client.get(path, token=project.secret_key).status == 200
    rotated = client.post(f"/v1/admin/projects/{project.slug}/keys:rotate", token=operator_token)
    now = principals.time.monotonic()
    monkeypatch.setattr(principals.time, "monotonic", lambda: now + principals.RECHECK_S + 0.001)
    assert client.get(path, token=project.secret_key).code == "invalid_token"
    assert client.get(path, token=rotated.json["secret_key"]).status == 200
    assert rotated.json["publishable_key"] != project.publishable_key


def test_deleting_asks_for_confirmation(
    client: Client, operator_token: str, project: TestProject
) -> None:
    for query in ("", "?confirm=", "?confirm=other", f"?confirm={project.slug.upper()}"):
        reply = client.delete(f"/v1/admin/projects/{project.slug}{query}", token=operator_token)
        assert (reply.status, reply.code) == (422, "confirmation_required")
    assert client.get(f"/v1/admin/projects/{project.slug}", token=operator_token).status == 200


def test_a_deleted_project_leaves_no_row_in_any_table(
    client: Client, operator_token: str, project: TestProject, make_project: Any
) -> None:
    from baas.kernel import db

    other = make_project()
    for found in (project, other):
        body = {"email": "alice@example.com", "password": "correct horse"}
        assert client.post(f"{found.path}/auth/sign-up", body).status == 201
    # Every table that says whose its rows are, whichever room it belongs to.
    tables = [
        row[0]
        for row in db.fetch_all(
            "SELECT table_name FROM information_schema.columns"
            " WHERE column_name = 'project_id' AND table_schema = 'public'"
        )
    ]
    assert {"kernel_secretkey", "kernel_event", "baas_auth_user"} <= set(tables)

    def rows(project_id: int) -> dict[str, int]:
        counted = {}
        for table in tables:
            row = db.fetch_one(
                f"SELECT count(*) FROM {table} WHERE project_id = %s",  # type: ignore[arg-type]
                (project_id,),
            )
            assert row is not None
            counted[table] = row[0]
        return counted

    before = rows(other.id)
    reply = client.delete(
        f"/v1/admin/projects/{project.slug}?confirm={project.slug}", token=operator_token
    )
    assert reply.status == 204
    assert {table: count for table, count in rows(project.id).items() if count} == {}
    assert rows(other.id) == before
    assert client.get(f"{project.path}/settings", token=project.secret_key).status == 404
    # The slug is free again, and its new owner gets nothing of the old one.
    again = client.post("/v1/admin/projects", {"slug": project.slug}, token=operator_token)
    assert again.status == 201
    users = client.get(f"{project.path}/users", token=again.json["secret_key"])
    assert users.json["items"] == []


def test_settings_are_merged_and_null_takes_one_away(client: Client, project: TestProject) -> None:
    path = f"{project.path}/settings"
    origins = {"cors_origins": ["https://app.example.com"]}
    urls = {"redirect_urls": ["https://app.example.com/cb"]}
    assert client.patch(path, origins, token=project.secret_key).json == origins
    assert client.patch(path, urls, token=project.secret_key).json == {**origins, **urls}
    gone = client.patch(path, {"cors_origins": None}, token=project.secret_key)
    assert gone.json == client.get(path, token=project.secret_key).json == urls


@pytest.mark.parametrize(
    "change", [{"nothing": 1}, {"cors_origins": "x"}, {"cors_origins": [{}]}, {"redirect_urls": 1}]
)
def test_it_refuses_a_bad_setting(
    client: Client, project: TestProject, change: dict[str, Any]
) -> None:
    path = f"{project.path}/settings"
    reply = client.patch(path, change, token=project.secret_key)
    assert reply.status == 422
    assert reply.json["errors"][0]["field"].startswith(next(iter(change)))
    assert client.get(path, token=project.secret_key).json == {}
