"""Vector indexes and `near_vector`."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.documents.conftest import Collection
from tests.integration.documents.indexing import index_name, shown

SignUp = Callable[[str], tuple[str, str]]
INDEX = {"fields": ["e.v"], "type": "vector", "dimensions": 3}


def near(notes: Collection, vector: list[float], token: str | None = "secret", **query: Any) -> Any:
    own = {"field": "e.v", "vector": vector, **query.pop("own", {})}
    return notes.query(token, near_vector=own, **query)


def ids(reply: Any) -> list[str]:
    assert reply.status == 200, reply
    return [document["_id"] for document in reply.json["items"]]


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return 1 - dot / math.hypot(*a) / math.hypot(*b)


def random_vectors(count: int) -> dict[str, list[float]]:
    chance = random.Random(7)
    return {f"{n:04}": [chance.uniform(-1, 1) for _ in range(3)] for n in range(count)}


def fill(notes: Collection, found: dict[str, list[float]]) -> None:
    documents = [{"_id": id, "e": {"v": v}, "n": int(id)} for id, v in found.items()]
    for start in range(0, len(documents), 500):
        assert notes.create(documents[start : start + 500]).status == 201


def test_the_nearest_come_first_with_their_distances(notes: Collection) -> None:
    assert notes.declare(indexes=[INDEX]).status == 201
    assert (
        shown(notes)["indexes"][0] | {"metric": "cosine", "dimensions": 3, "state": "ready"}
        == (shown(notes)["indexes"][0])
    )
    stored = random_vectors(1200)
    fill(notes, stored)
    others: list[Any] = [[1, 2], ["1", "2", "3"], [0, 0, 0], 5, None]
    notes.create([{"_id": "none"}, *[{"e": {"v": value}} for value in others]])
    target = [0.3, -0.2, 0.9]
    expected = sorted(stored, key=lambda id: cosine(stored[id], target))
    reply = near(notes, target, limit=10)
    assert ids(reply) == expected[:10]
    assert reply.json["next_cursor"] is None
    for id, distance in zip(ids(reply), reply.json["distances"], strict=True):
        assert distance == pytest.approx(cosine(stored[id], target), abs=1e-5)
    assert ids(near(notes, target, own={"limit": 3}, fields=["n"])) == expected[:3]
    assert near(notes, target, limit=1, fields=["n"]).json["items"] == [
        {"_id": expected[0], "n": int(expected[0])}
    ]


def test_a_filter_that_leaves_few_still_gets_as_many_as_were_asked_for(notes: Collection) -> None:
    notes.declare(indexes=[INDEX, {"fields": ["n"]}])
    stored = random_vectors(1500)
    fill(notes, stored)
    target = [1, 0, 0.5]
    for filter, among in (
        ({"n": {"$lt": 5}}, [id for id in stored if int(id) < 5]),
        ({"n": {"$gte": 1400}}, [id for id in stored if int(id) >= 1400]),
        ({"n": 77}, ["0077"]),
        ({"n": -1}, []),
    ):
        expected = sorted(among, key=lambda id: cosine(stored[id], target))[:20]
        assert ids(near(notes, target, filter=filter)) == expected


def test_only_readable_documents_are_near(notes: Collection, sign_up: SignUp) -> None:
    alice, _ = sign_up("alice")
    notes.declare(indexes=[INDEX], rules={"read": "doc.n % 2 == 0"})
    stored = random_vectors(50)
    fill(notes, stored)
    target = [0.1, 0.2, 0.3]
    even = sorted([id for id in stored if int(id) % 2 == 0],
                  key=lambda id: cosine(stored[id], target))  # fmt: skip
    assert ids(near(notes, target, alice, limit=20)) == even[:20]
    assert len(ids(near(notes, target, alice, limit=1000))) == 25
    notes.declare(indexes=[INDEX])
    refused = near(notes, target, alice)
    assert (refused.status, refused.code) == (403, "rule_denied")


def test_a_hidden_vector_is_near_to_nothing(notes: Collection, sign_up: SignUp) -> None:
    charlie = sign_up("charlie")[0]
    hidden = {"e": "doc.n < 3"}
    notes.declare(indexes=[INDEX], rules={"read": "public", "fields": hidden})
    stored = random_vectors(30)
    fill(notes, stored)
    target = [0.1, 0.2, 0.3]
    expected = sorted(["0000", "0001", "0002"], key=lambda id: cosine(stored[id], target))
    assert ids(near(notes, target, charlie)) == expected
    assert len(ids(near(notes, target, limit=1000))) == 30


@pytest.mark.parametrize(
    ("metric", "order"),
    [
        ("l2", lambda v, t: math.dist(v, t)),
        ("ip", lambda v, t: -sum(x * y for x, y in zip(v, t, strict=True))),
    ],
)
def test_other_metrics(
    notes: Collection, metric: str, order: Callable[[list[float], list[float]], float]
) -> None:
    notes.declare(indexes=[{**INDEX, "metric": metric}])
    stored = random_vectors(300)
    fill(notes, stored)
    target = [0.5, 0.5, -0.1]
    expected = sorted(stored, key=lambda id: order(stored[id], target))[:5]
    assert ids(near(notes, target, limit=5)) == expected
    assert ids(near(notes, target, limit=5, own={"metric": metric})) == expected
    assert near(notes, target, own={"metric": "cosine"}).code == "invalid_query"


def test_the_index_is_read(notes: Collection) -> None:
    from baas.kernel import db
    from documents import collections
    from documents.indexes import vectors

    notes.declare(indexes=[INDEX])
    fill(notes, random_vectors(1000))
    collection = collections.get(notes.project.id, "notes")
    vector = vectors.value("e.v", 3, collection.rows().doc).as_string(None)
    table = collection.table.as_string(None)
    text = f"EXPLAIN SELECT 1 FROM {table} d ORDER BY {vector} <=> '[1,2,3]' LIMIT 5"
    plan = "\n".join([row[0] for row in db.fetch_all(text.encode())])
    assert index_name(notes, "e.v_vector") in plan


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"near_vector": 5}, "near_vector"),
        ({"near_vector": {"field": "e.v", "vector": []}}, "near_vector.vector"),
        ({"near_vector": {"field": "e.v", "vector": [1, 2]}}, "near_vector.vector"),
        ({"near_vector": {"field": "e.v", "vector": [1, 2, "3"]}}, "near_vector.vector"),
        ({"near_vector": {"field": "e.v", "vector": [1, 2, 1e300]}}, "near_vector.vector"),
        ({"near_vector": {"field": "e", "vector": [1, 2, 3]}}, "near_vector.field"),
        ({"near_vector": {"field": "e.v", "vector": [1, 2, 3], "metric": "x"}},
         "near_vector.metric"),
        ({"near_vector": {"field": "e.v", "vector": [1, 2, 3]}, "sort": ["a"]}, "sort"),
    ],
)  # fmt: skip
def test_it_refuses_what_it_cannot_answer(
    notes: Collection, query: dict[str, Any], field: str
) -> None:
    notes.declare(indexes=[INDEX])
    reply = notes.query(**query)
    assert (reply.status, reply.code) == (400, "invalid_query")
    assert reply.json["errors"][0]["field"] == field
