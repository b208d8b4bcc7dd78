"""Hidden fields: for whom their rule is not true they do not exist, on any path.

The collection is of employees. HR sees the salary, the person his own phone, everybody the rest.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.installation import Client, Reply
from tests.integration.documents.conftest import Collection

SignUp = Callable[[str], tuple[str, str]]
FIELDS = {
    "salary": "auth.role == 'hr'",
    "private.phone": "auth != null && doc._owner == auth.uid",
    "reviews.note": "auth.role == 'hr'",
}
RULES = {"read": "public", "create": "owner", "update": "authenticated", "delete": "owner"}


@pytest.fixture
def alice(sign_up: SignUp) -> tuple[str, str]:
    return sign_up("alice")


@pytest.fixture
def bob(sign_up: SignUp) -> str:
    return sign_up("bob")[0]


@pytest.fixture
def hr(client: Client, notes: Collection, sign_up: SignUp) -> str:
    _, uid = sign_up("hr")
    path, key = notes.project.path, notes.project.secret_key
    assert client.patch(f"{path}/users/{uid}", {"role": "hr"}, token=key).status == 200
    signed_in = client.post(
        f"{path}/auth/sign-in", {"email": "hr@example.com", "password": "correct horse battery"}
    )
    token: str = signed_in.json["access_token"]
    return token


@pytest.fixture
def staff(notes: Collection, alice: tuple[str, str]) -> Collection:
    declared = notes.declare(
        rules={**RULES, "fields": FIELDS},
        indexes=[{"fields": ["salary"]}, {"fields": ["name"]}, {"fields": ["bio"], "type": "text"}],
    )
    assert declared.status in (200, 201), declared
    notes.create([
        {"_id": "ann", "_owner": alice[1], "name": "Ann", "salary": 900, "bio": "likes tea",
         "private": {"phone": "+1", "city": "Rome"},
         "reviews": [{"year": 1, "note": "good"}, {"year": 2, "note": "bad"}]},
        {"_id": "ben", "name": "Ben", "salary": 100, "bio": "likes coffee",
         "private": {"phone": "+2", "city": "Oslo"}, "reviews": []},
        {"_id": "cy", "name": "Cy", "bio": "likes both"},
    ])  # fmt: skip
    return notes


def post(staff: Collection, route: str, token: str | None, **body: Any) -> Reply:
    return staff.client.post(f"{staff.path}/{route}", body, token=token)


def items(reply: Reply) -> Any:
    assert reply.status == 200, reply
    return reply.json["items"]


def is_clean(text: bytes) -> bool:
    return not any(word in text for word in (b"salary", b"phone", b"note", b"900", b"good"))


# Reading


def test_each_caller_sees_what_the_rules_say(
    staff: Collection, alice: tuple[str, str], bob: str, hr: str
) -> None:
    own, others, official = staff.get("ann", alice[0]).json, staff.get("ann", bob).json, (
        staff.get("ann", hr).json)  # fmt: skip
    assert own["private"] == {"phone": "+1", "city": "Rome"}
    assert "salary" not in own
    assert others["private"] == {"city": "Rome"}
    assert others["reviews"] == [{"year": 1}, {"year": 2}]
    assert official["salary"] == 900
    assert official["private"] == {"city": "Rome"}
    assert official["reviews"][0]["note"] == "good"
    assert staff.get("ann").json["private"]["phone"] == "+1"  # the secret key sees all
    assert is_clean(staff.get("ann", None).body)


@pytest.mark.parametrize(
    "fields", ["salary", "private.phone", "private,salary", "-name", "reviews"]
)
def test_asking_for_a_hidden_field_does_not_help(staff: Collection, fields: str, bob: str) -> None:
    reply = staff.client.get(f"{staff.path}/docs/ann?fields={fields}", token=bob)
    assert reply.status == 200
    assert is_clean(reply.body)
    assert is_clean(staff.query(bob, fields=fields).body)


@pytest.mark.parametrize(
    "filter",
    [
        {"salary": 900},
        {"salary": {"$gt": 0}},
        {"salary": {"$in": [900]}},
        {"salary": {"$exists": True}},
        {"salary": {"$type": "number"}},
        {"salary": {"$mod": [100, 0]}},
        {"private.phone": "+1"},
        {"private.phone": {"$regex": "^\\+"}},
        {"private": {"phone": "+1", "city": "Rome"}},
        {"reviews.note": "good"},
        {"reviews.0.note": "good"},
        {"reviews": {"$elemMatch": {"note": "good"}}},
        {"reviews": {"$elemMatch": {"year": 1, "note": {"$exists": True}}}},
        {"$expr": {"$gt": ["$salary", 0]}},
        {"$expr": {"$eq": ["$private.phone", "+1"]}},
        {"$expr": {"$eq": ["$$ROOT.salary", 900]}},
        {"$expr": {"$in": ["good", {"$ifNull": ["$reviews.note", []]}]}},
        {"$nor": [{"salary": {"$exists": False}}]},
        {"salary": {"$not": {"$eq": None}}},
    ],
)
def test_no_filter_finds_by_a_hidden_field(
    staff: Collection, filter: dict[str, Any], bob: str
) -> None:
    assert staff.ids(bob, filter=filter) == []
    assert post(staff, "count", bob, filter=filter).json == {"total": 0}
    assert staff.query(bob, filter=filter, count=True).json["total"] == 0
    assert items(post(staff, "distinct", bob, field="name", filter=filter)) == []
    assert items(post(staff, "aggregate", bob, pipeline=[{"$match": filter}])) == []
    before = staff.project.events()
    for route, body in (
        ("update-one", {"update": {"$set": {"x": 1}}}),
        ("update-many", {"update": {"$set": {"x": 1}}}),
        ("replace-one", {"replacement": {"x": 1}}),
        ("delete-one", {}),
        ("delete-many", {}),
    ):
        done = post(staff, route, bob, filter=filter, **body).json
        assert done.get("matched", 0) == done.get("deleted", 0) == 0
    assert staff.project.events() == before
    # The same filters find it for those who see it.
    assert "ann" in staff.ids(filter=filter)


def test_a_filter_for_what_is_missing_finds_all(staff: Collection, bob: str, hr: str) -> None:
    assert staff.ids(bob, filter={"salary": None}) == ["ann", "ben", "cy"]
    assert staff.ids(bob, filter={"salary": {"$ne": 900}}) == ["ann", "ben", "cy"]
    assert staff.ids(hr, filter={"salary": None}) == ["cy"]
    assert staff.ids(hr, filter={"salary": {"$gt": 500}}) == ["ann"]


def test_the_own_fields_are_found(staff: Collection, alice: tuple[str, str], bob: str) -> None:
    filter = {"private.phone": {"$exists": True}}
    assert staff.ids(alice[0], filter=filter) == ["ann"]
    assert staff.ids(bob, filter=filter) == []


@pytest.mark.parametrize("field", ["salary", "private.phone", "private", "reviews.note", "reviews"])
def test_no_order_and_no_cursor_tells_of_a_hidden_field(
    staff: Collection, field: str, bob: str
) -> None:
    staff.create([{"_id": f"d{n}", "salary": n, "private": {"phone": str(9 - n)},
                   "reviews": [{"note": str(9 - n)}]} for n in range(5)])  # fmt: skip
    shown: dict[str, Any] = {"_id": {"$gte": "d0", "$lt": "d9"}}
    for sort in ([field], ["-" + field]):
        found, cursor = [], None
        while True:
            reply = staff.query(bob, filter=shown, sort=sort, limit=2, cursor=cursor)
            assert is_clean(reply.body)
            found += [document["_id"] for document in reply.json["items"]]
            cursor = reply.json["next_cursor"]
            if cursor is None:
                break
        expected = [f"d{n}" for n in range(5)]
        assert found == (expected if sort == [field] else expected[::-1])


@pytest.mark.parametrize(
    "pipeline",
    [
        [{"$sort": {"salary": -1}}, {"$limit": 1}, {"$project": {"salary": 1}}],
        [{"$group": {"_id": "$salary"}}],
        [{"$group": {"_id": None, "sum": {"$sum": "$salary"}, "all": {"$push": "$$ROOT"}}}],
        [{"$project": {"x": "$salary", "y": "$private.phone", "z": "$reviews.note"}}],
        [{"$addFields": {"copy": "$$ROOT"}}],
        [{"$replaceRoot": {"newRoot": {"$ifNull": ["$private", {}]}}}],
        [{"$unwind": "$reviews"}, {"$replaceWith": "$reviews"}],
        [{"$sortByCount": "$salary"}],
        [{"$bucket": {"groupBy": "$salary", "boundaries": [0, 1000], "default": "none"}}],
        [{"$facet": {"a": [{"$match": {"salary": 900}}], "b": [{"$project": {"salary": 1}}]}}],
        [{"$sample": {"size": 10}}],
        [{"$project": {"pairs": {"$objectToArray": "$$ROOT"}}}],
        [{"$project": {"v": {"$getField": "salary"}}}],
        [{"$set": {"x": 1}}, {"$unset": "name"}],
        [{"$lookup": {"from": "notes", "pipeline": [], "as": "all"}}],
        [{"$lookup": {"from": "notes", "localField": "salary", "foreignField": "salary",
                      "as": "same"}}, {"$project": {"n": {"$size": "$same"}}}],
        [{"$lookup": {"from": "notes", "let": {"s": "$salary"}, "as": "same",
                      "pipeline": [{"$match": {"$expr": {"$eq": ["$salary", "$$s"]}}}]}}],
    ],
)  # fmt: skip
def test_no_pipeline_shows_a_hidden_field(
    staff: Collection, pipeline: list[Any], bob: str, hr: str
) -> None:
    reply = post(staff, "aggregate", bob, pipeline=pipeline)
    assert reply.status == 200, reply
    assert not any(word in reply.body for word in (b"900", b"1000,", b'"+1"', b'"good"')), reply
    # Just as if the fields were not there at all.
    bare = Collection(staff.client, staff.project, "bare")
    bare.declare(rules=RULES)
    bare.create(staff.query(bob).json["items"])
    without = json.loads(json.dumps(pipeline).replace('"notes"', '"bare"'))
    expected = post(bare, "aggregate", bob, pipeline=without)
    if "$sample" not in pipeline[0]:
        assert names_of(reply) == names_of(expected)


def names_of(reply: Reply) -> Any:
    """What came out, without what the documents of two collections differ in anyway."""

    def bare(value: Any) -> Any:
        if isinstance(value, list):
            return sorted([bare(item) for item in value if not is_system(item)], key=str)
        if isinstance(value, dict):
            return {k: bare(v) for k, v in value.items() if k not in
                    ("_owner", "_createdAt", "_updatedAt", "_version")}  # fmt: skip
        return value

    return bare(items(reply))


def is_system(pair: Any) -> bool:
    """Whether it is what $objectToArray makes of a system field."""
    return isinstance(pair, dict) and str(pair.get("k")).startswith("_")


def test_distinct_and_text_know_nothing_of_it(staff: Collection, bob: str, hr: str) -> None:
    assert items(post(staff, "distinct", bob, field="salary")) == []
    assert items(post(staff, "distinct", bob, field="reviews.note")) == []
    assert items(post(staff, "distinct", hr, field="salary")) == [100, 900]
    staff.declare(
        rules={**RULES, "fields": {"bio": "auth.role == 'hr'"}},
        indexes=[{"fields": ["bio"], "type": "text"}],
    )
    search = {"$text": {"$search": "coffee"}}
    assert staff.ids(bob, filter=search) == []
    assert staff.ids(hr, filter=search) == ["ben"]
    by_score = {"score": {"$meta": "textScore"}}
    assert items(staff.query(bob, filter=search, sort=by_score, fields=by_score)) == []


def test_places_are_hidden_too(staff: Collection, bob: str, hr: str) -> None:
    staff.declare(
        rules={**RULES, "fields": {"home": "auth.role == 'hr'"}},
        indexes=[{"fields": ["home"], "type": "geo"}],
    )
    home = {"type": "Point", "coordinates": [1, 1]}
    assert staff.patch("ann", {"home": home}).status == 200
    near = {"home": {"$near": {"$geometry": home}}}
    within = {"home": {"$geoWithin": {"$box": [[0, 0], [2, 2]]}}}
    for filter in (near, within):
        assert staff.ids(bob, filter=filter) == []
        assert staff.ids(hr, filter=filter) == ["ann"]


def test_nearness_of_a_hidden_vector_finds_nothing(staff: Collection, bob: str, hr: str) -> None:
    index = {"fields": ["face"], "type": "vector", "dimensions": 2}
    declared = staff.declare(
        rules={**RULES, "fields": {"face": "auth.role == 'hr'"}}, indexes=[index]
    )
    assert declared.status == 200, declared
    assert staff.patch("ann", {"face": [1, 0]}).status == 200
    near = {"field": "face", "vector": [1, 0], "limit": 5}
    assert items(staff.query(bob, near_vector=near)) == []
    assert [document["_id"] for document in items(staff.query(hr, near_vector=near))] == ["ann"]


def test_other_fields_keep_their_index(staff: Collection) -> None:
    from baas.kernel import db
    from baas.kernel.principals import Principal
    from baas.kernel.projects import by_slug
    from documents import listing
    from documents.access import Caller

    caller = Caller(by_slug(staff.project.slug), Principal(kind="user", uid="u1"))
    db.execute("SET enable_seqscan = off")
    try:
        for query, expected in (
            ({"filter": {"name": "Ann"}}, "Index Cond"),
            ({"sort": ["name"], "limit": 2}, "Index Scan"),
            ({"filter": {"$text": {"$search": "tea"}}}, "Index Cond"),
        ):
            text, values = listing.statement(caller, staff.name, listing.parse_query(query))
            plan = "\n".join(row[0] for row in db.fetch_all(b"EXPLAIN " + text, values))
            assert expected in plan, plan
            assert "pkey" not in plan
    finally:
        db.execute("RESET enable_seqscan")


# Writing


@pytest.mark.parametrize(
    "update",
    [
        {"$set": {"salary": 900}},
        {"$set": {"salary": 1}},
        {"$unset": {"salary": ""}},
        {"$inc": {"salary": 0}},
        {"$inc": {"private.phone": 1}},  # a text: the error would tell
        {"$max": {"salary": 5}},
        {"$rename": {"salary": "x"}},
        {"$rename": {"name": "salary"}},
        {"$set": {"private": {"city": "Bern"}}},
        {"$unset": {"private": ""}},
        {"$push": {"reviews": {"year": 3}}},
        {"$pull": {"reviews": {"note": "good"}}},
        {"$pop": {"reviews": 1}},
        {"$set": {"reviews.0.note": "x"}},
        {"$set": {"reviews.$[].note": "x"}},
        {"salary": 1},
        {"salary": None},
        {"private": None},
        {"private": {"phone": "+9"}},
        {"reviews": {"year": 1}},
    ],
)
def test_what_is_hidden_cannot_be_changed_or_tested(
    staff: Collection, update: dict[str, Any], bob: str
) -> None:
    stored, before = staff.get("ann").json, staff.project.events()
    reply = staff.patch("ann", update, bob)
    assert (reply.status, reply.code) == (403, "rule_denied")
    if next(iter(update)).startswith("$"):
        # By a filter it is passed over, like what may not be written.
        for route in ("update-one", "update-many"):
            done = post(staff, route, bob, filter={"_id": "ann"}, update=update)
            assert (done.status, done.json) == (200, {"matched": 0, "modified": 0})
    assert staff.get("ann").json == stored
    assert staff.project.events() == before


def test_conditions_on_elements_do_not_tell(staff: Collection, bob: str) -> None:
    for note in ("good", "nothing"):
        done = post(
            staff, "update-one", bob, filter={"_id": "ann"},
            update={"$set": {"reviews.$[x].year": 7}}, array_filters=[{"x.note": note}],
        )  # fmt: skip
        assert done.json == {"matched": 0, "modified": 0}
        done = post(
            staff, "update-one", bob,
            filter={"reviews": {"$elemMatch": {"note": {"$ne": note}}}},
            update={"$set": {"reviews.$.year": 7}},
        )  # fmt: skip
        assert done.json == {"matched": 0, "modified": 0}


def test_the_rest_can_be_changed_and_the_reply_is_masked(staff: Collection, bob: str) -> None:
    for update in (
        {"$set": {"name": "Anna", "private.city": "Bern", "reviews.1.year": 5}},
        {"name": "Anne", "private": {"city": "Basel"}},
    ):
        reply = staff.patch("ann", update, bob)
        assert reply.status == 200, reply
        assert is_clean(reply.body)
    stored = staff.get("ann").json
    assert stored["salary"] == 900
    assert stored["private"] == {"phone": "+1", "city": "Basel"}
    assert stored["reviews"] == [{"year": 1, "note": "good"}, {"year": 5, "note": "bad"}]
    for wanted in ("before", "after"):
        done = post(staff, "update-one", bob, filter={"_id": "ann"},
                    update={"$inc": {"n": 1}}, **{"return": wanted})  # fmt: skip
        assert done.json["matched"] == 1
        assert is_clean(done.body)


def test_a_replacement_keeps_what_is_hidden(staff: Collection, bob: str) -> None:
    seen = staff.get("ann", bob).json
    replies = (
        staff.put("ann", {**seen, "name": "Anna"}, bob),
        post(staff, "replace-one", bob, filter={"_id": "ann"}, replacement={**seen, "name": "A"},
             **{"return": "after"}),
        staff.put("ann", {"name": "Anna", "reviews": seen["reviews"]}, bob),
    )  # fmt: skip
    for reply in replies:
        assert reply.status == 200, reply
        assert is_clean(reply.body)
    stored = staff.get("ann").json
    assert stored["name"] == "Anna"
    assert stored["salary"] == 900
    assert stored["private"] == {"phone": "+1"}
    assert stored["reviews"][0]["note"] == "good"


@pytest.mark.parametrize(
    "change", [{"salary": 900}, {"private": {"phone": "+1"}}, {"private": 5}, {"reviews": []}]
)
def test_a_replacement_that_has_no_place_for_it_is_denied(
    staff: Collection, change: dict[str, Any], bob: str
) -> None:
    seen, before = staff.get("ann", bob).json, staff.project.events()
    reply = staff.put("ann", {**seen, **change}, bob)
    assert (reply.status, reply.code) == (403, "rule_denied")
    assert staff.project.events() == before


def test_only_those_who_see_a_field_create_it(
    staff: Collection, alice: tuple[str, str], hr: str
) -> None:
    before = staff.project.events()
    for document in ({"salary": 5}, {"reviews": [{"note": "x"}]}):
        reply = staff.create(document, alice[0])
        assert (reply.status, reply.code) == (403, "rule_denied")
        assert staff.create([{}, document], alice[0]).code == "rule_denied"
        assert staff.put("new", document, alice[0]).code == "rule_denied"
    assert staff.project.events() == before
    assert staff.create({"salary": 5}, hr).status == 201
    own = staff.create({"private": {"phone": "+3"}}, alice[0])  # her own document
    assert own.json["private"] == {"phone": "+3"}


def test_who_sees_a_field_changes_it(staff: Collection, alice: tuple[str, str], hr: str) -> None:
    assert staff.patch("ann", {"$inc": {"salary": 1}}, hr).json["salary"] == 901
    assert staff.patch("ann", {"private": {"phone": "+7"}}, alice[0]).status == 200
    assert staff.get("ann").json["private"]["phone"] == "+7"


def test_commits_obey_too(staff: Collection, bob: str) -> None:
    path = f"{staff.project.path}/db/commit"
    write = {"op": "update", "collection": "notes", "id": "ann", "update": {"$inc": {"salary": 1}}}
    reply = staff.client.post(path, {"writes": [write]}, token=bob)
    assert (reply.status, reply.code) == (403, "rule_denied")


def test_a_schema_says_nothing_about_what_is_hidden(staff: Collection, bob: str) -> None:
    schema = {
        "properties": {"salary": {"maximum": 500}, "name": {"type": "string"}},
        "not": {"properties": {"salary": {"const": 100}}, "required": ["salary"]},
    }
    declared = staff.declare(rules={**RULES, "fields": FIELDS}, schema=schema)
    assert declared.status == 200, declared
    for id in ("ann", "ben"):
        reply = staff.patch(id, {"x": 1}, bob)
        assert (reply.status, reply.code) == (422, "schema_violation")
        assert is_clean(reply.body)
        assert b"100" not in reply.body
    reply = staff.patch("ann", {"name": 5}, bob)
    assert [error["field"] for error in reply.json["errors"]] == ["name"]
    assert is_clean(reply.body)
    assert b"900" in staff.patch("ann", {"x": 1}).body  # the secret key is told


def test_acting_as_somebody_explains_which_field_it_was(
    staff: Collection, alice: tuple[str, str]
) -> None:
    reply = staff.patch(
        "ben", {"$set": {"salary": 1}}, headers={"X-Act-As": alice[1], "X-Explain-Rules": "1"}
    )
    assert reply.status == 403
    assert reply.json["rule"]["action"] == "fields.salary"
    assert reply.json["rule"]["source"] == FIELDS["salary"]
    assert "auth.role" in reply.json["rule"]["why"]
    reply = staff.patch("ben", {"$set": {"salary": 1}}, alice[0], headers={"X-Explain-Rules": "1"})
    assert "rule" not in reply.json


# Declaring


@pytest.mark.parametrize(
    "fields",
    [
        {"_owner": "public"},
        {"_id": "public"},
        {"a.0": "public"},
        {"a..b": "public"},
        {"$a": "public"},
        {"a": "nonsense("},
        {"a": "data.x == 1"},
        {"a": "doc[doc.k] == 1"},
        {"a": 5},
        {"a": "public", "a.b": "public"},
        [],
        {f"f{n}": "public" for n in range(33)},
    ],
)
def test_wrong_declarations_are_refused(notes: Collection, fields: Any) -> None:
    if fields == []:
        fields = ["a"]
    reply = notes.declare(rules={"read": "public", "fields": fields})
    assert (reply.status, reply.code) == (422, "invalid_rule")


def test_the_declaration_is_shown_and_can_be_sent_back(staff: Collection) -> None:
    path = f"{staff.project.path}/collections/notes"
    shown = staff.client.get(path, token=staff.project.secret_key).json
    assert shown["rules"] == {**RULES, "fields": FIELDS}
    assert staff.client.put(path, shown, token=staff.project.secret_key).status == 200
