"""Single documents through HTTP: versions, preconditions, exact values, events."""

import re
import time
from typing import Any

import pytest

from tests.installation import Client, TestProject
from tests.integration.documents.conftest import Collection

CREATED = "baas.db.document.created"
UPDATED = "baas.db.document.updated"
DELETED = "baas.db.document.deleted"


def test_it_creates_and_reads_a_document(notes: Collection) -> None:
    reply = notes.create({"title": "Milk", "n": 1})
    assert reply.status == 201, reply
    document = reply.json
    assert reply.headers["etag"] == '"1"'
    assert document["title"] == "Milk"
    assert document["_version"] == 1
    assert document["_owner"] is None
    assert re.fullmatch(r"[0-9a-z]{26}", document["_id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["_createdAt"])
    assert document["_createdAt"] == document["_updatedAt"]
    again = notes.get(document["_id"])
    assert (again.status, again.json, again.headers["etag"]) == (200, document, '"1"')


def test_an_empty_document_is_a_document(notes: Collection) -> None:
    id = notes.create({}).json["_id"]
    assert set(notes.get(id).json) == {"_id", "_createdAt", "_updatedAt", "_version", "_owner"}


def test_it_takes_the_clients_id_and_refuses_it_twice(notes: Collection) -> None:
    assert notes.create({"_id": "a1", "n": 1}).json["_id"] == "a1"
    reply = notes.create({"_id": "a1", "n": 2})
    assert (reply.status, reply.code) == (409, "document_exists")
    assert notes.get("a1").json["n"] == 1
    assert notes.project.events() == [(CREATED, "notes/a1")]


@pytest.mark.parametrize("id", ["", "a b", "a/b", "é", 5, "x" * 129, ".", ["a"]])
def test_it_refuses_ids_that_do_not_fit_an_address(notes: Collection, id: object) -> None:
    reply = notes.create({"_id": id})
    assert (reply.status, reply.code) == (422, "invalid_id")
    assert notes.project.events() == []


def test_it_answers_304_to_whoever_has_the_version(notes: Collection) -> None:
    id = notes.create({"n": 1}).json["_id"]
    reply = notes.get(id, headers={"If-None-Match": '"1"'})
    assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", '"1"')
    assert notes.get(id, headers={"If-None-Match": '"2"'}).status == 200


def test_it_projects_fields(notes: Collection) -> None:
    notes.create({"_id": "a", "a": 1, "b": {"c": 2, "d": 3}, "e": [{"f": 1, "g": 2}]})
    assert notes.get("a?fields=a,b.c").json == {"_id": "a", "a": 1, "b": {"c": 2}}
    assert notes.get("a?fields=e.g").json == {"_id": "a", "e": [{"g": 2}]}
    without = notes.get("a?fields=-b,-e,-_owner").json
    assert set(without) == {"_id", "_createdAt", "_updatedAt", "_version", "a"}


def test_it_keeps_numbers_as_they_were_written(notes: Collection) -> None:
    body = (
        b'{"_id":"n","big":123456789012345678901234567890,"small":0.1000000000000000055511151231257827,'
        b'"price":19.90,"negative":-0.5,"edge":9223372036854775808}'
    )
    reply = notes.client.post(f"{notes.path}/docs", body=body, token=notes.project.secret_key)
    assert reply.status == 201, reply
    for part in (
        b'"big": 123456789012345678901234567890',
        b'"small": 0.1000000000000000055511151231257827',
        b'"price": 19.90',
        b'"edge": 9223372036854775808',
    ):
        assert part in reply.body
    assert notes.patch("n", {"$set": {"x": 1}}).status == 200
    stored = notes.get("n").body
    assert b'"big": 123456789012345678901234567890' in stored
    assert b'"price": 19.90' in stored


def test_it_stores_dates_in_one_form(notes: Collection) -> None:
    notes.create(
        {"_id": "d", "at": {"$date": "2024-05-01T12:00:00+02:00"}, "n": {"$numberLong": "5"}}
    )
    found = notes.get("d").json
    assert found["at"] == {"$date": "2024-05-01T10:00:00.000Z"}
    assert found["n"] == 5


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"": 1}, "invalid_field_name"),
        ({"$set": {"a": 1}}, "invalid_field_name"),
        ({"a": {"b.c": 1}}, "invalid_field_name"),
        ({"a": [{"$x": 1, "y": 2}]}, "invalid_field_name"),
        ({"a\0b": 1}, "invalid_field_name"),
        ({"a": "x\0y"}, "invalid_value"),
        ({"a": {"$date": "yesterday"}}, "invalid_value"),
        ({"a": {"$date": True}}, "invalid_value"),
    ],
)
def test_it_refuses_what_cannot_be_stored(
    notes: Collection, document: dict[str, object], code: str
) -> None:
    reply = notes.create(document)
    assert (reply.status, reply.code) == (422, code)
    assert reply.json["errors"]
    assert notes.project.events() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"a":NaN}', 400),
        (b'{"a":1e99999999}', 422),
        (b'"text"', 400),
        (b"[" * 200 + b"]" * 200, 400),
        (b'{"a":"' + b"x" * (1024 * 1024) + b'"}', 413),
        (b'{"a":"\\ud800"}', 400),
    ],
)
def test_it_refuses_bodies_that_are_no_documents(
    notes: Collection, body: bytes, status: int
) -> None:
    reply = notes.client.post(f"{notes.path}/docs", body=body, token=notes.project.secret_key)
    assert reply.status == status, reply
    assert reply.code
    assert notes.project.events() == []


def test_system_fields_of_the_body_do_not_count(notes: Collection) -> None:
    reply = notes.create(
        {"_id": "s", "_version": 9, "_createdAt": "2001-01-01T00:00:00Z", "_owner": "u1", "n": 1}
    )
    assert (reply.json["_version"], reply.json["_owner"]) == (1, "u1")
    assert reply.json["_createdAt"] > "2020"


def test_it_creates_many_or_none(notes: Collection) -> None:
    reply = notes.create([{"_id": "b", "n": 1}, {"_id": "a", "n": 2}, {"n": 3}])
    assert reply.status == 201
    assert [document["n"] for document in reply.json["items"]] == [1, 2, 3]
    assert notes.project.events()[:2] == [(CREATED, "notes/b"), (CREATED, "notes/a")]

    taken = notes.create([{"_id": "c"}, {"_id": "a"}])
    assert (taken.status, taken.code) == (409, "document_exists")
    bad = notes.create([{"_id": "c"}, {"x.y": 1}])
    assert bad.json["errors"][0]["field"] == "[1].x.y"
    twice = notes.create([{"_id": "d"}, {"_id": "d"}])
    assert twice.status == 409
    assert notes.create([{}] * 501).status == 413
    assert notes.get("c").status == 404
    assert len(notes.project.events()) == 3


def test_it_replaces_or_creates(notes: Collection) -> None:
    made = notes.put("p", {"a": 1, "b": 2})
    assert (made.status, made.headers["etag"]) == (201, '"1"')
    replaced = notes.put("p", {"a": 5})
    assert (replaced.status, replaced.headers["etag"]) == (200, '"2"')
    assert "b" not in replaced.json
    assert replaced.json["_createdAt"] == made.json["_createdAt"]
    same = notes.put("p", replaced.json)
    assert same.json["_version"] == 2
    assert notes.put("p", {"_id": "q"}).code == "invalid_id"
    assert notes.put("p", {}, headers={"If-None-Match": "*"}).status == 412
    assert notes.put("q", {}, headers={"If-Match": '"1"'}).code == "version_mismatch"
    assert notes.project.events() == [(CREATED, "notes/p"), (UPDATED, "notes/p")]


def test_it_updates_by_operators(notes: Collection) -> None:
    notes.create({"_id": "u", "n": 1, "tags": ["a"], "o": {"x": 1, "y": 2}})
    reply = notes.patch(
        "u",
        {
            "$set": {"o.x": 9, "new.deep": True},
            "$unset": {"o.y": ""},
            "$inc": {"n": 4, "m": 1.5},
            "$push": {"tags": "b", "list": {"$each": [1, 2]}},
        },
    )
    assert reply.status == 200, reply
    found = notes.get("u").json
    assert found == reply.json
    assert (found["n"], found["m"], found["tags"], found["list"]) == (5, 1.5, ["a", "b"], [1, 2])
    assert (found["o"], found["new"], found["_version"]) == ({"x": 9}, {"deep": True}, 2)


def test_it_merges_a_patch(notes: Collection) -> None:
    notes.create({"_id": "m", "a": {"b": 1, "c": 2}, "d": 1})
    reply = notes.patch("m", {"a": {"b": None, "e": 3}, "d": None, "f": [1]})
    found = {key: value for key, value in reply.json.items() if not key.startswith("_")}
    assert found == {"a": {"c": 2, "e": 3}, "f": [1]}


def test_a_write_that_changes_nothing_makes_no_version_and_no_event(notes: Collection) -> None:
    notes.create({"_id": "u", "n": 1, "o": {"x": 1.0}})
    for update in ({"$set": {"n": 1}}, {"$unset": {"gone": 1}}, {}, {"n": 1}, {"$inc": {"n": 0}}):
        reply = notes.patch("u", update)
        assert (reply.status, reply.json["_version"]) == (200, 1), update
    assert notes.put("u", {"n": 1.0, "o": {"x": 1}}).json["_version"] == 1
    assert notes.project.events() == [(CREATED, "notes/u")]


@pytest.mark.parametrize(
    ("update", "status", "code"),
    [
        ({"$inc": {"s": 1}}, 422, "invalid_update"),
        ({"$inc": {"n": "1"}}, 422, "invalid_update"),
        ({"$push": {"n": 1}}, 422, "invalid_update"),
        ({"$set": {"n.x": 1}}, 422, "invalid_update"),
        ({"$set": {"a": 1}, "$unset": {"a.b": 1}}, 422, "invalid_update"),
        ({"$set": {"_version": 7}}, 422, "invalid_update"),
        ({"$set": {"_id": "other"}}, 422, "invalid_update"),
        ({"$set": 5}, 422, "invalid_update"),
        ({"$set": {"a": 1}, "b": 2}, 422, "invalid_update"),
        ({"$set": {"a..b": 1}}, 422, "invalid_field_name"),
        ({"$rename": {"n": "n"}}, 422, "invalid_update"),
        ({"$bit": {"n": {"and": 1}}}, 400, "unsupported_operator"),
        ({"$push": {"l": {"$each": [1], "$place": 1}}}, 400, "unsupported_operator"),
        ({"$set": {"l.$.x": 1}}, 400, "unsupported_operator"),
    ],
)
def test_it_refuses_updates_that_do_not_fit(
    notes: Collection, update: dict[str, object], status: int, code: str
) -> None:
    notes.create({"_id": "u", "n": 1, "s": "x", "l": [{"x": 1}]})
    reply = notes.patch("u", update)
    assert (reply.status, reply.code) == (status, code)
    assert notes.get("u").json["_version"] == 1
    assert notes.project.events(UPDATED) == []


def test_if_match_guards_every_write(notes: Collection) -> None:
    notes.create({"_id": "v", "n": 1})
    stale, current = {"If-Match": '"7"'}, {"If-Match": '"1"'}
    for reply in (
        notes.put("v", {"n": 2}, headers=stale),
        notes.patch("v", {"n": 2}, headers=stale),
        notes.delete("v", headers=stale),
        notes.patch("v", {"n": 2}, headers={"If-Match": "nonsense"}),
    ):
        assert (reply.status, reply.code) == (412, "version_mismatch")
    assert notes.project.events() == [(CREATED, "notes/v")]
    assert notes.patch("v", {"n": 2}, headers=current).json["_version"] == 2
    assert notes.delete("v", headers={"If-Match": '"2"'}).status == 204
    assert notes.project.events()[1:] == [(UPDATED, "notes/v"), (DELETED, "notes/v")]


def test_missing_documents_are_missing(notes: Collection) -> None:
    notes.create({"_id": "a"})
    for reply in (
        notes.get("zz"),
        notes.patch("zz", {"a": 1}),
        notes.delete("zz"),
        notes.delete("zz", headers={"If-Match": '"1"'}),
        Collection(notes.client, notes.project, "nothing").get("zz"),
    ):
        assert (reply.status, reply.code) == (404, "document_not_found")


def test_events_carry_the_document_and_what_it_was(notes: Collection) -> None:
    from baas.kernel import db

    created = notes.create({"_id": "e", "n": 1, "gone": True}).json
    updated = notes.patch("e", {"$set": {"n": 2}, "$unset": {"gone": 1}}).json
    notes.delete("e")
    rows = db.fetch_all(
        "SELECT type, source, data::text FROM kernel_event WHERE project_id = %s ORDER BY seq",
        (notes.project.id,),
    )
    import json

    assert [(row[0], json.loads(row[2])) for row in rows] == [
        (CREATED, {"document": created}),
        (UPDATED, {"document": updated, "before": created}),
        (DELETED, {"before": updated}),
    ]
    assert {row[1] for row in rows} == {f"/projects/{notes.project.slug}/db/notes"}


def test_a_repeated_create_gets_the_first_reply(notes: Collection) -> None:
    key = {"Idempotency-Key": "k1"}
    first = notes.create({"n": 1}, headers=key)
    second = notes.create({"n": 1}, headers=key)
    assert first.json == second.json
    assert second.headers["idempotency-replayed"] == "true"
    assert len(notes.project.events()) == 1
    taken = notes.create({"_id": first.json["_id"]}, headers={"Idempotency-Key": "k2"})
    assert taken.status == 409


@pytest.mark.parametrize("path", ["%ff", "a b", "%F0%9F%98%80", "x" * 300])
def test_addresses_that_can_be_no_id_are_not_found(notes: Collection, path: str) -> None:
    from urllib.parse import unquote_to_bytes

    notes.create({"_id": "a"})
    id = unquote_to_bytes(path).decode("utf-8", "replace")
    for reply in (notes.get(id), notes.patch(id, {}), notes.delete(id)):
        assert (reply.status, reply.code) == (404, "document_not_found")
    assert notes.put(id, {}).code == "invalid_id"


def test_each_operation_is_one_statement_or_two(
    notes: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from baas.kernel import statements

    notes.declare(rules={"read": "public"})
    notes.create({"_id": "a", "n": 1})
    notes.query(filter={"n": 1})
    seen: list[object] = []
    run = statements.run

    def counted(connection: Any, query: bytes, values: statements.Values) -> statements.Result:
        seen.append(query)
        return run(connection, query, values)

    monkeypatch.setattr(statements, "run", counted)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and len(seen) != 1:
        # The cache fills once the word of the change has come round.
        seen.clear()
        notes.get("a")
    for expected, call in (
        (1, lambda: notes.get("a")),
        (1, lambda: notes.get("a", None)),
        (1, lambda: notes.create({"n": 1})),
        (1, lambda: notes.create([{"n": 1}, {"n": 2}])),
        (1, lambda: notes.query(filter={"n": 1}, sort=["-n"])),
        (2, lambda: notes.patch("a", {"$inc": {"n": 1}})),
        (2, lambda: notes.put("a", {"n": 7})),
        (1, lambda: notes.delete("a")),
    ):
        seen.clear()
        assert call().status < 300
        assert len(seen) == expected, seen


def test_a_transaction_that_is_not_there_is_not_ignored(notes: Collection) -> None:
    notes.create({"_id": "a"})
    for reply in (
        notes.create({}, headers={"X-Transaction": "t1"}),
        notes.get("a", headers={"X-Transaction": "t1"}),
        notes.delete("a", headers={"X-Transaction": "t1"}),
    ):
        assert (reply.status, reply.code) == (404, "transaction_not_found")
    assert notes.ids() == ["a"]


def test_large_and_deep_documents_are_kept(notes: Collection) -> None:
    deep: object = {"end": 1}
    for _ in range(97):
        deep = {"d": deep}
    assert notes.create({"_id": "deep", "v": deep}).status == 201
    assert notes.get("deep").json["v"] == deep
    path = "v" + ".d" * 97
    assert notes.patch("deep", {"$inc": {path + ".end": 1}}).status == 200
    assert notes.ids(filter={path + ".end": 2}, sort=[path]) == ["deep"]
    assert notes.ids(filter={path + ".end": None}) == []

    text = "x" * 1_000_000
    body = b'{"_id":"large","t":"' + text.encode() + b'"}'
    reply = notes.client.post(f"{notes.path}/docs", body=body, token=notes.project.secret_key)
    assert reply.status == 201
    assert notes.get("large").json["t"] == text
    assert notes.ids(filter={"t": text}) == ["large"]
    grown = notes.patch("large", {"$set": {"more": "x" * 100_000}})
    assert (grown.status, grown.code) == (413, "document_too_large")
    assert notes.get("large").json["_version"] == 1


@pytest.mark.parametrize("number", ["1e401", "1e16000", "1E-500", "-1e130000"])
def test_no_small_number_becomes_a_huge_document(
    client: Client, project: TestProject, number: str
) -> None:
    """PostgreSQL writes numbers out: 1.6 KB of them came back as 3.2 MB, and were not readable."""
    docs, key = f"{project.path}/db/c/docs", project.secret_key
    body = f'{{"a":[{number}]}}'.encode()
    assert client.request("POST", docs, body=body, token=key).code == "invalid_value"
    assert client.request("PUT", f"{docs}/x", body=body, token=key).code == "invalid_value"
    assert client.request("POST", docs, body=b"[%b]" % body, token=key).code == "invalid_value"
    assert project.events() == []


def test_large_numbers_are_kept_and_counted_at_full_length(
    client: Client, project: TestProject
) -> None:
    docs, key = f"{project.path}/db/c/docs", project.secret_key
    client.request("PUT", f"{docs}/x", body=b'{"a":1e400,"b":1e-5}', token=key)
    reply = client.get(f"{docs}/x?fields=a,b", token=key)
    assert reply.json["a"] == 10**400
    reply = client.patch(f"{docs}/x", {"$inc": {"a": 10**3999}}, token=key)
    assert reply.status == 200
    reply = client.patch(f"{docs}/x", {"$inc": {"a": 9 * 10**3999}}, token=key)
    assert reply.code == "invalid_value"
    many = b'{"a":[' + b",".join([b"1e400"] * 3000) + b"]}"
    assert client.request("POST", docs, body=many, token=key).code == "document_too_large"
