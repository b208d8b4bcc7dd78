"""Documents that come by an import, without events of their own, leave no gap in live queries."""

import json
from typing import Any

from tests.integration.realtime.conftest import Connect, Notes, ids, steps


def import_(notes: Notes, documents: list[dict[str, Any]], collection: str = "notes") -> None:
    reply = notes.client.post(
        f"{notes.project.path}/db/import?collection={collection}&mode=upsert",
        body=b"\n".join(json.dumps(document).encode() for document in documents),
        token=notes.project.secret_key,
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert (reply.status, reply.json["failed"]) == (200, 0), reply


def test_a_live_query_shows_what_was_imported(open_socket: Connect, notes: Notes) -> None:
    notes.create("b", n=1)
    socket = open_socket()
    assert ids(socket.watch(filter={"n": {"$lt": 10}})) == ["b"]
    import_(notes, [{"_id": "a", "n": 2}, {"_id": "b", "n": 3}, {"_id": "c", "n": 50}])
    assert steps(socket.changes()) == [("added", "a", -1, 0), ("modified", "b", 1, 1)]
    import_(notes, [{"_id": "d", "n": 1}], "other")
    socket.expect_silence()
    notes.patch("c", n=4)
    assert steps(socket.changes()) == [("added", "c", -1, 2)]


def test_who_comes_back_after_an_import_begins_anew(open_socket: Connect, notes: Notes) -> None:
    notes.create("a", n=1)
    socket = open_socket()
    socket.watch()
    token = socket.last_token
    socket.ws.close()
    import_(notes, [{"_id": "a", "n": 2}, {"_id": "b"}])
    back = open_socket()
    name = back.subscribe(since=token)
    assert back.receive() == {"sub": name, "type": "reset"}
    assert ids(back.receive()["docs"]) == ["a", "b"]


def test_imports_elsewhere_do_not_matter_to_who_comes_back(
    open_socket: Connect, notes: Notes
) -> None:
    notes.create("a", n=1)
    socket = open_socket()
    socket.watch()
    token = socket.last_token
    socket.ws.close()
    import_(notes, [{"_id": "a", "n": 2}], "other")
    back = open_socket()
    back.subscribe(since=token)
    assert steps(back.changes()) == []
