"""Coming back: only what was missed, or an explicit reset, never a silent gap."""

import time

from realtime.tokens import Token
from tests.integration.realtime.conftest import Connect, Notes, Server, ids, steps


def resume(open_socket: Connect, since: str, **frame: object) -> list[tuple[str, str, int, int]]:
    """The steps that a client gets who comes back with a token."""
    socket = open_socket()
    socket.subscribe(since=since, **frame)
    return steps(socket.changes())


def test_it_sends_only_what_was_missed(open_socket: Connect, notes: Notes) -> None:
    for id in "abc":
        notes.create(id, n=1)
    socket = open_socket()
    socket.watch()
    notes.patch("a", n=2)
    socket.changes()
    token = socket.last_token
    socket.ws.close()
    notes.delete("b")
    notes.patch("c", n=5)
    notes.patch("c", n=6)
    notes.create("d")
    notes.create("e")
    notes.delete("e")  # came and went: nobody has to know
    back = open_socket()
    back.subscribe(since=token)
    changes = back.changes()
    assert steps(changes) == [
        ("removed", "b", 1, -1),
        ("modified", "c", 1, 1),
        ("added", "d", -1, 2),
    ]
    assert changes[1]["doc"]["n"] == 6
    notes.create("f")
    assert steps(back.changes()) == [("added", "f", -1, 3)]


def test_nothing_missed_is_an_empty_change(open_socket: Connect, notes: Notes) -> None:
    notes.create("a")
    socket = open_socket()
    socket.watch()
    assert resume(open_socket, socket.last_token) == []


def test_it_knows_what_a_limited_window_was(open_socket: Connect, notes: Notes) -> None:
    for n in range(8):
        notes.create(f"d{n}", n=n)
    socket = open_socket()
    assert ids(socket.watch(limit=3, sort=["n"])) == ["d0", "d1", "d2"]
    notes.delete("d1")
    notes.patch("d7", n=-1)
    notes.patch("d2", n=100)
    assert resume(open_socket, socket.last_token, limit=3, sort=["n"]) == [
        ("removed", "d2", 2, -1),
        ("removed", "d1", 1, -1),
        ("added", "d7", -1, 0),
        ("added", "d3", -1, 2),
    ]


def test_it_knows_what_the_filter_had_let_pass(open_socket: Connect, notes: Notes) -> None:
    notes.create("in", on=True)
    notes.create("out", on=False)
    socket = open_socket()
    assert ids(socket.watch(filter={"on": True})) == ["in"]
    notes.patch("in", on=False)
    notes.patch("out", on=True)
    assert resume(open_socket, socket.last_token, filter={"on": True}) == [
        ("removed", "in", 0, -1),
        ("added", "out", -1, 0),
    ]


def test_a_document_deleted_and_made_again_is_modified(open_socket: Connect, notes: Notes) -> None:
    notes.create("a", n=1)
    socket = open_socket()
    socket.watch()
    notes.delete("a")
    notes.create("a", n=1)
    assert resume(open_socket, socket.last_token) == [("modified", "a", 0, 0)]


def is_reset(open_socket: Connect, since: str, **frame: object) -> bool:
    socket = open_socket()
    socket.subscribe(since=since, **frame)
    first = socket.receive()
    if first["type"] == "reset":
        assert socket.receive()["type"] == "snapshot"
        return True
    assert first["type"] == "change"
    return False


def test_a_token_that_history_does_not_reach_is_a_reset(open_socket: Connect, notes: Notes) -> None:
    socket = open_socket()
    socket.watch()
    token = Token.decode(socket.last_token)
    assert token is not None

    def issued(days_ago: float) -> str:
        at = int(time.time() - days_ago * 86_400)
        return Token(seen=token.seen, issued_at=at, fingerprint=token.fingerprint).encode()

    assert not is_reset(open_socket, issued(0))
    assert not is_reset(open_socket, issued(12))
    assert is_reset(open_socket, issued(16))
    assert is_reset(open_socket, issued(-1))  # from the future: another clock, another cluster


def test_a_token_of_another_cluster_is_a_reset(open_socket: Connect, notes: Notes) -> None:
    socket = open_socket()
    socket.watch()
    _, rest = socket.last_token.split("-", 1)
    assert is_reset(open_socket, f"999999999-{rest}")


def test_garbage_is_a_reset(open_socket: Connect, notes: Notes) -> None:
    assert is_reset(open_socket, "yesterday")


def test_a_token_of_another_query_is_a_reset(open_socket: Connect, notes: Notes) -> None:
    socket = open_socket()
    socket.watch()
    assert is_reset(open_socket, socket.last_token, limit=5)
    assert is_reset(open_socket, socket.last_token, filter={"n": 1})


def test_a_token_from_before_a_change_of_rules_is_a_reset(
    open_socket: Connect, notes: Notes
) -> None:
    notes.create("a", n=1)
    socket = open_socket()
    socket.watch()
    notes.declare(read="doc.n > 5")
    assert is_reset(open_socket, socket.last_token)


def test_too_many_missed_documents_are_a_reset(open_socket: Connect, notes: Notes) -> None:
    socket = open_socket()
    socket.watch()
    for start in range(0, 1500, 500):
        writes = [
            {"op": "create", "collection": "notes", "id": f"d{n}", "data": {}}
            for n in range(start, start + 500)
        ]
        path = f"{notes.project.path}/db/commit"
        assert notes.client.post(path, {"writes": writes}, token=notes.token).status == 200
    assert is_reset(open_socket, socket.last_token)


def test_a_killed_process_loses_nothing(
    open_socket: Connect, notes: Notes, own_server: Server
) -> None:
    own_server.start()
    where = f"ws://127.0.0.1:{own_server.port}{notes.project.path}/realtime"
    notes.create("a")
    socket = open_socket(to=where)
    socket.watch()
    notes.create("b")
    socket.changes()
    own_server.kill()
    notes.create("c")
    notes.delete("a")
    own_server.start()
    back = open_socket(to=where)
    back.subscribe(since=socket.last_token)
    assert steps(back.changes()) == [("removed", "a", 0, -1), ("added", "c", -1, 1)]
