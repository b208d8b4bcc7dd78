"""Who sees what, and for how long: Alice owns, Bob is another user, Charlie must see nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.installation import Client, TestProject
from tests.integration.realtime.conftest import Connect, Notes, Socket, ids, steps

SignUp = Callable[[str], dict[str, Any]]


@pytest.fixture
def alice(sign_up: SignUp) -> dict[str, Any]:
    return sign_up("alice")


@pytest.fixture
def bob(sign_up: SignUp) -> dict[str, Any]:
    return sign_up("bob")


def refused(socket: Socket, collection: str = "notes", **frame: Any) -> str:
    """The problem code of a subscription that is refused."""
    reply = socket.ask(op="subscribe", channel="db", collection=collection, **frame)
    code: str = reply["problem"]["code"]
    return code


def test_bob_never_sees_what_is_alices(
    open_socket: Connect, notes: Notes, alice: dict[str, Any], bob: dict[str, Any]
) -> None:
    notes.declare(read="owner")
    notes.create("hers", token=alice["access_token"])
    a, b = open_socket(alice["access_token"]), open_socket(bob["access_token"])
    assert ids(a.watch()) == ["hers"]
    assert ids(b.watch()) == []
    notes.create("hers-too", token=alice["access_token"])
    assert steps(a.changes()) == [("added", "hers-too", -1, 1)]
    notes.create("his", token=bob["access_token"])
    assert steps(b.changes()) == [("added", "his", -1, 0)]
    notes.patch("hers", n=1)
    assert steps(a.changes()) == [("modified", "hers", 0, 0)]
    notes.delete("hers")
    assert steps(a.changes()) == [("removed", "hers", 0, -1)]
    b.expect_silence()


def test_a_document_that_becomes_unreadable_is_removed(
    open_socket: Connect, notes: Notes, bob: dict[str, Any]
) -> None:
    notes.declare(read="doc.public == true")
    notes.create("n", public=True, text="open")
    socket = open_socket(bob["access_token"])
    assert ids(socket.watch()) == ["n"]
    notes.patch("n", public=False, text="secret")
    (removed,) = socket.changes()
    assert removed == {"op": "removed", "id": "n", "old_index": 0, "new_index": -1}
    notes.patch("n", text="more secrets")
    notes.patch("n", public=True)
    (added,) = socket.changes()
    assert added["doc"]["text"] == "more secrets"


def test_a_collection_that_is_closed_to_the_caller_is_refused(
    open_socket: Connect, notes: Notes, bob: dict[str, Any], project: TestProject
) -> None:
    events = project.events()
    notes.declare(read="closed")
    assert refused(open_socket(bob["access_token"])) == "rule_denied"
    notes.declare(read="authenticated")
    assert refused(open_socket()) == "rule_denied"
    assert refused(open_socket(), "nowhere") == "rule_denied"
    assert open_socket(bob["access_token"]).watch() == []
    assert project.events() == events


def test_a_key_is_above_the_rules(open_socket: Connect, notes: Notes) -> None:
    notes.declare(read="closed")
    notes.create("n")
    assert ids(open_socket(notes.token).watch()) == ["n"]


@pytest.mark.parametrize("token", ["garbage", "sk_0000", "a.b.c"])
def test_a_bad_token_closes_the_socket(open_socket: Connect, token: str) -> None:
    assert open_socket(token).expect_close() == (4401, "invalid_token")


def test_another_projects_token_closes_the_socket(
    open_socket: Connect, make_project: Callable[[], TestProject]
) -> None:
    assert open_socket(make_project().secret_key).expect_close() == (4401, "invalid_token")


def test_a_token_may_come_in_the_header(open_socket: Connect, notes: Notes) -> None:
    notes.declare(read="closed")
    socket = open_socket(additional_headers={"Authorization": f"Bearer {notes.token}"})
    assert socket.watch() == []
    socket = open_socket(additional_headers={"Authorization": "Basic abc"})
    assert socket.expect_close() == (4401, "invalid_token")


def test_an_unknown_project_or_address_closes_with_4404(open_socket: Connect, server: Any) -> None:
    base = f"ws://127.0.0.1:{server.port}"
    where = f"{base}/v1/projects/no-such-project/realtime"
    assert open_socket(to=where).expect_close() == (4404, "project_not_found")
    assert open_socket(to=f"{base}/v1/elsewhere").expect_close() == (4404, "not_found")


def test_auth_changes_who_the_socket_is(
    open_socket: Connect, notes: Notes, alice: dict[str, Any], bob: dict[str, Any]
) -> None:
    notes.declare(read="owner")
    notes.create("hers", token=alice["access_token"])
    notes.create("his", token=bob["access_token"])
    socket = open_socket()
    assert refused(socket) == "rule_denied"
    assert socket.ask(op="auth", token=alice["access_token"])["ok"] is True
    assert ids(socket.watch()) == ["hers"]
    assert socket.ask(op="auth", token=bob["access_token"])["ok"] is True
    assert socket.receive() == {"sub": "s1", "type": "reset"}
    assert ids(socket.receive()["docs"]) == ["his"]
    assert socket.ask(op="auth", token=None)["ok"] is True
    closed = socket.receive()
    assert (closed["sub"], closed["type"]) == ("s1", "closed")
    assert closed["problem"]["code"] == "rule_denied"
    notes.create("his-too", token=bob["access_token"])
    socket.expect_silence()


def test_a_refreshed_token_of_the_same_user_disturbs_nothing(
    open_socket: Connect, notes: Notes, alice: dict[str, Any], client: Client, project: TestProject
) -> None:
    notes.declare(read="owner")
    socket = open_socket(alice["access_token"])
    socket.watch()
    refreshed = client.post(
        f"{project.path}/auth/refresh", {"refresh_token": alice["refresh_token"]}
    ).json
    assert socket.ask(op="auth", token=refreshed["access_token"])["ok"] is True
    notes.create("hers", token=alice["access_token"])
    assert steps(socket.changes()) == [("added", "hers", -1, 0)]


def test_a_bad_token_in_auth_is_refused_and_the_old_one_stays(
    open_socket: Connect, notes: Notes, alice: dict[str, Any]
) -> None:
    notes.declare(read="owner")
    notes.create("hers", token=alice["access_token"])
    socket = open_socket(alice["access_token"])
    reply = socket.ask(op="auth", token="garbage")
    assert (reply["problem"]["status"], reply["problem"]["code"]) == (401, "invalid_token")
    assert ids(socket.watch()) == ["hers"]


def test_a_changed_rule_takes_away_what_is_no_longer_allowed(
    open_socket: Connect, notes: Notes, alice: dict[str, Any], bob: dict[str, Any]
) -> None:
    notes.create("hers", token=alice["access_token"])
    notes.create("his", token=bob["access_token"])
    anyone, b = open_socket(), open_socket(bob["access_token"])
    assert ids(anyone.watch()) == ["hers", "his"]
    assert ids(b.watch()) == ["hers", "his"]
    notes.declare(read="owner")
    assert b.receive()["type"] == "reset"
    assert ids(b.receive()["docs"]) == ["his"]
    closed = anyone.receive()
    assert (closed["type"], closed["problem"]["code"]) == ("closed", "rule_denied")
    notes.patch("hers", n=1)
    anyone.expect_silence()
    b.expect_silence()


def test_a_deleted_collection_leaves_an_empty_window(
    open_socket: Connect, notes: Notes, client: Client, project: TestProject
) -> None:
    notes.create("n")
    socket = open_socket(notes.token)
    assert ids(socket.watch()) == ["n"]
    path = f"{project.path}/collections/notes"
    assert client.delete(path, token=notes.token).status == 204
    assert socket.receive()["type"] == "reset"
    assert socket.receive()["docs"] == []


def test_signing_out_closes_the_socket(
    open_socket: Connect, notes: Notes, alice: dict[str, Any], client: Client, project: TestProject
) -> None:
    socket = open_socket(alice["access_token"])
    socket.watch()
    reply = client.post(
        f"{project.path}/auth/sign-out", {"scope": "local"}, token=alice["access_token"]
    )
    assert reply.status in (200, 204), reply
    assert socket.expect_close() == (4401, "invalid_token")


def test_rotated_keys_close_the_socket(
    open_socket: Connect, notes: Notes, project: TestProject
) -> None:
    from baas.kernel import projects

    socket = open_socket(notes.token)
    socket.watch()
    projects.rotate_keys(projects.get(project.slug))
    assert socket.expect_close() == (4401, "invalid_token")


def test_a_deleted_project_closes_its_sockets(
    open_socket: Connect, notes: Notes, project: TestProject
) -> None:
    from baas.kernel import projects

    socket = open_socket()
    socket.watch()
    projects.delete(projects.get(project.slug))
    assert socket.expect_close() == (4404, "project_not_found")


def test_a_rule_that_reads_other_documents_follows_them(
    open_socket: Connect, notes: Notes, alice: dict[str, Any], client: Client, project: TestProject
) -> None:
    notes.declare(name="teams")
    notes.declare(read='auth.uid in get("teams", doc.team).members')
    uid = alice["user"]["id"]
    notes.create("red", name="teams", members=[uid])
    notes.create("blue", name="teams", members=[])
    notes.create("n1", team="red")
    notes.create("n2", team="blue")
    socket = open_socket(alice["access_token"])
    assert ids(socket.watch()) == ["n1"]
    # An event of the collection itself is followed at once …
    notes.patch("n2", team="red")
    assert steps(socket.changes()) == [("added", "n2", -1, 1)]
    # … one of another collection within seconds.
    path = f"{project.path}/db/teams/docs/red"
    assert client.patch(path, {"members": []}, token=notes.token).status == 200
    assert steps(socket.changes()) == [("removed", "n2", 1, -1), ("removed", "n1", 0, -1)]


def test_a_rule_with_the_clock_lets_documents_go_without_an_event(
    open_socket: Connect, notes: Notes
) -> None:
    notes.declare(read="now < timestamp(doc.until)")
    from datetime import UTC, datetime, timedelta

    soon = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    notes.create("n", until=soon)
    socket = open_socket()
    assert ids(socket.watch()) == ["n"]
    assert steps(socket.changes()) == [("removed", "n", 0, -1)]


def test_a_document_that_changes_hands_leaves_one_and_comes_to_the_other(
    open_socket: Connect, notes: Notes, alice: dict[str, Any], bob: dict[str, Any]
) -> None:
    notes.declare(read="owner")
    notes.create("n", token=alice["access_token"])
    a, b = open_socket(alice["access_token"]), open_socket(bob["access_token"])
    assert ids(a.watch()) == ["n"]
    assert ids(b.watch()) == []
    notes.patch("n", _owner=bob["user"]["id"])
    assert steps(a.changes()) == [("removed", "n", 0, -1)]
    assert steps(b.changes()) == [("added", "n", -1, 0)]
