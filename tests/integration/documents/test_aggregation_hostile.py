"""Hostile names and values in every place of a pipeline: nothing of them becomes SQL."""

from typing import Any

import pytest

from tests.installation import Reply
from tests.integration.documents.conftest import Collection

TEXTS = [
    "'",
    "''; DROP TABLE notes; --",
    '"',
    '"."',
    "%s",
    "%(q0)s",
    "%%",
    "{}",
    "{0}",
    "\\",
    "\\'",
    "$1",
    "a'||pg_sleep(9)||'",
    "/*",
    "--",
    "\n",
    "é\u2028",
    "x" * 900,
    "uid",
    "%(uid)s",
    "doc",
    "c1",
]


@pytest.fixture
def notes_with_one(notes: Collection) -> Collection:
    assert notes.create({"_id": "1", "a": "v", "n": 1, "list": [1, 2]}).status == 201
    return notes


def aggregate(notes: Collection, *stages: Any) -> Reply:
    return notes.client.post(
        f"{notes.path}/aggregate", {"pipeline": list(stages)}, token=notes.project.secret_key
    )


@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_names_and_values_stay_what_they_are(notes_with_one: Collection, text: str) -> None:
    notes = notes_with_one
    name = text.replace(".", "_").replace("$", "_")
    value = {"$literal": text}
    [item] = aggregate(
        notes, {"$addFields": {name: value}}, {"$project": {"_id": 0, name: 1}}
    ).json["items"]
    assert item == {name: text}
    [item] = aggregate(
        notes,
        {"$project": {"_id": 0, f"{name}.{name}": value}},
        {"$match": {f"{name}.{name}": text}},
    ).json["items"]
    assert item == {name: {name: text}}
    [item] = aggregate(
        notes, {"$group": {"_id": {name: value}, name: {"$push": value}}}, {"$sort": {name: 1}}
    ).json["items"]
    assert item == {"_id": {name: text}, name: [text]}
    [item] = aggregate(notes, {"$count": name}).json["items"]
    assert item == {name: 1}
    [item] = aggregate(notes, {"$facet": {name: [{"$match": {name: text}}]}}).json["items"]
    assert item == {name: []}
    [item] = aggregate(
        notes,
        {"$lookup": {"from": "notes", "localField": name, "foreignField": name, "as": name}},
        {"$unwind": {"path": f"${name}", "includeArrayIndex": f"{name}i"}},
        {"$unset": [f"{name}._createdAt", f"{name}.list"]},
        {"$project": {"_id": 0, f"{name}.n": 1, f"{name}i": 1}},
    ).json["items"]
    assert item == {name: {"n": 1}, f"{name}i": 0}
    buckets = {"groupBy": value, "boundaries": [value, {"$literal": text + "x"}]}
    assert aggregate(notes, {"$bucket": buckets}).json["items"] == [{"_id": text, "count": 1}]
    reply = notes.client.post(
        f"{notes.path}/distinct",
        {"field": name, "filter": {name: {"$in": [text, None]}}},
        token=notes.project.secret_key,
    )
    assert reply.json == {"items": []}
    assert notes.get("1").status == 200


@pytest.mark.parametrize("name", ["\0", "", "a\0b", "$a", "a.", ".a", "a..b"])
def test_names_that_are_none_are_refused(notes_with_one: Collection, name: str) -> None:
    for stage in (
        {"$addFields": {name: 1}},
        {"$project": {name: 1}},
        {"$unset": name},
        {"$group": {"_id": 1, name: {"$sum": 1}}},
        {"$group": {"_id": f"$a.{name}"}},
        {"$sort": {name: 1}},
        {"$count": name},
        {"$unwind": f"${name}"},
        {"$unwind": {"path": "$list", "includeArrayIndex": name}} if name else {"$unwind": ""},
        {"$facet": {name: []}},
        {"$lookup": {"from": "notes", "localField": name, "foreignField": "a", "as": "x"}},
        {"$lookup": {"from": "notes", "localField": "a", "foreignField": name, "as": "x"}},
        {"$lookup": {"from": "notes", "pipeline": [], "as": name}},
        {"$lookup": {"from": "notes", "pipeline": [], "as": "x", "let": {name: 1}}},
    ):
        reply = aggregate(notes_with_one, stage)
        assert reply.status in (400, 422), (stage, reply)


@pytest.mark.parametrize("name", ["\0", "", "a b", "x'y", "x" * 65, "pg_class", "1", "_x"])
def test_a_lookup_of_what_is_no_collection_finds_nothing(
    notes_with_one: Collection, name: str
) -> None:
    reply = aggregate(notes_with_one, {"$lookup": {"from": name, "pipeline": [], "as": "found"}})
    if reply.status == 200:
        assert [item["found"] for item in reply.json["items"]] == [[]]
    else:
        assert reply.status in (400, 422), reply


def test_many_stages_that_name_the_document_again_and_again_stay_cheap(
    notes_with_one: Collection,
) -> None:
    double = {"$addFields": {"x": {"$add": ["$n", "$n", "$n"]}, "n": {"$subtract": ["$n", 0]}}}
    reply = aggregate(notes_with_one, *[double] * 99, {"$project": {"_id": 0, "x": 1}})
    assert reply.json["items"] == [{"x": 3}]
    wrap = {"$replaceWith": {"a": "$$ROOT", "n": 1}}
    assert aggregate(notes_with_one, *[wrap] * 60, {"$project": {"n": 1}}).json["items"] == [
        {"n": 1}
    ]
    wide = {"$addFields": {f"f{n}": {"$add": ["$n", n]} for n in range(400)}}
    reply = aggregate(notes_with_one, *[wide] * 4, {"$project": {"_id": 0, "f399": 1}})
    assert reply.json["items"] == [{"f399": 400}]
    groups = {"$group": {"_id": "$n", **{f"f{n}": {"$sum": "$n"} for n in range(400)}}}
    assert aggregate(notes_with_one, groups).json["items"][0]["f399"] == 1


def test_many_expressions_beside_a_rule_stay_cheap(notes_with_one: Collection) -> None:
    notes = notes_with_one
    notes.declare(rules={"read": "doc.n == 1"})
    stages = [{"$match": {"$expr": {"$gt": [{"$add": ["$n", n]}, 0]}}} for n in range(90)]
    reply = notes.client.post(f"{notes.path}/aggregate", {"pipeline": [*stages, {"$count": "n"}]})
    assert reply.json["items"] == [{"n": 1}]
    joined = {"from": "notes", "localField": "a", "foreignField": "a", "as": "found",
              "let": {"a": "$a"}, "pipeline": [
                  {"$match": {"$and": [{"$expr": {"$eq": ["$a", "$$a"]}}] * 50}}]}  # fmt: skip
    reply = notes.client.post(
        f"{notes.path}/aggregate",
        {"pipeline": [{"$lookup": joined}, {"$project": {"n": {"$size": "$found"}}}]},
    )
    assert reply.json["items"] == [{"_id": "1", "n": 1}]
