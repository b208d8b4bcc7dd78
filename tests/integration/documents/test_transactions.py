"""Interactive transactions: what is seen within and without, conflicts, ends, limits."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.installation import Client, Reply, TestProject
from tests.integration.documents.conftest import Collection

SignUp = Callable[[str], tuple[str, str]]


class Transaction:
    """One transaction of one caller."""

    def __init__(self, client: Client, project: TestProject, token: str | None = None) -> None:
        self.client = client
        self.path = f"{project.path}/db/transactions"
        self.token = token or project.secret_key
        self.db = f"{project.path}/db"
        reply = client.post(self.path, token=self.token)
        assert reply.status == 201, reply
        self.id: str = reply.json["id"]

    def call(self, method: str, path: str, json: Any = None, **headers: str) -> Reply:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(
            method,
            f"{self.db}/{path}",
            json=json,
            token=self.token,
            headers={"X-Transaction": self.id, **given},
        )

    def commit(self, **headers: str) -> Reply:
        return self.end("commit", **headers)

    def end(self, how: str, token: str | None = None, **headers: str) -> Reply:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(
            f"{self.path}/{self.id}/{how}", token=token or self.token, headers=given
        )


@pytest.fixture
def begin(client: Client, project: TestProject) -> Callable[..., Transaction]:
    def make(token: str | None = None) -> Transaction:
        return Transaction(client, project, token)

    return make


Begin = Callable[..., Transaction]


def test_nothing_is_seen_outside_before_the_commit(notes: Collection, begin: Begin) -> None:
    notes.create({"_id": "old", "n": 1})
    before = notes.project.events()
    transaction = begin()
    assert transaction.call("POST", "notes/docs", {"_id": "new"}).status == 201
    assert transaction.call("PATCH", "notes/docs/old", {"$inc": {"n": 1}}).json["n"] == 2
    assert notes.get("new").status == 404
    assert notes.get("old").json["n"] == 1
    assert notes.project.events() == before
    assert transaction.commit().json == {"id": transaction.id, "state": "committed"}
    assert notes.get("new").status == 200
    assert notes.get("old").json["n"] == 2
    assert notes.project.events()[len(before) :] == [
        ("baas.db.document.created", "notes/new"),
        ("baas.db.document.updated", "notes/old"),
    ]


def test_a_transaction_sees_its_own_writes(notes: Collection, begin: Begin) -> None:
    notes.create([{"_id": "a", "n": 1}, {"_id": "b", "n": 2}])
    transaction = begin()
    transaction.call("POST", "notes/docs", {"_id": "c", "n": 3})
    transaction.call("DELETE", "notes/docs/a")
    transaction.call("PATCH", "notes/docs/b", {"n": 9})
    listed = transaction.call("POST", "notes/query", {"filter": {"n": {"$gt": 2}}}).json["items"]
    assert [item["_id"] for item in listed] == ["b", "c"]
    assert transaction.call("POST", "notes/count", {}).json == {"total": 2}
    assert transaction.call("GET", "notes/docs/a").code == "document_not_found"
    assert transaction.call("GET", "notes/docs?filter={}").status == 200
    assert notes.ids() == ["a", "b"]
    assert transaction.commit().status == 200
    assert notes.ids() == ["b", "c"]


def test_what_was_answered_is_what_is_committed(notes: Collection, begin: Begin) -> None:
    """Ids, times and versions that the server makes do not change until the commit."""
    transaction = begin()
    made = transaction.call("POST", "notes/docs", {"n": 1}).json
    many = transaction.call("POST", "notes/docs", [{"n": 2}, {"n": 3}]).json["items"]
    changed = transaction.call("PATCH", f"notes/docs/{made['_id']}", {"n": 5}).json
    assert changed["_version"] == 2
    assert changed["_createdAt"] == made["_createdAt"] < changed["_updatedAt"]
    assert transaction.commit().status == 200
    assert notes.get(made["_id"]).json == changed
    assert [notes.get(item["_id"]).json for item in many] == many
    assert len({made["_id"], *[item["_id"] for item in many]}) == 3


def test_events_happen_once_whatever_the_number_of_calls(notes: Collection, begin: Begin) -> None:
    transaction = begin()
    for number in range(10):
        transaction.call("POST", "notes/docs", {"_id": f"d{number}"})
    assert notes.project.events() == []
    transaction.commit()
    subjects = [subject for _, subject in notes.project.events()]
    assert subjects == [f"notes/d{number}" for number in range(10)]


def test_a_rollback_leaves_nothing(notes: Collection, begin: Begin) -> None:
    notes.create({"_id": "a"})
    before = notes.project.events()
    transaction = begin()
    transaction.call("DELETE", "notes/docs/a")
    transaction.call("POST", "fresh/docs", {"_id": "x"})
    reply = transaction.end("rollback")
    assert (reply.status, reply.json["state"]) == (200, "rolled_back")
    assert notes.ids() == ["a"]
    assert notes.project.events() == before
    assert transaction.call("GET", "notes/docs/a").code == "transaction_not_found"
    assert transaction.commit().code == "transaction_not_found"
    assert transaction.end("rollback").code == "transaction_not_found"


def test_a_collection_may_be_brought_into_being_inside(notes: Collection, begin: Begin) -> None:
    transaction = begin()
    assert transaction.call("POST", "fresh/docs", {"_id": "x", "n": 1}).status == 201
    assert transaction.call("PATCH", "fresh/docs/x", {"n": 2}).json["_version"] == 2
    other = Collection(notes.client, notes.project, "fresh")
    assert other.get("x").status == 404
    assert transaction.commit().status == 200
    assert other.get("x").json["n"] == 2


def test_a_refused_call_makes_no_collection(notes: Collection, begin: Begin) -> None:
    transaction = begin()
    assert transaction.call("POST", "fresh/docs", {"_id": "x y"}).code == "invalid_id"
    assert transaction.call("POST", "fresh/docs", {"a.b": 1}).code == "invalid_field_name"
    assert transaction.call("POST", "fresh/query", {}).json["items"] == []
    assert transaction.call("POST", "fresh/docs", {"_id": "x"}).status == 201
    assert transaction.commit().status == 200
    assert Collection(notes.client, notes.project, "fresh").ids() == ["x"]


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "notes/docs", {"a.b": 1}, "invalid_field_name"),
        ("POST", "notes/docs", {"_id": "a"}, "document_exists"),
        ("PATCH", "notes/docs/none", {"n": 1}, "document_not_found"),
        ("PATCH", "notes/docs/a", {"$inc": {"s": 1}}, "invalid_update"),
        ("POST", "notes/query", {"filter": {"$what": 1}}, "unsupported_operator"),
        ("POST", "no such/docs", {}, "invalid_collection_name"),
        ("POST", "commit", {"writes": 5}, "malformed_request"),
    ],
)
def test_a_refused_call_leaves_no_trace_and_the_transaction_open(
    notes: Collection, begin: Begin, method: str, path: str, body: Any, code: str
) -> None:
    notes.create({"_id": "a", "s": "text"})
    before = notes.project.events()
    transaction = begin()
    transaction.call("POST", "notes/docs", {"_id": "b"})
    assert transaction.call(method, path, body).code == code
    assert notes.project.events() == before
    transaction.call("POST", "notes/docs", {"_id": "c"})
    assert transaction.commit().status == 200
    assert notes.ids() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "notes/docs?sort=-n&limit=3", None),
        ("POST", "notes/query", {"sort": ["-n"], "limit": 2, "count": True}),
        ("POST", "notes/distinct", {"field": "k"}),
        ("POST", "notes/aggregate", {"pipeline": [{"$sample": {"size": 5}}]}),
        ("POST", "notes/aggregate", {"pipeline": [{"$addFields": {"r": {"$rand": {}}}}]}),
        ("POST", "notes/aggregate", {"pipeline": [{"$project": {"t": "$$NOW"}}]}),
        ("POST", "notes/aggregate", {"pipeline": [{"$project": {"t": "$_updatedAt"}}]}),
        (
            "POST",
            "notes/aggregate",
            {"pipeline": [{"$group": {"_id": "$k", "n": {"$sum": "$n"}}}, {"$sort": {"_id": 1}}]},
        ),
        (
            "POST",
            "notes/update-one",
            {"filter": {"k": 1}, "update": {"$inc": {"n": 1}}, "return": "after"},
        ),
        ("POST", "notes/update-many", {"filter": {"k": 1}, "update": {"$set": {"x": 1}}}),
        (
            "POST",
            "notes/update-one",
            {"filter": {"k": 7}, "update": {"$set": {"x": 1}}, "upsert": True},
        ),
        ("PATCH", "notes/docs/d3", {"$currentDate": {"at": True}}),
        ("POST", "notes/delete-one", {"filter": {"k": 1}, "return": "before"}),
        ("POST", "notes/delete-many", {"filter": {"k": 2}}),
        ("POST", "commit", {"writes": [{"op": "create", "collection": "notes", "data": {}}]}),
    ],
)
def test_every_call_answers_the_same_when_it_is_carried_out_again(
    notes: Collection, begin: Begin, method: str, path: str, body: Any
) -> None:
    notes.create([{"_id": f"d{n}", "n": n, "k": n % 3} for n in range(10)])
    before = notes.project.events()
    transaction = begin()
    transaction.call("POST", "notes/docs", {"n": 100, "k": 1})
    reply = transaction.call(method, path, body)
    assert reply.status < 300, reply
    time.sleep(0.002)
    transaction.call("GET", "notes/docs/d4")
    assert notes.project.events() == before
    done = transaction.commit()
    assert done.status == 200, done


def test_versions_are_those_within(notes: Collection, begin: Begin) -> None:
    notes.create({"_id": "a", "n": 1})
    transaction = begin()
    assert transaction.call("PUT", "notes/docs/a", {"n": 2}, If_Match='"1"').status == 200
    refused = transaction.call("PUT", "notes/docs/a", {"n": 3}, If_Match='"1"')
    assert refused.code == "version_mismatch"
    assert transaction.call("GET", "notes/docs/a", If_None_Match='"2"').status == 304
    assert transaction.commit().status == 200
    assert notes.get("a").json["n"] == 2


def test_a_batch_is_one_call(notes: Collection, begin: Begin) -> None:
    notes.create({"_id": "a", "n": 1})
    transaction = begin()
    writes = [
        {"op": "create", "collection": "notes", "id": "b", "data": {}},
        {"op": "update", "collection": "notes", "id": "a", "update": {"$inc": {"n": 1}}},
    ]
    results = transaction.call("POST", "commit", {"writes": writes}).json["results"]
    assert [result["_version"] for result in results] == [1, 2]
    assert transaction.call("GET", "notes/docs/a").json["n"] == 2
    assert notes.ids() == ["a"]
    assert transaction.commit().status == 200
    assert notes.ids() == ["a", "b"]


def test_a_failed_precondition_of_a_batch_is_a_conflict_and_ends_it(
    notes: Collection, begin: Begin
) -> None:
    notes.create({"_id": "a"})
    before = notes.project.events()
    transaction = begin()
    transaction.call("POST", "notes/docs", {"_id": "b"})
    write = {"op": "set", "collection": "notes", "id": "a", "data": {}, "if_version": 7}
    assert transaction.call("POST", "commit", {"writes": [write]}).code == "transaction_conflict"
    assert transaction.commit().code == "transaction_not_found"
    assert (notes.ids(), notes.project.events()) == (["a"], before)


# Conflicts


def test_a_read_document_that_others_change_is_a_conflict_and_the_retry_works(
    notes: Collection, begin: Begin
) -> None:
    notes.create({"_id": "a", "n": 1})
    transaction = begin()
    seen = transaction.call("GET", "notes/docs/a").json["n"]
    notes.patch("a", {"n": 100})
    before = notes.project.events()
    reply = transaction.call("PATCH", "notes/docs/a", {"n": seen + 1})
    assert (reply.status, reply.code) == (409, "transaction_conflict")
    assert reply.json["errors"][0]["field"] == "calls[0]"
    assert transaction.commit().code == "transaction_not_found"
    assert notes.project.events() == before
    again = begin()
    seen = again.call("GET", "notes/docs/a").json["n"]
    again.call("PATCH", "notes/docs/a", {"n": seen + 1})
    assert again.commit().status == 200
    assert notes.get("a").json["n"] == 101


def test_a_conflict_is_found_at_the_commit_too(notes: Collection, begin: Begin) -> None:
    notes.create({"_id": "a", "n": 1})
    transaction = begin()
    transaction.call("PATCH", "notes/docs/a", {"n": 2})
    notes.patch("a", {"m": 1})
    before = notes.project.events()
    assert transaction.commit().code == "transaction_conflict"
    assert notes.project.events() == before
    assert transaction.commit().code == "transaction_not_found"
    assert notes.get("a").json["n"] == 1


def test_a_phantom_is_a_conflict(notes: Collection, begin: Begin) -> None:
    """Count, then write as if nobody could have added one since."""
    notes.create({"_id": "a", "room": 7})
    transaction = begin()
    counted = transaction.call("POST", "notes/count", {"filter": {"room": 7}})
    assert counted.json == {"total": 1}
    transaction.call("POST", "notes/docs", {"_id": "mine", "room": 7})
    notes.create({"_id": "phantom", "room": 7})
    assert transaction.commit().code == "transaction_conflict"
    assert notes.ids() == ["a", "phantom"]


def test_what_was_missing_when_asked_for_must_still_be_missing(
    notes: Collection, begin: Begin
) -> None:
    notes.create({"_id": "a"})
    transaction = begin()
    assert transaction.call("GET", "notes/docs/b").code == "document_not_found"
    transaction.call("PATCH", "notes/docs/a", {"b": "missing"})
    notes.create({"_id": "b"})
    assert transaction.commit().code == "transaction_conflict"
    assert "b" not in notes.get("a").json


def test_others_that_change_what_was_not_seen_do_not_disturb(
    notes: Collection, begin: Begin
) -> None:
    notes.create([{"_id": "a", "n": 1}, {"_id": "b", "n": 1}])
    transaction = begin()
    transaction.call("GET", "notes/docs/a")
    transaction.call("POST", "notes/docs", {"_id": "c"})
    notes.patch("b", {"n": 2})
    notes.create({"_id": "d"})
    assert transaction.commit().status == 200
    assert notes.ids() == ["a", "b", "c", "d"]


def test_a_collection_that_is_dropped_meanwhile_is_a_conflict(
    notes: Collection, begin: Begin
) -> None:
    notes.create({"_id": "a"})
    transaction = begin()
    transaction.call("GET", "notes/docs/a")
    path = f"{notes.project.path}/collections/notes"
    assert notes.client.delete(path, token=notes.project.secret_key).status == 204
    before = notes.project.events()
    assert transaction.call("POST", "notes/docs", {}).code == "transaction_conflict"
    assert transaction.commit().code == "transaction_not_found"
    assert notes.project.events() == before


def test_rules_that_change_meanwhile_are_a_conflict(
    notes: Collection, begin: Begin, sign_up: SignUp
) -> None:
    notes.declare(rules={"read": "public", "create": "authenticated"})
    transaction = begin(sign_up("alice")[0])
    assert transaction.call("POST", "notes/docs", {"_id": "a"}).status == 201
    notes.declare(rules={"read": "public"})
    before = notes.project.events()
    assert transaction.commit().code == "transaction_conflict"
    assert (notes.ids(), notes.project.events()) == ([], before)


# Ends and limits


@pytest.mark.parametrize("id", ["none", "x" * 500, "é", "%00", "../commit", "0"])
def test_unknown_ids_are_not_found(notes: Collection, begin: Begin, id: str) -> None:
    transaction = begin()
    transaction.id = id.replace("%00", "x")
    assert transaction.call("POST", "notes/docs", {}).code == "transaction_not_found"
    assert transaction.call("POST", "commit", {"writes": []}).code == "transaction_not_found"
    assert notes.project.events() == []


def test_others_do_not_find_it(notes: Collection, begin: Begin, sign_up: SignUp) -> None:
    notes.declare(rules=dict.fromkeys(("read", "create", "update", "delete"), "authenticated"))
    alice, bob = sign_up("alice")[0], sign_up("bob")[0]
    transaction = begin(alice)
    assert transaction.call("POST", "notes/docs", {"_id": "a"}).status == 201
    for token in (bob, notes.project.secret_key):
        assert transaction.end("commit", token).code == "transaction_not_found"
        assert transaction.end("rollback", token).code == "transaction_not_found"
        transaction.token = token
        assert transaction.call("GET", "notes/docs/a").code == "transaction_not_found"
    transaction.token = alice
    assert notes.project.events("baas.db%") == []
    assert transaction.commit().status == 200


def test_another_project_does_not_find_it(
    notes: Collection, begin: Begin, make_project: Callable[[], TestProject]
) -> None:
    elsewhere = make_project()
    transaction = begin()
    reply = notes.client.post(
        f"{elsewhere.path}/db/notes/docs",
        {},
        token=elsewhere.secret_key,
        headers={"X-Transaction": transaction.id},
    )
    assert reply.code == "transaction_not_found"
    assert elsewhere.events() == []


def test_it_expires_and_leaves_nothing(notes: Collection, begin: Begin) -> None:
    """A vanished client: nobody commits, nobody rolls back."""
    from baas.kernel import db
    from documents.transactions import store

    transaction = begin()
    transaction.call("POST", "notes/docs", {"_id": "a"})
    db.execute(
        "UPDATE documents_transaction SET expires_at = now() - interval '1 ms' WHERE id = %s",
        (transaction.id,),
    )
    assert transaction.call("GET", "notes/docs/a").code == "transaction_not_found"
    assert transaction.commit().code == "transaction_not_found"
    assert notes.project.events() == []
    store.sweep()
    left = db.fetch_one(
        "SELECT (SELECT count(*) FROM documents_transaction WHERE id = %(id)s),"
        " (SELECT count(*) FROM documents_transactioncall WHERE transaction_id = %(id)s)",
        {"id": transaction.id},
    )
    assert left == (0, 0)


def test_an_open_transaction_holds_no_locks_and_no_position_in_the_log(
    notes: Collection, begin: Begin
) -> None:
    from baas.kernel import db, events

    notes.create({"_id": "a", "n": 1})
    transaction = begin()
    transaction.call("PATCH", "notes/docs/a", {"n": 2})
    assert db.fetch_one(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND state LIKE 'idle in transaction%%'",
        (),
    ) == (0,)
    head = events.head()
    assert notes.patch("a", {"n": 3}).status == 200
    read = events.read(head)
    assert [event.subject for event in read] == ["notes/a"]


def test_its_calls_are_limited_in_number(
    notes: Collection, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    from documents.transactions import store

    assert store.MAX_CALLS == 100
    monkeypatch.setattr(store, "MAX_CALLS", 20)
    transaction = begin()
    for number in range(20):
        reply = transaction.call("POST", "notes/docs", {"_id": f"d{number:03}"})
        assert reply.status == 201, reply
    refused = transaction.call("POST", "notes/docs", {"_id": "over"})
    assert (refused.status, refused.code) == (413, "transaction_too_large")
    assert notes.project.events() == []
    assert transaction.commit().status == 200
    assert len(notes.project.events()) == 20


def test_its_calls_are_limited_in_size(
    notes: Collection, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    from documents.transactions import store

    monkeypatch.setattr(store, "MAX_BYTES", 5000)
    transaction = begin()
    assert transaction.call("POST", "notes/docs", {"_id": "a", "t": "x" * 3000}).status == 201
    refused = transaction.call("POST", "notes/docs", {"_id": "b", "t": "x" * 3000})
    assert refused.code == "transaction_too_large"
    assert transaction.call("POST", "notes/docs", {"_id": "c"}).status == 201
    assert transaction.commit().status == 200
    assert notes.ids() == ["a", "c"]


def test_the_calls_of_all_transactions_of_a_caller_are_limited_in_size(
    notes: Collection, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    from documents.transactions import store

    monkeypatch.setattr(store, "MAX_BYTES_OF_CALLER", 5000)
    first, second = begin(), begin()
    assert first.call("POST", "notes/docs", {"_id": "a", "t": "x" * 3000}).status == 201
    refused = second.call("POST", "notes/docs", {"_id": "b", "t": "x" * 3000})
    assert refused.code == "transaction_too_large"
    assert first.commit().status == 200
    assert second.call("POST", "notes/docs", {"_id": "b", "t": "x" * 3000}).status == 201
    assert second.commit().status == 200
    assert notes.ids() == ["a", "b"]


def test_a_caller_has_a_limited_number_of_them_open(
    notes: Collection, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    from documents.transactions import store

    monkeypatch.setattr(store, "MAX_OPEN_OF_CALLER", 2)
    first = begin()
    begin()
    refused = notes.client.post(first.path, token=first.token)
    assert (refused.status, refused.code) == (429, "too_many_transactions")
    first.end("rollback")
    begin()


def test_calls_that_cannot_be_part_of_one_say_so(notes: Collection, begin: Begin) -> None:
    transaction = begin()
    nested = transaction.call("POST", "transactions")
    assert (nested.status, nested.code) == (422, "not_in_transaction")
    assert transaction.commit(X_Transaction=transaction.id).code == "not_in_transaction"
    assert transaction.commit().status == 200


def test_callers_without_an_identity_sign_in_first(
    notes: Collection, begin: Begin, client: Client
) -> None:
    path = f"{notes.project.path}/db/transactions"
    reply = client.post(path)
    assert (reply.status, reply.code) == (401, "invalid_token")
    anonymous = client.post(f"{notes.project.path}/auth/anonymous").json["access_token"]
    assert begin(anonymous).commit().status == 200


# Rules


def test_rules_apply_within(notes: Collection, begin: Begin, sign_up: SignUp) -> None:
    notes.declare(rules={"read": "owner", "create": "owner", "update": "owner", "delete": "owner"})
    (alice, alice_uid), (bob, _) = sign_up("alice"), sign_up("bob")
    notes.create({"_id": "bobs", "_owner": "somebody"})
    before = notes.project.events()
    transaction = begin(alice)
    made = transaction.call("POST", "notes/docs", {"_id": "mine"})
    assert made.json["_owner"] == alice_uid
    assert transaction.call("GET", "notes/docs/bobs").code == "document_not_found"
    assert transaction.call("PATCH", "notes/docs/bobs", {"x": 1}).code == "document_not_found"
    assert transaction.call("POST", "closed/docs", {}).code == "rule_denied"
    listed = transaction.call("POST", "notes/query", {}).json["items"]
    assert [item["_id"] for item in listed] == ["mine"]
    assert notes.project.events() == before
    assert transaction.commit().status == 200
    assert notes.ids(bob) == []
    assert notes.ids(alice) == ["mine"]


def test_a_rule_that_others_turn_against_it_is_a_conflict(
    notes: Collection, begin: Begin, sign_up: SignUp
) -> None:
    """get() in a rule reads within the transaction, and what it read must still hold."""
    members = Collection(notes.client, notes.project, "members")
    rule = "get('members', auth.uid).active == true"
    notes.declare(rules={"read": rule, "create": rule})
    alice, uid = sign_up("alice")
    members.create({"_id": uid, "active": True})
    transaction = begin(alice)
    assert transaction.call("POST", "notes/docs", {"_id": "a"}).status == 201
    members.patch(uid, {"active": False})
    before = notes.project.events()
    assert transaction.commit().code == "transaction_conflict"
    assert (notes.ids(), notes.project.events()) == ([], before)


def test_a_rule_reads_what_the_transaction_wrote(
    notes: Collection, begin: Begin, sign_up: SignUp
) -> None:
    members = Collection(notes.client, notes.project, "members")
    members.declare(rules={"create": "data._id == auth.uid", "read": "closed"})
    notes.declare(rules={"create": "get('members', auth.uid) != null"})
    alice, uid = sign_up("alice")
    transaction = begin(alice)
    assert transaction.call("POST", "notes/docs", {}).code == "rule_denied"
    assert transaction.call("POST", "members/docs", {"_id": uid}).status == 201
    assert transaction.call("POST", "notes/docs", {"_id": "a"}).status == 201
    assert transaction.commit().status == 200
    assert notes.ids() == ["a"]


# Idempotency keys


def test_a_repeated_call_with_the_same_key_is_made_once(notes: Collection, begin: Begin) -> None:
    transaction = begin()
    first = transaction.call("POST", "notes/docs", {"n": 1}, Idempotency_Key="k")
    again = transaction.call("POST", "notes/docs", {"n": 1}, Idempotency_Key="k")
    assert (again.status, again.json) == (201, first.json)
    assert again.headers["idempotency-replayed"] == "true"
    other = transaction.call("POST", "notes/docs", {"n": 2}, Idempotency_Key="k")
    assert other.code == "idempotency_key_reused"
    assert transaction.commit().status == 200
    assert notes.ids() == [first.json["_id"]]


def test_a_key_means_another_call_in_the_next_transaction(notes: Collection, begin: Begin) -> None:
    """Who begins again after a conflict sends the same keys, and everything has to happen."""
    for n in (1, 2):
        transaction = begin()
        reply = transaction.call("POST", "notes/docs", {"_id": "a"}, Idempotency_Key="k")
        assert (reply.status, "idempotency-replayed" in reply.headers) == (201, False)
        transaction.end("rollback" if n == 1 else "commit")
    assert notes.ids() == ["a"]


def test_a_repeated_commit_with_its_key_gets_the_first_reply(
    notes: Collection, begin: Begin
) -> None:
    transaction = begin()
    transaction.call("POST", "notes/docs", {"_id": "a"})
    first = transaction.commit(Idempotency_Key="once")
    again = transaction.commit(Idempotency_Key="once")
    assert (first.status, again.status, again.json) == (200, 200, first.json)
    assert again.headers["idempotency-replayed"] == "true"
    assert transaction.commit().code == "transaction_not_found"
    assert len(notes.project.events()) == 1
