"""Nothing that a caller writes becomes SQL: hostile texts in every place that takes one.

Another project keeps a canary. Whatever is asked, the answer is a result or a refusal, never an
error of ours, never the canary, and both tables are there afterwards.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.installation import Client, Reply, TestProject

from .conftest import Collection

HOSTILE = [
    "'",
    '"',
    "''",
    "\\",
    "\\'",
    "'; DROP TABLE notes; --",
    "') OR 1=1 --",
    "a') UNION SELECT doc FROM pg_class --",
    "'||(SELECT doc::text FROM canary)||'",
    "%s",
    "%(id)s",
    "%%",
    "%",
    "{}",
    "{0}",
    "{doc}",
    "$1",
    "$$",
    "$$ROOT",
    "$a",
    "$",
    "$tag$",
    ":id",
    "::jsonb",
    "/*",
    "--",
    ";",
    "\0",
    "\ud83d\ude00",
    "\u2028",
    "é",
    "a.b",
    "a..b",
    ".",
    "0",
    "-1",
    "9" * 30,
    "_id",
    "_owner",
    "doc",
    "d.doc",
    "version",
    "E'\\x27'",
    "U&'\\0027'",
    '" IS NULL OR "',
    "pg_sleep(9)",
    "@",
    "?",
    "$.a ? (@ == 1)",
    "(",
    "[[:",
    "(?i",
    "x" * 300,
]
ANY_TEXT = st.sampled_from(HOSTILE) | st.lists(st.sampled_from(HOSTILE), max_size=3).map("".join)
TEXT = ANY_TEXT.filter(lambda text: "\0" not in text)
# What may be the name of a field, so that most requests get as far as the database.
STEP = TEXT.filter(lambda text: text != "" and "." not in text and not text.startswith("$"))
PATH = st.lists(STEP, min_size=1, max_size=3).map(".".join)
VARIABLE = st.sampled_from(["this", "v", "x1"]) | TEXT
VALUE: st.SearchStrategy[Any] = st.recursive(
    st.one_of(TEXT, st.integers(-3, 3), st.booleans(), st.none()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STEP, inner, max_size=2),
    max_leaves=5,
)


def one(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A document with one operator: `one(eq=…)` is `{"$eq": …}`."""
    return st.fixed_dictionaries({f"${name.rstrip('_')}": each for name, each in members.items()})


CONDITION: st.SearchStrategy[Any] = st.one_of(
    VALUE,
    one(eq=VALUE),
    one(ne=VALUE),
    one(gt=VALUE),
    one(lte=VALUE),
    one(in_=st.lists(VALUE, max_size=3)),
    one(nin=st.lists(VALUE, max_size=3)),
    one(all=st.lists(VALUE, min_size=1, max_size=3)),
    one(regex=TEXT),
    one(regex=TEXT, options=st.sampled_from(["i", "m", "s", "x", "'", ""])),
    one(type=TEXT),
    one(size=st.integers(-1, 3)),
    one(exists=st.booleans()),
    one(elemMatch=st.dictionaries(PATH, VALUE, min_size=1, max_size=2)),
    one(not_=one(eq=VALUE)),
    st.dictionaries(ANY_TEXT, VALUE, max_size=1),
)
FIELDS = st.dictionaries(PATH, CONDITION, max_size=2)
EXPRESSION: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        VALUE.map(lambda value: {"$literal": value}),
        PATH.map("${}".format),
        st.just("$$ROOT"),
        VARIABLE.map("$${}".format),
        TEXT,
    ),
    lambda inner: st.one_of(
        one(concat=st.lists(one(toString=inner), max_size=3)),
        one(eq=st.tuples(inner, inner)),
        one(cond=st.tuples(inner, inner, inner)),
        one(ifNull=st.lists(inner, min_size=2, max_size=3)),
        one(split=st.tuples(inner, inner)),
        one(in_=st.tuples(inner, st.lists(inner, max_size=2))),
        one(getField=st.fixed_dictionaries({"field": TEXT, "input": inner})),
        one(setUnion=st.lists(st.lists(inner, max_size=2), max_size=2)),
        one(regexMatch=st.fixed_dictionaries({"input": inner, "regex": TEXT})),
        one(
            dateToString=st.fixed_dictionaries(
                {"date": inner, "format": TEXT}, optional={"timezone": TEXT}
            )
        ),
        one(let=st.fixed_dictionaries({"vars": st.dictionaries(VARIABLE, inner), "in": inner})),
        one(map=st.fixed_dictionaries({"input": inner, "as": VARIABLE, "in": inner})),
        st.dictionaries(STEP, inner, max_size=2),
    ),
    max_leaves=6,
)
TEXT_SEARCH = st.fixed_dictionaries({"$search": TEXT}, optional={"$language": TEXT})
FILTER: st.SearchStrategy[Any] = st.one_of(
    FIELDS,
    one(or_=st.lists(FIELDS, min_size=1, max_size=2)),
    one(expr=EXPRESSION),
    one(text=TEXT_SEARCH),
)
STAGE = st.one_of(
    one(match=FILTER),
    one(project=st.dictionaries(PATH, EXPRESSION, min_size=1, max_size=2)),
    one(addFields=st.dictionaries(PATH, EXPRESSION, min_size=1, max_size=2)),
    one(unset=PATH),
    one(
        group=st.dictionaries(
            STEP, st.one_of(one(sum=EXPRESSION), one(push=EXPRESSION), one(first=EXPRESSION))
        ).flatmap(lambda found: EXPRESSION.map(lambda id: {**found, "_id": id}))
    ),
    one(sort=st.dictionaries(PATH, st.sampled_from([1, -1]), min_size=1)),
    one(unwind=PATH.map("${}".format)),
    one(count=STEP),
    one(sortByCount=EXPRESSION),
    one(replaceRoot=st.fixed_dictionaries({"newRoot": EXPRESSION})),
    one(
        lookup=st.fixed_dictionaries(
            {"from": st.just("notes") | TEXT, "as": PATH, "localField": PATH, "foreignField": PATH}
        )
    ),
    one(
        lookup=st.fixed_dictionaries(
            {
                "from": st.just("notes"),
                "as": PATH,
                "let": st.dictionaries(VARIABLE, EXPRESSION, max_size=2),
                "pipeline": st.lists(one(match=FILTER), max_size=1),
            }
        )
    ),
    one(facet=st.dictionaries(STEP, st.just([{"$limit": 1}]), min_size=1, max_size=2)),
    one(
        bucket=st.fixed_dictionaries(
            {"groupBy": EXPRESSION, "boundaries": st.just(["", "z"]), "default": VALUE}
        )
    ),
    st.dictionaries(ANY_TEXT, VALUE, min_size=1, max_size=1),
)
UPDATE = st.one_of(
    one(set=st.dictionaries(PATH, VALUE, max_size=2)),
    one(unset=st.dictionaries(PATH, VALUE, max_size=2)),
    one(push=st.dictionaries(PATH, VALUE, max_size=1)),
    one(addToSet=st.dictionaries(PATH, VALUE, max_size=1)),
    one(pull=st.dictionaries(PATH, CONDITION, max_size=1)),
    one(rename=st.dictionaries(PATH, PATH, max_size=1)),
    one(min=st.dictionaries(PATH, VALUE, max_size=1)),
    one(set=st.just({"a.$[x]": 1})),
    st.dictionaries(ANY_TEXT, st.dictionaries(PATH, VALUE, max_size=1), max_size=1),
)

REQUESTS = st.one_of(
    st.tuples(
        st.just("query"),
        st.fixed_dictionaries(
            {"filter": FILTER},
            optional={
                "sort": st.lists(PATH, max_size=2) | st.just("'"),
                "fields": st.lists(PATH, max_size=2),
                "cursor": TEXT,
                "skip": VALUE,
            },
        ),
    ),
    st.tuples(st.just("count"), st.fixed_dictionaries({"filter": FILTER})),
    st.tuples(st.just("distinct"), st.fixed_dictionaries({"field": PATH, "filter": FILTER})),
    st.tuples(
        st.just("aggregate"), st.fixed_dictionaries({"pipeline": st.lists(STAGE, max_size=3)})
    ),
    st.tuples(
        st.sampled_from(["update-one", "update-many"]),
        st.fixed_dictionaries(
            {"filter": FILTER, "update": UPDATE},
            optional={
                "array_filters": st.lists(FIELDS, max_size=2),
                "upsert": st.booleans(),
                "sort": st.lists(PATH, max_size=2),
            },
        ),
    ),
    st.tuples(st.just("docs"), st.dictionaries(ANY_TEXT, VALUE, max_size=3)),
    st.tuples(st.just("explain"), st.fixed_dictionaries({"filter": FILTER})),
)
DECLARATIONS = st.fixed_dictionaries(
    {
        "indexes": st.lists(
            st.fixed_dictionaries(
                {"fields": st.lists(PATH, min_size=1, max_size=2)},
                optional={
                    "type": TEXT | st.sampled_from(["text", "geo", "btree"]),
                    "unique": st.booleans(),
                    "sparse": st.booleans(),
                    "language": TEXT,
                    "name": TEXT,
                    "where": FILTER,
                },
            ),
            max_size=2,
        )
    },
    optional={"ttl_field": PATH, "schema": st.fixed_dictionaries({"pattern": TEXT})},
)

CANARY = f"canary-{secrets.token_hex(8)}"


@pytest.fixture
def guarded(client: Client, make_project: Callable[[], TestProject]) -> Iterator[TestProject]:
    """A project with a canary that another project must never see."""
    project = make_project()
    made = client.post(
        f"{project.path}/db/canary/docs", {"secret": CANARY}, token=project.secret_key
    )
    assert made.status == 201
    yield project
    found = client.get(f"{project.path}/db/canary/docs", token=project.secret_key).json["items"]
    assert [document["secret"] for document in found] == [CANARY]


@pytest.fixture
def notes(
    client: Client, make_project: Callable[[], TestProject], guarded: TestProject
) -> Iterator[Collection]:
    notes = Collection(client, make_project())
    assert notes.create([{"_id": f"n{n}", "a": n, "b": ["x", "'"], "doc": {}} for n in range(5)])
    yield notes
    assert notes.query(filter={}).status == 200


def harmless(reply: Reply) -> None:
    assert reply.status < 500, reply
    assert CANARY.encode() not in reply.body
    if reply.status >= 400:
        assert reply.code not in ("internal_error",)
        assert b"syntax error" not in reply.body
        assert b"psycopg" not in reply.body


slow_but_bounded = settings(
    deadline=None,
    max_examples=400,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)


@slow_but_bounded
@given(request=REQUESTS)
def test_a_hostile_request_is_answered_or_refused(notes: Collection, request: Any) -> None:
    route, body = request
    harmless(notes.client.post(f"{notes.path}/{route}", json=body, token=notes.project.secret_key))


@settings(slow_but_bounded, max_examples=60)
@given(declared=DECLARATIONS)
def test_a_hostile_declaration_is_made_or_refused(notes: Collection, declared: Any) -> None:
    path = f"{notes.project.path}/collections/hostile"
    harmless(notes.client.put(path, declared, token=notes.project.secret_key))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_stored_and_found_as_they_are(notes: Collection, text: str) -> None:
    if "\0" in text:
        assert notes.create({"v": text}).code == "invalid_value"
        return
    marker = secrets.token_hex(6)
    made = notes.create({"v": text, "marker": marker, "o": [{"k": text}]})
    assert made.status == 201
    for filter in (
        {"v": text},
        {"v": {"$in": [text]}},
        {"o.k": text},
        {"o": {"$elemMatch": {"k": text}}},
        {"$expr": {"$eq": ["$v", {"$literal": text}]}},
    ):
        assert notes.ids(filter={**filter, "marker": marker}) == [made.json["_id"]]


@pytest.mark.parametrize("levels", [16, 98])
def test_deep_documents_are_kept_and_found(notes: Collection, levels: int) -> None:
    document: Any = {"leaf": levels}
    for _ in range(levels - 1):
        document = {"n": document}
    made = notes.create(document)
    assert made.status == 201, made
    path = ".".join(["n"] * (levels - 1) + ["leaf"])
    assert notes.ids(filter={path: levels}) == [made.json["_id"]]
    update = {"filter": {path: levels}, "update": {"$inc": {path: 1}}}
    reply = notes.client.post(f"{notes.path}/update-one", update, token=notes.project.secret_key)
    assert reply.json == {"matched": 1, "modified": 1}


def nested(depth: int, make: Any) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = make(value)
    return value


@pytest.mark.parametrize(
    "filter",
    [
        nested(120, lambda inner: {"$and": [inner]} if inner != 1 else {"a": 1}),
        nested(120, lambda inner: {"$not": inner} if inner != 1 else {"$gt": 1}),
        {"a": nested(120, lambda inner: {"$elemMatch": inner} if inner != 1 else {"$gt": 1})},
        {"$expr": nested(120, lambda inner: {"$not": [inner]})},
        {"a": nested(120, lambda inner: [inner])},
        {".".join(["a"] * 200): 1},
        {"$or": [{f"f{n}": n} for n in range(5000)]},
        {"a": {"$in": list(range(50_000))}},
        {"$expr": {"$add": list(range(20_000))}},
    ],
)
def test_deep_and_huge_queries_are_refused(notes: Collection, filter: Any) -> None:
    reply = notes.query(filter=filter)
    assert reply.status == 400, reply.body[:300]


def test_a_regex_that_would_take_for_ever_is_stopped(notes: Collection) -> None:
    """Back-references make matching exponential: the statement's time limit ends it."""
    from baas.kernel import db

    assert notes.create({"_id": "redos", "s": "a" * 5000 + "b"}).status == 201
    db.execute("SELECT set_config('statement_timeout', '300', false)")
    try:
        reply = notes.query(filter={"s": {"$regex": r"^(a*)*\1*(a*)*\2*(a|a)*c$"}})
    finally:
        db.execute("SELECT set_config('statement_timeout', '0', false)")
    assert reply.status in (200, 400, 422, 503), reply
    assert json.loads(reply.body)
    assert notes.get("redos").status == 200
