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


def test_no_writer_takes_back_what_another_has_set(notes: Collection) -> None:
    """Each sets a field of his own, in whatever way; those that come together share a commit."""
    notes.create({"_id": "x"})

    def call(number: int) -> Reply:
        field = {f"f{number}": number}
        match number % 4:
            case 0:
                return notes.patch("x", {"$set": field})
            case 1:
                return notes.patch("x", field)
            case 2:
                body = {"filter": {"_id": "x"}, "update": {"$set": field}}
                path = f"{notes.path}/update-one"
            case _:
                write = {"op": "update", "collection": "notes", "id": "x", "update": field}
                body, path = {"writes": [write]}, f"{notes.project.path}/db/commit"
        return notes.client.post(path, body, token=notes.project.secret_key)

    replies = at_once(64, call)
    assert Counter(reply.status for reply in replies) == {200: 64}
    found = notes.get("x").json
    assert {key: found[key] for key in found if key.startswith("f")} == {
        f"f{number}": number for number in range(64)
    }
    assert found["_version"] == 65


def test_a_unique_value_has_one_owner_whichever_way_it_comes(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["k"], "unique": True}])
    notes.create([{"_id": f"d{n}", "k": f"own{n}"} for n in range(8)])

    def call(number: int) -> Reply:
        id = f"d{number % 8}"
        path, token = notes.path, notes.project.secret_key
        match number % 4:
            case 0:
                return notes.patch(id, {"$set": {"k": "one"}})
            case 1:
                return notes.create({"k": "one"})
            case 2:
                body = {"filter": {"_id": id}, "update": {"$set": {"k": "one"}}}
                return notes.client.post(f"{path}/update-many", body, token=token)
            case _:
                body = {"filter": {"z": number}, "replacement": {"k": "one"}, "upsert": True}
                return notes.client.post(f"{path}/replace-one", body, token=token)

    replies = at_once(32, call)
    assert len(notes.ids(filter={"k": "one"})) == 1
    assert {reply.status for reply in replies} <= {200, 201, 409}
    assert {reply.code for reply in replies if reply.status == 409} == {"unique_violation"}
