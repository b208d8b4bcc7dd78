"""Declared indexes: sparse, partial, named; and that PostgreSQL uses them."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.documents.conftest import Collection
from tests.integration.documents.indexing import index_name, plan, shown, stored


@pytest.mark.parametrize(
    ("fields", "array"),
    [
        (["a"], {"a": [0, 1]}),
        (["a.b"], {"a": [{"b": 1}]}),
        (["a.b"], {"a": {"b": [0, 1]}}),
        (["c", "a"], {"a": [0, 1]}),
        (["a", "c"], {"a": [0, 1]}),
        (["a.b", "a"], {"a": [{"b": 1}, 1]}),
    ],
)
def test_arrays_that_are_there_before_the_index_are_found_as_without_it(
    notes: Collection, fields: list[str], array: Any
) -> None:
    notes.create([{"_id": "1", **array}, {"_id": "2", "a": 1}, {"_id": "3", "a": {"b": 1}}])
    queries: list[dict[str, Any]] = [
        {"filter": each} for each in ({"a": 1}, {"a.b": 1}, {"a": {"$ne": 1}}, {"a.b": {"$lt": 1}})
    ]
    queries += [{"sort": [each]} for each in ("a", "-a", "a.b", "-a.b")]
    without = [notes.ids(**query) for query in queries]
    assert "1" in without[0] + without[1]
    notes.declare(indexes=[{"fields": fields}])
    assert [notes.ids(**query) for query in queries] == without
    unique = notes.declare(indexes=[{"fields": fields, "unique": True}])
    assert (unique.status, unique.code) == (422, "index_not_possible")


def test_many_documents_may_lack_the_field_of_a_sparse_unique_index(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["email"], "unique": True, "sparse": True}])
    assert notes.create([{"_id": "1"}, {"_id": "2"}, {"_id": "3", "email": "a"}]).status == 201
    before = notes.project.events()
    refused = notes.create({"email": "a"})
    assert (refused.status, refused.code) == (409, "unique_violation")
    assert refused.json["errors"][0]["field"] == "email"
    # Null is a value, and a sparse index has it.
    assert notes.project.events() == before
    assert notes.create({"email": None}).status == 201
    assert notes.create({"email": None}).status == 409


def test_a_sparse_index_of_two_fields_has_documents_with_either(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["a", "b"], "unique": True, "sparse": True}])
    assert notes.create([{}, {}, {"a": 1}, {"b": 1}, {"a": 1, "b": 1}]).status == 201
    assert notes.create({"a": 1}).status == 409
    assert notes.create({"b": 1}).status == 409


@pytest.mark.parametrize(
    ("filter", "is_used"),
    [
        ({"email": "x7"}, True),
        ({"email": {"$in": ["x7", "x8"]}}, True),
        ({"email": {"$gt": "x7"}, "n": {"$lt": 5}}, True),
        ({"email": {"$exists": True}}, True),
        ({"email": None}, False),
        ({"email": {"$in": ["x7", None]}}, False),
        ({"email": {"$ne": "x7"}}, False),
        ({"n": 1}, False),
    ],
)
def test_a_sparse_index_answers_filters_that_ask_for_a_value(
    notes: Collection, filter: dict[str, Any], is_used: bool
) -> None:
    notes.declare(indexes=[{"fields": ["email"], "sparse": True}])
    notes.create([{"_id": f"{n:03}", "n": n % 10, **({"email": f"x{n}"} if n % 2 else {})}
                  for n in range(200)])  # fmt: skip
    found = notes.ids(filter=filter, limit=1000)
    assert (index_name(notes, "email_1") in plan(notes, filter=filter)) == is_used
    notes.declare(indexes=[])
    assert notes.ids(filter=filter, limit=1000) == found


@pytest.mark.parametrize(
    ("filter", "is_used"),
    [
        ({"at": 5, "state": "open"}, True),
        ({"$and": [{"state": {"$eq": "open"}}, {"at": {"$gt": 5}}]}, True),
        ({"at": 5, "state": "done"}, False),
        ({"at": 5}, False),
        ({"at": 5, "state": {"$in": ["open", "x"]}}, False),
        ({"$or": [{"state": "open"}, {"at": 5}]}, False),
    ],
)
def test_a_partial_index_answers_filters_that_contain_its_condition(
    notes: Collection, filter: dict[str, Any], is_used: bool
) -> None:
    declared = {"fields": ["at"], "where": {"state": "open"}, "name": "open ones"}
    assert notes.declare(indexes=[declared]).status == 201
    notes.create([{"_id": f"{n:03}", "at": n % 9, "state": ["open", "done"][n % 2]}
                  for n in range(200)])  # fmt: skip
    found = notes.ids(filter=filter, limit=1000)
    assert (index_name(notes, "open ones") in plan(notes, filter=filter)) == is_used
    assert shown(notes)["indexes"][0]["where"] == {"state": "open"}
    notes.declare(indexes=[])
    assert notes.ids(filter=filter, limit=1000) == found


@pytest.mark.parametrize(
    ("where", "other"),
    [({"n": 1}, {"n": True}), ({"n": True}, {"n": 1}), ({"n": 1}, {"n": "1"}),
     ({"s": "100%'"}, {"s": "100%"}), ({"n": {"$gt": 0.1}}, {"n": {"$gte": 0.1}})],
)  # fmt: skip
def test_conditions_that_look_alike_are_not_taken_for_each_other(
    notes: Collection, where: dict[str, Any], other: dict[str, Any]
) -> None:
    notes.declare(indexes=[{"fields": ["a"], "where": where}])
    notes.create([{"_id": "1", "a": 1, **where}, {"_id": "2", "a": 1, **other}]
                 if "$" not in str(where)
                 else [{"_id": "1", "a": 1, "n": 1}, {"_id": "2", "a": 1, "n": 0.1}])  # fmt: skip
    label = "a_1"
    assert index_name(notes, label) in plan(notes, filter={"a": 1, **where})
    assert index_name(notes, label) not in plan(notes, filter={"a": 1, **other})
    assert notes.ids(filter={"a": 1, **where}) == ["1"]
    assert "2" in notes.ids(filter={"a": 1, **other})


def test_a_partial_unique_index_holds_among_its_documents(notes: Collection) -> None:
    notes.declare(
        indexes=[{"fields": ["email"], "unique": True, "where": {"deleted": {"$ne": True}}}]
    )
    assert notes.create({"_id": "1", "email": "a", "deleted": True}).status == 201
    assert notes.create({"_id": "2", "email": "a"}).status == 201
    assert notes.create({"_id": "3", "email": "a"}).code == "unique_violation"
    assert notes.patch("1", {"deleted": False}).code == "unique_violation"
    assert notes.patch("2", {"deleted": True}).status == 200
    assert notes.patch("1", {"deleted": False}).status == 200


def test_an_index_that_is_declared_again_is_kept_and_may_get_another_name(
    notes: Collection,
) -> None:
    from baas.kernel import db

    notes.declare(indexes=[{"fields": ["a", "-b"]}])
    name = index_name(notes, "a_1_b_-1")
    before = db.fetch_one("SELECT oid FROM pg_class WHERE relname = %s", (name,))
    notes.declare(indexes=[{"fields": ["a", "-b"], "name": "mine"}, {"fields": ["a"]}])
    assert index_name(notes, "mine") == name
    assert db.fetch_one("SELECT oid FROM pg_class WHERE relname = %s", (name,)) == before
    assert notes.declare(indexes=shown(notes)["indexes"]).status == 200
    notes.declare(indexes=[])
    assert db.fetch_one("SELECT oid FROM pg_class WHERE relname = %s", (name,)) is None
    assert stored(notes).indexes == ()


def test_rules_on_owners_get_an_index_that_nobody_declares(notes: Collection) -> None:
    notes.declare(rules={"read": "owner"})
    assert [index.type for index in stored(notes).indexes] == ["owner"]
    assert shown(notes)["indexes"] == []
    notes.declare(rules={"read": "public"})
    assert stored(notes).indexes == ()


def test_an_aggregation_reads_partial_indexes_too(notes: Collection) -> None:
    from baas.kernel import db
    from documents.query import Parameters, parse, to_sql

    notes.declare(indexes=[{"fields": ["at"], "where": {"state": "open"}}])
    notes.create([{"_id": f"{n:03}", "at": n % 9, "state": ["open", "done"][n % 2]}
                  for n in range(200)])  # fmt: skip
    collection = stored(notes)
    parameters = Parameters()
    condition = to_sql(parse({"at": 5, "state": "open"}), parameters, collection.rows())
    statement = (
        f"EXPLAIN SELECT 1 FROM {collection.table.as_string(None)} AS d"
        f" WHERE {condition.as_string(None)}"
    )
    db.execute("SET enable_seqscan = off")
    try:
        rows = db.fetch_all(statement.encode(), parameters.values)
    finally:
        db.execute("RESET enable_seqscan")
    assert collection.indexes[0].name in str(rows)
    found = notes.client.post(
        f"{notes.path}/aggregate",
        {"pipeline": [{"$match": {"at": 5, "state": "open"}}, {"$count": "n"}]},
        token=notes.project.secret_key,
    )
    assert found.json == {"items": [{"n": 11}]}


def test_what_is_hidden_implies_nothing(
    notes: Collection, sign_up: Callable[[str], tuple[str, str]]
) -> None:
    notes.declare(
        rules={"read": "public", "fields": {"s": "auth.role == 'hr'"}},
        indexes=[
            {"fields": ["a"], "where": {"s": {"$ne": "x"}}},
            {"fields": ["b"], "sparse": True},
            {"fields": ["s"], "sparse": True},
        ],
    )
    notes.create([{"_id": "1", "a": 1, "s": "x", "b": 1}, {"_id": "2", "a": 1, "s": "y"}])
    charlie = sign_up("charlie")[0]
    assert notes.ids(filter={"a": 1, "s": {"$ne": "x"}}) == ["2"]
    # For him the field is in no document, so it is not "x" in any.
    assert notes.ids(charlie, filter={"a": 1, "s": {"$ne": "x"}}) == ["1", "2"]
    assert notes.ids(charlie, filter={"s": {"$exists": True}}) == []
    assert notes.ids(charlie, filter={"b": 1}) == ["1"]


@pytest.mark.parametrize(
    "where",
    [
        {"s": {"$in": ["x", "it's", 5, None]}},
        {"s": None},
        {"s": {"$ne": "x"}},
        {"s": {"$exists": False}},
        {"s": {"$not": {"$gt": 3}}},
        {"s": {"$gt": 3, "$lte": 10**25}},
        {"at": {"$lt": {"$date": "2024-05-01T10:00:00Z"}}},
        {"_createdAt": {"$gt": "2020-01-01T00:00:00Z"}},
        {"_owner": None},
        {"$or": [{"s": "x"}, {"t.u": 1}], "s": {"$ne": 7}},
    ],
)
def test_each_kind_of_condition_makes_an_index_that_is_used(
    notes: Collection, where: dict[str, Any]
) -> None:
    kinds: list[Any] = ["x", "it's", 5, None, 10**30, 2, [1, "x"], {"k": 1}, True]
    documents: list[dict[str, Any]] = [{"a": n % 2, "s": kinds[n % 9]} for n in range(90)]
    documents += [{"a": 1, "at": {"$date": "2021-01-01T00:00:00Z"}}, {"a": 1, "t": [{"u": 1}]}]
    notes.create([{"_id": f"{n:03}", **document} for n, document in enumerate(documents)])
    filter = {"a": 1, **where}
    expected = notes.ids(filter=filter, limit=1000)
    assert expected
    declared = notes.declare(indexes=[{"fields": ["a"], "where": where}])
    assert declared.status == 200, declared
    assert index_name(notes, "a_1") in plan(notes, filter=filter, sort=["a"])
    assert notes.ids(filter=filter, limit=1000) == expected


@pytest.mark.parametrize("where", [{"o": {"k": 1}}, {"l.0": 1}, {"l": {"$in": [[1], 2]}}])
def test_conditions_that_cannot_be_in_an_index_are_refused(
    notes: Collection, where: dict[str, Any]
) -> None:
    notes.create({"a": 1})
    reply = notes.declare(indexes=[{"fields": ["a"], "where": where}])
    assert (reply.status, reply.code) == (422, "index_not_possible")
    assert "`where`" in reply.json["detail"]
    assert stored(notes).indexes == ()


HOSTILE = [
    "a'b",
    'a"b',
    "a\\b",
    "a%b",
    "a%sb",
    "a%(q0)sb",
    "a b",
    "a'); DROP TABLE kernel_event; --",
    "é云",
    "a$b",
    "[*]",
    "@ ? (1 == 1)",
    "a\nb",
    "\u202e",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_odd_names_and_values_are_names_and_values(notes: Collection, name: str) -> None:
    field = f"o.{name}"
    assert notes.declare(
        indexes=[
            {"fields": [field], "sparse": True, "unique": True, "name": name},
            {"fields": ["n"], "where": {field: name}},
            {"fields": [field, "title"], "type": "text", "name": "t" + name},
            {"fields": [f"v.{name}"], "type": "vector", "dimensions": 2},
            {"fields": [f"g.{name}"], "type": "geo"},
        ],
        ttl_field=f"at.{name}",
    ).status == 201  # fmt: skip
    past = {"$date": "2020-01-01T00:00:00Z"}
    documents = [
        {"_id": "1", "o": {name: name}, "n": 1, "v": {name: [1, 0]}, "title": "word"},
        {"_id": "2", "o": {name: "other"}, "n": 1, "v": {name: [0, 1]}},
        {"_id": "3", "n": 1},
        {"_id": "4", "n": 1, "at": {name: past}},
    ]
    assert notes.create(documents).status == 201
    from documents import expiry

    expiry.sweep()
    assert notes.ids(filter={field: name}) == ["1"]
    assert notes.ids(filter={field: name, "n": 1}) == ["1"]
    assert notes.ids(filter={field: {"$exists": True}}) == ["1", "2"]
    assert notes.ids(filter={"n": 1}) == ["1", "2", "3"]
    assert notes.ids(filter={"$text": {"$search": f'"{name.replace(chr(34), " ")}" word'}}) in (
        ["1"],
        [],  # no words in it
    )
    assert notes.ids(filter={"$text": {"$search": "word"}}) == ["1"]
    near = {"field": f"v.{name}", "vector": [0, 2], "limit": 1}
    assert notes.query(near_vector=near).json["items"][0]["_id"] == "2"
    assert notes.create({"o": {name: name}}).code == "unique_violation"
    assert shown(notes)["indexes"][0]["name"] == name
