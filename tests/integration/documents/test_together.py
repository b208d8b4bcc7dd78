"""Requests that come at the same moment share a statement, and have each an outcome of its own."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from baas.kernel import db
from documents import collections
from documents.together import LANES, Together
from tests.installation import Reply
from tests.integration.documents.conftest import Collection


def lined_up(line: Together[Any, Any], count: int, call: Callable[[int], Reply]) -> list[Reply]:
    """The replies of calls that all wait while the lanes are taken."""
    from django.db import connection

    all_taken, go = threading.Barrier(LANES + 1), threading.Event()

    def hold() -> None:
        all_taken.wait(10)
        assert go.wait(30)

    def one(number: int) -> Reply:
        try:
            return call(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(LANES + count) as pool:
        for _ in range(LANES):
            pool.submit(line.run, None, hold, list)
        all_taken.wait(10)
        replies = [pool.submit(one, number) for number in range(count)]
        while len(line._line) < count:
            threading.Event().wait(0.001)
        go.set()
        return [reply.result(30) for reply in replies]


def cached(notes: Collection) -> collections.Collection:
    notes.query()
    found = collections.find(notes.project.id, notes.name)
    assert found is not None
    return found


def test_each_creator_gets_its_document_and_its_event(
    notes: Collection, sign_up: Callable[[str], tuple[str, str]]
) -> None:
    notes.declare(rules={"read": "owner", "create": "authenticated"})
    users = [sign_up(name) for name in ("alice", "bob")]
    trace = "00-{:032x}-00f067aa0ba902b7-00"

    def create(number: int) -> Reply:
        token, _ = users[number % 2]
        headers = {"traceparent": trace.format(number + 1)}
        return notes.create({"n": number, "big": 2**80 + number}, token, headers=headers)

    replies = lined_up(cached(notes).inserts, 12, create)
    for number, reply in enumerate(replies):
        assert reply.status == 201
        assert (reply.json["n"], reply.json["big"]) == (number, 2**80 + number)
        assert reply.json["_owner"] == users[number % 2][1]
        assert reply.headers["etag"] == '"1"'
        assert notes.get(reply.json["_id"]).json == reply.json
    rows = db.fetch_all(
        "SELECT subject, traceparent, depth, data -> 'document' ->> 'n' FROM kernel_event"
        " WHERE project_id = %s AND type = 'baas.db.document.created'",
        (notes.project.id,),
    )
    assert sorted(rows) == sorted(
        (f"notes/{reply.json['_id']}", trace.format(number + 1), 0, str(number))
        for number, reply in enumerate(replies)
    )


def test_one_that_is_refused_is_refused_alone(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["k"]}])
    long = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(4000))
    replies = lined_up(
        cached(notes).inserts, 8, lambda number: notes.create({"k": long if number == 3 else "k"})
    )
    assert Counter(reply.status for reply in replies) == {201: 7, 422: 1}
    assert replies[3].json["code"] == "index_value_too_long"
    assert len(notes.project.events()) == 7


def test_the_first_array_of_an_index_comes_in_a_group(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["k"]}])
    replies = lined_up(
        cached(notes).inserts, 8, lambda number: notes.create({"k": [1] if number == 3 else 1})
    )
    assert Counter(reply.status for reply in replies) == {201: 8}
    assert len(notes.ids(filter={"k": 1})) == 8
    assert len(notes.project.events()) == 8


def test_updates_of_different_documents_and_of_the_same(notes: Collection) -> None:
    notes.declare()
    for number in range(4):
        notes.create({"_id": f"d{number}", "n": 0})
    replies = lined_up(
        cached(notes).updates, 8, lambda number: notes.patch(f"d{number % 4}", {"$inc": {"n": 1}})
    )
    assert Counter(reply.status for reply in replies) == {200: 8}
    for number in range(4):
        document = notes.get(f"d{number}").json
        assert (document["n"], document["_version"]) == (2, 3)
    rows = db.fetch_all(
        "SELECT data -> 'before' ->> 'n', data -> 'document' ->> 'n' FROM kernel_event"
        " WHERE project_id = %s AND type = 'baas.db.document.updated' ORDER BY 1",
        (notes.project.id,),
    )
    assert rows == [("0", "1")] * 4 + [("1", "2")] * 4


def test_reads_find_their_own_and_miss_what_is_not_there(
    notes: Collection, sign_up: Callable[[str], tuple[str, str]]
) -> None:
    notes.declare(rules={"read": "owner", "create": "authenticated"})
    (alice, _), (bob, _) = sign_up("alice"), sign_up("bob")
    for number in range(3):
        notes.create({"_id": f"d{number}", "n": number}, alice)
    replies = lined_up(
        cached(notes).reads,
        9,
        lambda number: notes.get(
            f"d{number % 3}" if number < 6 else "gone", bob if number == 0 else alice
        ),
    )
    assert [reply.status for reply in replies] == [404] + [200] * 5 + [404] * 3
    assert [reply.json["n"] for reply in replies[1:6]] == [1, 2, 0, 1, 2]
