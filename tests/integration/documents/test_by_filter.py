"""Writes by filter: find-and-modify, upserts, many at once, positions, rules."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.installation import Reply
from tests.integration.documents.conftest import Collection
from tests.integration.documents.test_concurrency import at_once

SignUp = Callable[[str], tuple[str, str]]


def write(notes: Collection, verb: str, token: str | None = "secret", **body: Any) -> Reply:
    return notes.client.post(
        f"{notes.path}/{verb}", body, token=notes.project.secret_key if token == "secret" else token
    )


def done(notes: Collection, verb: str, token: str | None = "secret", **body: Any) -> Any:
    reply = write(notes, verb, token, **body)
    assert reply.status == 200, reply
    return reply.json


def stored(notes: Collection) -> dict[str, Any]:
    """The user's fields of all documents by id."""
    items = notes.query(limit=1000).json["items"]
    return {
        item["_id"]: {key: value for key, value in item.items() if not key.startswith("_")}
        for item in items
    }


# One


def test_update_one_changes_the_first_in_the_order(notes: Collection) -> None:
    notes.create([{"_id": "a", "n": 1}, {"_id": "b", "n": 3}, {"_id": "c", "n": 2}])
    update = {"$inc": {"n": 10}}
    assert done(notes, "update-one", filter={"n": {"$lt": 9}}, update=update) == {
        "matched": 1,
        "modified": 1,
    }
    found = done(notes, "update-one", filter={}, update=update, sort=["-n"], **{"return": "before"})
    assert (found["document"]["_id"], found["document"]["n"]) == ("a", 11)
    found = done(notes, "update-one", filter={"_id": "c"}, update={"n": 0}, **{"return": "after"})
    assert (found["document"]["n"], found["document"]["_version"]) == (0, 2)
    assert stored(notes) == {"a": {"n": 21}, "b": {"n": 3}, "c": {"n": 0}}
    assert len(notes.project.events("baas.db.document.updated")) == 3


def test_what_does_not_match_or_change_makes_no_event(notes: Collection) -> None:
    notes.create({"_id": "a", "n": 1})
    before = notes.project.events()
    for filter, matched in (({"n": 9}, 0), ({"n": 1}, 1)):
        for verb in ("update-one", "update-many"):
            reply = done(notes, verb, filter=filter, update={"$set": {"n": 1}})
            assert reply == {"matched": matched, "modified": 0}
    assert done(notes, "replace-one", filter={}, replacement={"n": 1}) == {
        "matched": 1,
        "modified": 0,
    }
    assert done(notes, "delete-one", filter={"n": 9}) == {"deleted": 0}
    assert done(notes, "delete-many", filter={"n": 9}) == {"deleted": 0}
    nothing = done(notes, "update-one", filter={"n": 9}, update={"n": 1}, **{"return": "after"})
    assert nothing["document"] is None
    assert notes.get("a").json["_version"] == 1
    assert notes.project.events() == before


def test_replace_one_keeps_the_id(notes: Collection) -> None:
    notes.create({"_id": "a", "n": 1, "o": 2})
    found = done(notes, "replace-one", filter={"n": 1}, replacement={"x": 1}, **{"return": "after"})
    assert found["document"]["_id"] == "a"
    assert stored(notes) == {"a": {"x": 1}}
    refused = write(notes, "replace-one", filter={"x": 1}, replacement={"_id": "b"})
    assert (refused.status, refused.code) == (422, "invalid_id")
    assert done(notes, "replace-one", filter={"x": 1}, replacement={"_id": "a", "y": 2})["modified"]
    assert stored(notes) == {"a": {"y": 2}}


def test_delete_one_takes_the_first_and_can_show_it(notes: Collection) -> None:
    notes.create([{"_id": "a", "n": 1}, {"_id": "b", "n": 2}, {"_id": "c", "n": 3}])
    assert done(notes, "delete-one", filter={}) == {"deleted": 1}
    found = done(notes, "delete-one", filter={}, sort={"n": -1}, **{"return": "before"})
    assert (found["deleted"], found["document"]["_id"]) == (1, "c")
    assert notes.ids() == ["b"]
    assert len(notes.project.events("baas.db.document.deleted")) == 2
    assert write(notes, "delete-one", filter={}, **{"return": "after"}).code == "invalid_query"


# Elements


@pytest.mark.parametrize(
    ("filter", "update", "filters", "expected"),
    [
        ({"n": 5}, {"$set": {"n.$": 6}}, None, {"n": [1, 6, 9, 5]}),
        ({"n": {"$gt": 1, "$lt": 9}}, {"$inc": {"n.$": 1}}, None, {"n": [1, 6, 9, 5]}),
        ({"d.k": 2}, {"$set": {"d.$.v": 0}}, None, {"d": [{"k": 1}, {"k": 2, "v": 0}]}),
        ({"d": {"k": 2}}, {"$unset": {"d.$": 1}}, None, {"d": [{"k": 1}, None]}),
        ({"d.k": {"$in": [2]}}, {"$inc": {"d.$.k": 5}}, None, {"d": [{"k": 1}, {"k": 7}]}),
        ({"$and": [{"_id": "a"}, {"n": 9}]}, {"$mul": {"n.$": 2}}, None, {"n": [1, 5, 18, 5]}),
        ({"d.k": {"$exists": True}}, {"$set": {"d.$.k": 5}}, None, {"d": [{"k": 5}, {"k": 2}]}),
        ({}, {"$inc": {"n.$[x]": 1}}, [{"x": 5}], {"n": [1, 6, 9, 6]}),
        ({}, {"$inc": {"d.$[].k": 1}}, None, {"d": [{"k": 2}, {"k": 3}]}),
        ({"m": [2]}, {"$set": {"m.$": 0}}, None, {"m": [[1], 0]}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["update-one", "update-many"])
def test_positions_name_elements(
    notes: Collection, verb: str, filter: Any, update: Any, filters: Any, expected: Any
) -> None:
    document = {"n": [1, 5, 9, 5], "d": [{"k": 1}, {"k": 2}], "m": [[1], [2]]}
    notes.create({"_id": "a", **document})
    extra = {"array_filters": filters} if filters else {}
    assert done(notes, verb, filter=filter, update=update, **extra)["modified"] == 1
    assert stored(notes)["a"] == {**document, **expected}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"filter": {}, "update": {"$set": {"n.$": 1}}}, 422, "invalid_update"),
        ({"filter": {"$or": [{"n": 1}]}, "update": {"$set": {"n.$": 1}}}, 422, "invalid_update"),
        ({"filter": {"n": {"$ne": 7}}, "update": {"$set": {"n.$": 1}}}, 422, "invalid_update"),
        ({"filter": {"s": 1}, "update": {"$set": {"s.$": 1}}}, 422, "invalid_update"),
        ({"filter": {}, "update": {"$inc": {"n": 1}}}, 422, "invalid_update"),
        ({"filter": {}, "update": {"$set": {"_version": 1}}}, 422, "invalid_update"),
        ({"filter": {}, "update": {"$set": {"_id": "b"}}}, 422, "invalid_update"),
        ({"filter": {}, "update": {"$nope": {"n": 1}}}, 400, "unsupported_operator"),
        ({"filter": {}, "update": [{"$set": {"n": 1}}]}, 400, "unsupported_operator"),
        ({"filter": {"n": {"$nope": 1}}, "update": {}}, 400, "unsupported_operator"),
        ({"filter": {}}, 400, "malformed_request"),
        ({"update": {}}, 400, "invalid_query"),
        ({"filter": {}, "update": {}, "upsert": 1}, 400, "invalid_query"),
        ({"filter": {}, "update": {}, "multi": True}, 400, "invalid_query"),
        ({"filter": {}, "update": {"$set": {"n.$[x]": 1}}}, 422, "invalid_update"),
        ({"filter": {}, "update": {}, "array_filters": [{"x": 1}]}, 422, "invalid_update"),
    ],
)
@pytest.mark.parametrize("verb", ["update-one", "update-many"])
def test_wrong_writes_change_nothing(
    notes: Collection, verb: str, body: Any, status: int, code: str
) -> None:
    notes.create({"_id": "a", "n": [1], "s": 1})
    before = notes.project.events()
    reply = write(notes, verb, **body)
    assert (reply.status, reply.code) == (status, code), reply
    assert stored(notes) == {"a": {"n": [1], "s": 1}}
    assert notes.project.events() == before


# Upserts


@pytest.mark.parametrize("verb", ["update-one", "update-many"])
def test_an_upsert_makes_what_the_filter_and_the_update_say(notes: Collection, verb: str) -> None:
    made = done(
        notes,
        verb,
        filter={
            "_id": "a",
            "x": 1,
            "o.k": {"$eq": "v"},
            "n": {"$gt": 5},
            "$and": [{"y": 2}, {"$or": [{"z": 3}]}],
            "$or": [{"p": 1}, {"p": 2}],
        },
        update={"$inc": {"x": 1}, "$setOnInsert": {"new": True}, "$push": {"l": 1}},
        upsert=True,
    )
    assert made == {"matched": 0, "modified": 0, "upserted_id": "a"}
    expected = {"x": 2, "o": {"k": "v"}, "y": 2, "z": 3, "new": True, "l": [1]}
    assert stored(notes) == {"a": expected}
    again = done(notes, verb, filter={"_id": "a"}, update={"$setOnInsert": {"new": 1}}, upsert=True)
    assert again == {"matched": 1, "modified": 0}
    assert [kind for kind, _ in notes.project.events()] == ["baas.db.document.created"]


def test_upserts_take_ids_from_where_mongodb_does(notes: Collection) -> None:
    def upsert(verb: str, **body: Any) -> Any:
        return done(notes, verb, upsert=True, **{"return": "after"}, **body)["document"]

    assert len(upsert("update-one", filter={"k": 1}, update={"$set": {"v": 1}})["_id"]) >= 24
    made = upsert("update-one", filter={"k": 2}, update={"$setOnInsert": {"_id": "b"}})
    assert (made["_id"], made["k"]) == ("b", 2)
    made = upsert("replace-one", filter={"k": 3, "_id": "c"}, replacement={"v": 3})
    assert (made["_id"], "k" in made) == ("c", False)
    made = upsert("replace-one", filter={"k": 4}, replacement={"_id": "d"})
    assert made["_id"] == "d"
    made = upsert("update-one", filter={"k": 5, "_owner": "someone"}, update={"v": 5})
    assert (made["_owner"], made["v"], made["k"]) == ("someone", 5, 5)
    before = notes.project.events()
    two = write(
        notes, "update-one", filter={"_id": "x"}, update={"$setOnInsert": {"_id": "y"}}, upsert=True
    )
    assert (two.status, two.code) == (422, "invalid_id")
    twice = write(
        notes, "update-one", filter={"a": {"b": 1}, "a.c": 1}, update={"$set": {}}, upsert=True
    )
    assert (twice.status, twice.code) == (422, "invalid_update")
    matched = write(
        notes, "update-one", filter={"a": [1, 2]}, update={"$set": {"a.$": 1}}, upsert=True
    )
    assert (matched.status, matched.code) == (422, "invalid_update")
    assert notes.project.events() == before


def test_racing_upserts_make_one_document(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["k"], "unique": True}])
    body = {"filter": {"k": "x"}, "update": {"$inc": {"n": 1}}, "upsert": True}
    replies = at_once(24, lambda _: write(notes, "update-one", **body))
    assert {reply.status for reply in replies} == {200}, replies
    assert sum("upserted_id" in reply.json for reply in replies) == 1
    ((_, fields),) = stored(notes).items()
    assert fields == {"k": "x", "n": 24}


def test_an_upsert_that_meets_another_document_is_refused(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["k"], "unique": True}])
    notes.create({"_id": "a", "k": 1})
    before = notes.project.events()
    reply = write(notes, "update-one", filter={"z": 1}, update={"$set": {"k": 1}}, upsert=True)
    assert (reply.status, reply.code) == (409, "unique_violation")
    assert notes.project.events() == before


# Many


def test_update_many_changes_all_that_match_in_batches(notes: Collection) -> None:
    for start in range(0, 2500, 500):
        notes.create([{"_id": f"d{n:05}", "n": n} for n in range(start, start + 500)])
    before = len(notes.project.events())
    reply = done(notes, "update-many", filter={"n": {"$gte": 100}}, update={"$mul": {"n": 2}})
    assert reply == {"matched": 2400, "modified": 2400}
    assert len(notes.project.events("baas.db.document.updated")) == 2400
    assert len(notes.project.events()) == before + 2400
    numbers = sorted(document["n"] for document in notes_all(notes))
    assert numbers == sorted([*range(100), *range(200, 5000, 2)])
    assert done(notes, "delete-many", filter={"n": {"$gte": 100}}) == {"deleted": 2400}
    subjects = notes.project.events("baas.db.document.deleted")
    assert len(set(subjects)) == 2400
    assert notes.client.post(
        f"{notes.path}/count", {"filter": {}}, token=notes.project.secret_key
    ).json == {"total": 100}


def notes_all(notes: Collection) -> list[Any]:
    items: list[Any] = []
    cursor = None
    while True:
        page = notes.query(limit=1000, **({"cursor": cursor} if cursor else {})).json
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def test_events_of_many_tell_before_and_after(notes: Collection) -> None:
    from baas.kernel import db

    notes.create([{"_id": "a", "n": 1, "_owner": "u"}, {"_id": "b", "n": 2}])
    done(notes, "update-many", filter={}, update={"$inc": {"n": 5}})
    done(notes, "delete-many", filter={})
    rows = db.fetch_all(
        "SELECT type, subject, data->'before'->'n', data->'document'->'n',"
        " data->'document'->'_version', data->'before'->>'_owner' FROM kernel_event"
        " WHERE project_id = %s AND type <> 'baas.db.document.created' ORDER BY seq",
        (notes.project.id,),
    )
    kind = "baas.db.document."
    assert [tuple(None if cell is None else str(cell) for cell in row) for row in rows] == [
        (f"{kind}updated", "notes/a", "1", "6", "2", "u"),
        (f"{kind}updated", "notes/b", "2", "7", "2", None),
        (f"{kind}deleted", "notes/a", "6", None, None, "u"),
        (f"{kind}deleted", "notes/b", "7", None, None, None),
    ]


def test_one_that_does_not_fit_undoes_all_and_is_named(notes: Collection) -> None:
    notes.create([{"_id": "a", "n": 1}, {"_id": "b", "n": "text"}, {"_id": "c", "n": 1}])
    before = notes.project.events()
    reply = write(notes, "update-many", filter={}, update={"$inc": {"n": 1}})
    assert (reply.status, reply.code) == (422, "invalid_update")
    assert "'b'" in reply.json["detail"]
    assert stored(notes) == {"a": {"n": 1}, "b": {"n": "text"}, "c": {"n": 1}}
    assert notes.project.events() == before


def test_schema_and_unique_hold_for_many(notes: Collection) -> None:
    notes.declare(
        schema={"properties": {"n": {"maximum": 5}}},
        indexes=[{"fields": ["k"], "unique": True}],
    )
    notes.create([{"_id": "a", "n": 1, "k": 1}, {"_id": "b", "n": 5, "k": 2}])
    before = notes.project.events()
    over = write(notes, "update-many", filter={}, update={"$inc": {"n": 1}})
    assert (over.status, over.code) == (422, "schema_violation")
    same = write(notes, "update-many", filter={}, update={"$set": {"k": 7}})
    assert (same.status, same.code) == (409, "unique_violation")
    assert notes.project.events() == before
    # Each is free when all are done; as in MongoDB it is asked row by row, and may be refused.
    assert stored(notes) == {"a": {"n": 1, "k": 1}, "b": {"n": 5, "k": 2}}


def test_the_first_array_in_an_indexed_field_comes_by_update_many(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["tags"]}])
    notes.create([{"_id": f"d{n}", "tags": "a"} for n in range(5)])
    assert (
        done(notes, "update-many", filter={"tags": "a"}, update={"$set": {"tags": ["x", "y"]}})[
            "modified"
        ]
        == 5
    )
    assert len(notes.ids(filter={"tags": "y"})) == 5
    notes.create({"_id": "e", "tags": "b"})
    done(notes, "update-one", filter={"tags": "b"}, update={"$set": {"tags": ["y"]}})
    assert len(notes.ids(filter={"tags": "y"})) == 6


def test_large_documents_are_changed_a_few_at_a_time(notes: Collection) -> None:
    for n in range(24):
        notes.create({"_id": f"d{n:02}", "text": "x" * 900_000})
    assert done(notes, "update-many", filter={}, update={"$set": {"n": 1}})["modified"] == 24
    reply = write(notes, "update-many", filter={}, update={"$set": {"more": "y" * 200_000}})
    assert (reply.status, reply.code) == (413, "document_too_large")
    assert all("more" not in fields for fields in stored(notes).values())
    assert done(notes, "delete-many", filter={}) == {"deleted": 24}


# Rules


def test_what_the_caller_may_not_read_or_write_is_passed_over(
    notes: Collection, sign_up: SignUp
) -> None:
    alice, alice_id = sign_up("alice")
    _, bob_id = sign_up("bob")
    notes.declare(
        rules={
            "read": "doc.public == true || doc._owner == auth.uid",
            "update": "doc._owner == auth.uid && data.locked != true",
            "delete": "owner",
            "create": "authenticated",
        }
    )
    notes.create(
        [
            {"_id": "a1", "_owner": alice_id, "n": 1, "locked": False},
            {"_id": "b1", "_owner": bob_id, "n": 1, "public": True, "locked": False},
            {"_id": "b2", "_owner": bob_id, "n": 1, "locked": False},
            {"_id": "c1", "_owner": alice_id, "n": 1, "locked": False},
        ]
    )
    before = len(notes.project.events())
    update = {"$inc": {"n": 1}}
    assert done(notes, "update-many", alice, filter={}, update=update) == {
        "matched": 2,
        "modified": 2,
    }
    assert done(notes, "update-one", alice, filter={"_id": {"$gte": "b"}}, update=update) == {
        "matched": 1,
        "modified": 1,
    }
    assert {key: fields["n"] for key, fields in stored(notes).items()} == {
        "a1": 2,
        "b1": 1,
        "b2": 1,
        "c1": 3,
    }
    # What it would become is refused: as if it were not there.
    locking = {"$set": {"locked": True}}
    for verb in ("update-one", "update-many"):
        assert done(notes, verb, alice, filter={}, update=locking) == {"matched": 0, "modified": 0}
    assert len(notes.project.events()) == before + 3
    assert done(notes, "delete-one", alice, filter={"n": 1}) == {"deleted": 0}
    assert done(notes, "delete-many", alice, filter={}) == {"deleted": 2}
    assert sorted(stored(notes)) == ["b1", "b2"]
    assert len(notes.project.events()) == before + 5


def test_one_that_may_not_be_changed_does_not_hide_the_next(
    notes: Collection, sign_up: SignUp
) -> None:
    alice = sign_up("alice")[0]
    notes.declare(rules={"read": "public", "update": "data.n % 100 == 0", "delete": "closed"})
    notes.create([{"_id": f"d{n:03}", "n": n} for n in range(300)])
    update = {"$inc": {"n": 1}}
    found = done(notes, "update-one", alice, filter={}, update=update, **{"return": "after"})
    assert (found["document"]["_id"], found["document"]["n"]) == ("d099", 100)
    found = done(
        notes, "update-one", alice, filter={}, update=update, sort=["-n"], **{"return": "after"}
    )
    assert found["document"]["n"] == 300
    assert done(notes, "update-many", alice, filter={}, update=update) == {
        "matched": 1,
        "modified": 1,
    }
    assert len(notes.project.events("baas.db.document.updated")) == 3
    for verb in ("delete-one", "delete-many"):
        assert write(notes, verb, alice, filter={}).code == "rule_denied"
    assert len(stored(notes)) == 300


def test_a_rule_that_sql_cannot_say_is_asked_of_each_document(
    notes: Collection, sign_up: SignUp
) -> None:
    alice = sign_up("alice")[0]
    notes.declare(rules={"read": "public", "delete": "doc[doc.key] == 1"})
    notes.create([{"_id": "a", "key": "x", "x": 1}, {"_id": "b", "key": "x", "x": 2}, {"_id": "c"}])
    assert done(notes, "delete-many", alice, filter={}) == {"deleted": 1}
    assert done(notes, "delete-one", alice, filter={}) == {"deleted": 0}
    assert sorted(stored(notes)) == ["b", "c"]


@pytest.mark.parametrize("verb", ["update-one", "update-many", "delete-one", "delete-many"])
def test_a_closed_collection_is_refused(notes: Collection, verb: str, sign_up: SignUp) -> None:
    alice = sign_up("alice")[0]
    body = {"filter": {}, **({"update": {"$set": {"n": 2}}} if "update" in verb else {})}
    absent = write(notes, verb, alice, **body)
    notes.create({"_id": "a", "n": 1})
    for rules in ({}, {"read": "public"}, {"update": "public", "delete": "public"}):
        notes.declare(rules=rules)
        before = notes.project.events()
        reply = write(notes, verb, alice, **body)
        assert (reply.status, reply.code) == (403, "rule_denied")
        assert reply.json["detail"].replace("read", verb[:6]) == absent.json["detail"]
        assert notes.project.events() == before
    assert stored(notes) == {"a": {"n": 1}}


def test_an_upsert_needs_the_right_to_create(notes: Collection, sign_up: SignUp) -> None:
    alice, alice_id = sign_up("alice")
    notes.declare(rules={"read": "public", "update": "public", "create": "data.k == 1"})
    before = notes.project.events()
    body = {"update": {"$set": {"v": 1}}, "upsert": True}
    for verb in ("update-one", "update-many"):
        refused = write(notes, verb, alice, filter={"k": 2}, **body)
        assert (refused.status, refused.code) == (403, "rule_denied")
    assert notes.project.events() == before
    made = done(
        notes, "update-one", alice, filter={"k": 1, "_owner": "x"}, **body, **{"return": "after"}
    )
    assert made["document"]["_owner"] == alice_id


def test_end_users_do_not_set_system_fields(notes: Collection, sign_up: SignUp) -> None:
    alice = sign_up("alice")[0]
    notes.declare(rules={"read": "public", "update": "public"})
    notes.create({"_id": "a"})
    before = notes.project.events()
    for verb in ("update-one", "update-many"):
        refused = write(notes, verb, alice, filter={}, update={"$set": {"_owner": "me"}})
        assert (refused.status, refused.code) == (422, "invalid_update")
    assert notes.project.events() == before


# Many writers


@pytest.mark.parametrize("sorting", [{}, {"sort": ["n"]}])
def test_no_document_is_claimed_twice(notes: Collection, sorting: Any) -> None:
    notes.create([{"_id": f"d{n:02}", "n": n, "state": "free"} for n in range(20)])
    claim = {
        "filter": {"state": "free"},
        "update": {"$set": {"state": "taken"}},
        "return": "after",
        **sorting,
    }
    replies = at_once(30, lambda _: write(notes, "update-one", **claim))
    assert {reply.status for reply in replies} == {200}
    documents = [reply.json["document"] for reply in replies]
    claimed = [document["_id"] for document in documents if document]
    assert (len(claimed), len(set(claimed))) == (20, 20)


def test_increments_by_filter_add_up(notes: Collection) -> None:
    notes.create({"_id": "c", "k": 1, "n": 0})
    body = {"filter": {"k": 1}, "update": {"$inc": {"n": 1}}}
    verbs = ["update-one", "update-many"] * 25
    replies = at_once(50, lambda number: write(notes, verbs[number], **body))
    assert all(reply.json == {"matched": 1, "modified": 1} for reply in replies), replies
    assert notes.get("c").json["n"] == 50
    assert len(notes.project.events("baas.db.document.updated")) == 50


def test_many_writers_of_many_documents_do_not_lock_each_other(notes: Collection) -> None:
    notes.create([{"_id": f"d{n}", "n": 0, "m": -n} for n in range(20)])

    def call(number: int) -> Reply:
        match number % 4:
            case 0:
                return write(notes, "update-many", filter={}, update={"$inc": {"n": 1}})
            case 1:
                return write(
                    notes, "update-many", filter={"m": {"$lte": 0}}, update={"$inc": {"n": 1}}
                )
            case 2:
                sort = ["m"] if number % 8 == 2 else ["-m"]
                return write(notes, "update-one", filter={}, update={"$inc": {"n": 1}}, sort=sort)
            case _:
                return notes.patch(f"d{number % 20}", {"$inc": {"n": 1}})

    replies = at_once(40, call)
    assert Counter(reply.status for reply in replies) == {200: 40}
    assert sum(document["n"] for document in stored(notes).values()) == 20 * 20 + 20


def test_one_delete_of_many_gets_each_document(notes: Collection) -> None:
    notes.create([{"_id": f"d{n}"} for n in range(20)])
    replies = at_once(30, lambda _: write(notes, "delete-one", filter={}))
    assert sum(reply.json["deleted"] for reply in replies) == 20
    assert len(notes.project.events("baas.db.document.deleted")) == 20


def test_a_repeated_key_gets_the_first_reply(notes: Collection) -> None:
    notes.create({"_id": "a", "n": 0})
    key = {"Idempotency-Key": "one"}
    for verb in ("update-one", "update-many", "replace-one", "delete-one", "delete-many"):
        body: dict[str, Any] = {"filter": {}}
        if verb.startswith("update"):
            body["update"] = {"$inc": {"n": 1}}
        if verb.startswith("replace"):
            body["replacement"] = {"n": 7}
        replies = [
            notes.client.post(
                f"{notes.path}/{verb}", body, token=notes.project.secret_key, headers=key
            )
            for _ in range(2)
        ]
        assert [reply.status for reply in replies] == [200, 200]
        assert replies[0].body == replies[1].body
        assert replies[1].headers["idempotency-replayed"] == "true"
    assert len(notes.project.events()) == 1 + 4


def test_only_lists_know_the_order_of_near(notes: Collection) -> None:
    notes.create([{"_id": "far", "at": [2, 2]}, {"_id": "near", "at": [1, 1]}])
    before = notes.project.events()
    filter = {"at": {"$near": {"$geometry": {"type": "Point", "coordinates": [0, 0]}}}}
    for verb, body in (("update-one", {"update": {"$set": {"x": 1}}}), ("delete-one", {})):
        reply = write(notes, verb, filter=filter, **body)
        assert (reply.status, reply.code) == (400, "unsupported_operator")
    assert notes.project.events() == before
    update = {"$set": {"x": 1}}
    assert done(notes, "update-one", filter=filter, sort=["_id"], update=update)["modified"] == 1
    assert stored(notes)["far"]["x"] == 1
    assert done(notes, "update-many", filter=filter, update=update)["matched"] == 2


def test_every_operator_of_a_filter_names_the_matched_element(notes: Collection) -> None:
    document = {
        "l": [5, "text", {"$date": "2024-01-01T00:00:00Z"}, 12],
        "d": [{"k": 1, "v": [1, 2]}, {"k": 2, "v": []}],
    }
    for filter, path, place in (
        ({"l": {"$type": "string"}}, "l.$", 1),
        ({"l": {"$regex": "^te"}}, "l.$", 1),
        ({"l": {"$type": "date"}}, "l.$", 2),
        ({"l": {"$mod": [4, 0]}}, "l.$", 3),
        ({"l": {"$elemMatch": {"$gt": 6, "$lt": 20}}}, "l.$", 3),
        ({"d": {"$elemMatch": {"k": {"$gt": 1}, "v": []}}}, "d.$", 1),
        ({"d.v": {"$size": 0}}, "d.$", 1),
        ({"d.v": 2}, "d.$", 0),
        ({"d.k": {"$all": [2]}}, "d.$", 1),
    ):
        notes.put("a", document)
        assert done(notes, "update-one", filter=filter, update={"$set": {path: "here"}})["modified"]
        assert stored(notes)["a"][path[0]][place] == "here"


def test_a_filter_that_reads_too_much_is_refused(notes: Collection, settings: Any) -> None:
    notes.create([{"_id": f"d{n:03}", "n": n} for n in range(500)])
    settings.MAX_LISTED_ROWS = 10  # ten times as many for a secret key
    notes.client.post(f"{notes.path}/count", {"filter": {}}, token=notes.project.secret_key)
    before = notes.project.events()
    update = {"$set": {"x": 1}}
    for verb, body in (
        ("update-one", {"update": update, "sort": ["n"]}),
        ("update-many", {"update": update}),
        ("delete-one", {"sort": ["n"]}),
        ("delete-many", {}),
    ):
        reply = write(notes, verb, filter={"n": {"$gte": 0}}, **body)
        assert (reply.status, reply.code) == (400, "query_too_expensive"), (verb, reply)
    assert notes.project.events() == before
    assert done(notes, "update-many", filter={"_id": "d007"}, update=update)["modified"] == 1
    assert done(notes, "update-one", filter={}, update=update)["modified"] == 1
