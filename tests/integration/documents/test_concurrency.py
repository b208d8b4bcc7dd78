"""Many writers at once: nothing is lost, nothing is doubled."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.installation import Reply
from tests.integration.documents.conftest import Collection


def at_once(count: int, call: Callable[[int], Reply]) -> list[Reply]:
    """The replies of `count` calls made by eight threads, each with its own connection."""
    from django.db import connection

    def one(number: int) -> Reply:
        try:
            return call(number)
        finally:
            connection.close()  # nobody would after the thread has ended

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, range(count)))


def test_fifty_increments_add_up(notes: Collection) -> None:
    notes.create({"_id": "c", "n": 0})
    replies = at_once(50, lambda _: notes.patch("c", {"$inc": {"n": 1}, "$push": {"l": 1}}))
    assert Counter(reply.status for reply in replies) == {200: 50}
    found = notes.get("c").json
    assert (found["n"], len(found["l"]), found["_version"]) == (50, 50, 51)
    assert sorted(reply.json["n"] for reply in replies) == list(range(1, 51))
    assert len(notes.project.events("baas.db.document.updated")) == 50


def test_one_of_many_creators_wins(notes: Collection) -> None:
    replies = at_once(16, lambda number: notes.create({"_id": "x", "n": number}))
    assert Counter(reply.status for reply in replies) == {201: 1, 409: 15}
    assert len(notes.project.events()) == 1


def test_if_match_lets_one_through(notes: Collection) -> None:
    notes.create({"_id": "x", "n": -1})
    replies = at_once(
        16, lambda number: notes.patch("x", {"n": number}, headers={"If-Match": '"1"'})
    )
    assert Counter(reply.status for reply in replies) == {200: 1, 412: 15}


def test_puts_of_one_id_make_one_document(notes: Collection) -> None:
    replies = at_once(16, lambda number: notes.put("x", {"n": number}))
    assert Counter(reply.status for reply in replies) == {201: 1, 200: 15}
    assert notes.get("x").json["_version"] == 16
    events = [kind for kind, _ in notes.project.events()]
    assert Counter(events) == {"baas.db.document.created": 1, "baas.db.document.updated": 15}


def test_one_delete_succeeds(notes: Collection) -> None:
    notes.create({"_id": "x"})
    replies = at_once(8, lambda _: notes.delete("x"))
    assert Counter(reply.status for reply in replies) == {204: 1, 404: 7}
    assert len(notes.project.events("baas.db.document.deleted")) == 1


def test_deletes_against_updates_leave_a_consistent_story(notes: Collection) -> None:
    notes.create({"_id": "x", "n": 0})

    def call(number: int) -> Reply:
        return notes.delete("x") if number == 8 else notes.patch("x", {"$inc": {"n": 1}})

    statuses = Counter(reply.status for reply in at_once(16, call))
    assert statuses[204] == 1
    updates = len(notes.project.events("baas.db.document.updated"))
    assert updates == statuses[200]
    assert notes.get("x").status == 404
