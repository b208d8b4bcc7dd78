"""Transactions beside each other and beside single calls, in real threads."""

import random
import time
from collections import Counter
from collections.abc import Callable
from threading import Barrier
from typing import Any

from tests.installation import Reply
from tests.integration.documents.conftest import Collection
from tests.integration.documents.test_concurrency import at_once
from tests.integration.documents.test_transactions import Transaction


def start(notes: Collection) -> Transaction:
    return Transaction(notes.client, notes.project)


def until_committed(notes: Collection, work: Callable[[Transaction], Any]) -> int:
    """What a client does: all again after a conflict. How often it took."""
    for attempt in range(1, 200):
        time.sleep(random.uniform(0, 0.01 * min(attempt, 10)))
        transaction = start(notes)
        try:
            work(transaction)
        except Conflicted:
            continue
        reply = transaction.commit()
        if reply.status == 200:
            return attempt
        assert reply.code == "transaction_conflict", reply
    raise AssertionError("it never came through")


class Conflicted(Exception):
    pass


def checked(reply: Reply) -> Any:
    if reply.status == 409:
        assert reply.code == "transaction_conflict", reply
        raise Conflicted
    assert reply.status in (200, 201, 204), reply
    return reply.json if reply.body else None


def test_two_doctors_do_not_both_go_off_duty(notes: Collection) -> None:
    """Write skew: each may go while the other stays."""
    for round_ in range(5):
        doctors = [f"alice{round_}", f"bob{round_}"]
        notes.create([{"_id": id, "shift": round_, "on": True} for id in doctors])
        both_have_looked = Barrier(2)

        def go_off(
            number: int,
            round_: int = round_,
            doctors: list[str] = doctors,
            barrier: Barrier = both_have_looked,
        ) -> Reply:
            transaction = start(notes)
            on_duty = {"filter": {"shift": round_, "on": True}}
            assert checked(transaction.call("POST", "notes/count", on_duty)) == {"total": 2}
            barrier.wait(20)
            reply = transaction.call("PATCH", f"notes/docs/{doctors[number]}", {"on": False})
            return transaction.commit() if reply.status == 200 else reply

        replies = at_once(2, go_off)
        codes = Counter(reply.status for reply in replies)
        assert codes in (Counter({200: 1, 409: 1}), Counter({409: 2})), replies
        left = notes.ids(filter={"shift": round_, "on": True})
        assert len(left) == 2 - codes[200]


def test_write_skew_is_found_when_both_commit_at_the_same_moment(notes: Collection) -> None:
    for round_ in range(5):
        doctors = [f"alice{round_}", f"bob{round_}"]
        notes.create([{"_id": id, "shift": round_, "on": True} for id in doctors])
        ready = Barrier(2)

        def go_off(
            number: int,
            round_: int = round_,
            doctors: list[str] = doctors,
            barrier: Barrier = ready,
        ) -> Reply:
            transaction = start(notes)
            on_duty = {"filter": {"shift": round_, "on": True}}
            assert checked(transaction.call("POST", "notes/count", on_duty)) == {"total": 2}
            checked(transaction.call("PATCH", f"notes/docs/{doctors[number]}", {"on": False}))
            barrier.wait(20)
            return transaction.commit()

        statuses = Counter(reply.status for reply in at_once(2, go_off))
        assert statuses == {200: 1, 409: 1}
        assert len(notes.ids(filter={"shift": round_, "on": True})) == 1


def test_no_update_is_lost(notes: Collection) -> None:
    """Read, add one in the client, write back, by eight clients at once."""
    notes.create({"_id": "c", "n": 0})

    def add_one(transaction: Transaction) -> None:
        n = checked(transaction.call("GET", "notes/docs/c"))["n"]
        checked(transaction.call("PATCH", "notes/docs/c", {"n": n + 1}))

    def call(_: int) -> Reply:
        until_committed(notes, add_one)
        return notes.get("c")

    at_once(16, call)
    found = notes.get("c").json
    assert (found["n"], found["_version"]) == (16, 17)
    assert len(notes.project.events("baas.db.document.updated")) == 16


def test_single_writes_beside_transactions_are_not_lost(notes: Collection) -> None:
    notes.create({"_id": "c", "n": 0})

    def add_one(transaction: Transaction) -> None:
        n = checked(transaction.call("GET", "notes/docs/c"))["n"]
        checked(transaction.call("PATCH", "notes/docs/c", {"n": n + 1}))

    def call(number: int) -> Reply:
        if number % 2:
            return notes.patch("c", {"$inc": {"n": 1}})
        until_committed(notes, add_one)
        return notes.get("c")

    assert {reply.status for reply in at_once(24, call)} == {200}
    assert notes.get("c").json["n"] == 24


def test_money_is_neither_made_nor_lost(notes: Collection) -> None:
    """Transfers between accounts; readers within transactions always see the same sum."""
    notes.create([{"_id": f"a{number}", "money": 100} for number in range(4)])

    def transfer(number: int) -> Reply:
        source, target = f"a{number % 4}", f"a{(number * 7 + 1) % 4}"

        def work(transaction: Transaction) -> None:
            money = checked(transaction.call("GET", f"notes/docs/{source}"))["money"]
            amount = min(30, money)
            checked(transaction.call("PATCH", f"notes/docs/{source}", {"$inc": {"money": -amount}}))
            checked(transaction.call("PATCH", f"notes/docs/{target}", {"$inc": {"money": amount}}))

        def audit(transaction: Transaction) -> None:
            items = checked(transaction.call("POST", "notes/query", {}))["items"]
            assert sum(item["money"] for item in items) == 400

        until_committed(notes, audit if number % 5 == 0 else work)
        return notes.get("a0")

    at_once(20, transfer)
    documents = notes.query().json["items"]
    assert sum(document["money"] for document in documents) == 400
    assert all(document["money"] >= 0 for document in documents)


def test_independent_transactions_all_commit(notes: Collection) -> None:
    notes.create([{"_id": f"old{number}", "n": 0} for number in range(16)])

    def call(number: int) -> Reply:
        transaction = start(notes)
        checked(transaction.call("POST", "notes/docs", {"_id": f"new{number}"}))
        checked(transaction.call("PATCH", f"notes/docs/old{number}", {"$inc": {"n": 1}}))
        return transaction.commit()

    assert Counter(reply.status for reply in at_once(16, call)) == {200: 16}
    assert len(notes.ids(limit=100)) == 32
    assert len(notes.project.events()) == 16 + 32


def test_parallel_calls_of_one_transaction_take_turns(notes: Collection) -> None:
    transaction = start(notes)
    replies = at_once(
        16, lambda number: transaction.call("POST", "notes/docs", {"_id": f"d{number}"})
    )
    assert Counter(reply.status for reply in replies) == {201: 16}
    assert transaction.commit().status == 200
    assert len(notes.project.events()) == 16


def test_a_transaction_commits_once(notes: Collection) -> None:
    transaction = start(notes)
    checked(transaction.call("POST", "notes/docs", {"_id": "a"}))
    replies = at_once(8, lambda _: transaction.commit())
    assert Counter(reply.status for reply in replies) == {200: 1, 404: 7}
    assert len(notes.project.events()) == 1


def test_two_bring_the_same_collection_into_being(notes: Collection) -> None:
    def call(number: int) -> Reply:
        transaction = start(notes)
        checked(transaction.call("POST", "fresh/docs", {"_id": f"d{number}"}))
        return transaction.commit()

    assert Counter(reply.status for reply in at_once(8, call)) == {200: 8}
    assert len(Collection(notes.client, notes.project, "fresh").ids()) == 8


def test_one_of_many_puts_the_same_new_document(notes: Collection) -> None:
    """PUT of an id that others make at the same moment: created once, then replaced."""
    notes.create({"_id": "other"})

    def call(number: int) -> Reply:
        if number % 2:
            return notes.put("x", {"n": number})
        transaction = start(notes)
        reply = transaction.call("PUT", "notes/docs/x", {"n": number})
        return transaction.commit() if reply.status < 300 else reply

    replies = at_once(24, call)
    assert {reply.status for reply in replies} <= {200, 201, 409}, replies
    done = sum(reply.status in (200, 201) for reply in replies)
    assert notes.get("x").json["_version"] == done


def test_a_free_one_is_claimed_by_one_transaction_only(notes: Collection) -> None:
    notes.create([{"_id": f"t{number}", "state": "free"} for number in range(8)])
    claim = {
        "filter": {"state": "free"},
        "update": {"$set": {"state": "taken"}},
        "sort": ["_id"],
        "return": "after",
    }

    def work(transaction: Transaction) -> None:
        document = checked(transaction.call("POST", "notes/update-one", claim))["document"]
        checked(transaction.call("POST", "claims/docs", {"_id": document["_id"]}))

    def call(_: int) -> Reply:
        until_committed(notes, work)
        return notes.get("t0")

    at_once(8, call)
    claimed = Collection(notes.client, notes.project, "claims").ids()
    assert claimed == [f"t{number}" for number in range(8)]
    assert notes.ids(filter={"state": "free"}) == []


def test_writes_by_filter_beside_single_writers(notes: Collection) -> None:
    """What PostgreSQL calls an update of a row that another has changed is only another try."""
    notes.create([{"_id": f"d{number}", "n": 0} for number in range(4)])
    all_of_them = {"filter": {}, "update": {"$inc": {"n": 1}}}

    def call(number: int) -> Reply:
        if number % 3 == 0:
            transaction = start(notes)
            checked(transaction.call("POST", "notes/update-many", all_of_them))
            return transaction.commit()
        return notes.patch(f"d{number % 4}", {"$inc": {"n": 1}})

    statuses = Counter(reply.status for reply in at_once(24, call))
    assert statuses == {200: 24}
    documents = notes.query().json["items"]
    assert sum(document["n"] for document in documents) == 8 * 4 + 16
