"""`$text`: as MongoDB means it, in the languages of PostgreSQL, and in Chinese."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.documents.conftest import Collection
from tests.integration.documents.indexing import index_name, plan

ARTICLES: list[dict[str, Any]] = [
    {"_id": "1", "title": "Running a café", "body": "Coffee and cake, served daily"},
    {"_id": "2", "title": "Coffee machines", "tags": ["espresso", "pre-market"]},
    {"_id": "3", "title": "小程序云开发", "body": "云函数和数据库"},
    {"_id": "4", "title": "iPhone手机评测", "body": {"deep": "not indexed"}},
    {"_id": "5", "title": 5, "tags": [["nested"], {"k": "espresso"}, 7]},
    {"_id": "6", "title": "Straße und Größe", "body": "東京タワーへ行く"},
    {"_id": "7", "body": "coffee shop coffee"},
]
INDEX = {"fields": ["title", "body", "tags"], "type": "text"}


def search(text: str, **more: Any) -> dict[str, Any]:
    return {"$text": {"$search": text, **more}}


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("coffee", ["1", "2", "7"]),
        ("COFFEE", ["1", "2", "7"]),
        ("coffees", ["1", "2", "7"]),  # stems
        ("run", ["1"]),
        ("cafe", ["1"]),  # diacritics
        ("grosse straße", ["6"]),
        ("cake machines", ["1", "2"]),  # any of the words
        ("coffee -machines", ["1", "7"]),
        ("coffee -machine -cake", ["7"]),
        ("-coffee", []),
        ("the", []),
        ("", []),
        ('"served daily"', ["1"]),
        ('"daily served"', []),
        ('"coffee shop"', ["7"]),
        ('"coffee" "shop"', ["7"]),  # all phrases
        ('"coffee" cake', ["1", "2", "7"]),  # with phrases, words decide nothing
        ('coffee -"coffee shop"', ["1", "2"]),
        ("espresso", ["2"]),
        ("market", ["2"]),
        ("pre-market", ["2"]),
        ("deep", []),
        ("nested", []),
        ("云函数", ["3"]),
        ("云开", ["3"]),
        ("云", ["3"]),
        ("数云", []),
        ("数据库 -云函数", []),
        ('"云开发"', ["3"]),
        ("手机", ["4"]),
        ("iphone", ["4"]),
        ("ＩＰＨＯＮＥ", ["4"]),
        ("タワー", ["6"]),
        ("東京", ["6"]),
        ("& | ! ( ) : * ' \\ <->", []),
        ("coffee:* | 'x", ["1", "2", "7"]),
    ],
)  # fmt: skip
def test_a_search_finds(notes: Collection, text: str, ids: list[str]) -> None:
    assert notes.declare(indexes=[INDEX]).status == 201
    assert notes.create(ARTICLES).status == 201
    assert notes.ids(filter=search(text)) == ids
    assert notes.query(filter=search(text), count=True).json["total"] == len(ids)


def test_a_search_is_one_condition_among_others(notes: Collection) -> None:
    notes.declare(indexes=[INDEX])
    notes.create(ARTICLES)
    assert notes.ids(filter={**search("coffee"), "title": "Coffee machines"}) == ["2"]
    assert notes.ids(filter={"$or": [search("run"), {"_id": "5"}]}) == ["1", "5"]
    assert notes.ids(filter={"$nor": [search("coffee")]}) == ["3", "4", "5", "6"]
    assert notes.ids(filter=search("coffee"), sort=["-_id"], limit=2) == ["7", "2"]


def test_the_language_says_which_words_are_the_same(notes: Collection) -> None:
    notes.declare(indexes=[{**INDEX, "language": "german"}])
    notes.create([{"_id": "1", "title": "Die Häuser am See"}, {"_id": "2", "title": "running"}])
    assert notes.ids(filter=search("Haus")) == ["1"]
    assert notes.ids(filter=search("die")) == []
    assert notes.ids(filter=search("run")) == []
    assert notes.ids(filter=search("die", **{"$language": "none"})) == []
    assert notes.ids(filter=search("see", **{"$language": "none"})) == ["1"]
    notes.declare(indexes=[{**INDEX, "language": "none"}])
    assert notes.ids(filter=search("die")) == ["1"]
    assert notes.ids(filter=search("Haus")) == []


def test_the_text_index_is_read(notes: Collection) -> None:
    notes.declare(indexes=[INDEX])
    for start in range(0, 1000, 500):
        notes.create([{"title": f"word{n} 云{n}"} for n in range(start, start + 500)])
    found = plan(notes, filter=search("word77 -x"))
    assert "Bitmap Index Scan on " + index_name(notes, "title_text_body_text_tags_text") in found
    assert len(notes.ids(filter=search("word77"))) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ({"$search": 5}, "invalid_query"),
        ({}, "invalid_query"),
        ("x", "invalid_query"),
        ({"$search": "x", "$language": "klingon"}, "invalid_query"),
        ({"$search": "x" * 2001}, "invalid_query"),
        ({"$search": "x\0"}, "invalid_query"),
        ({"$search": "x", "$caseSensitive": True}, "unsupported_operator"),
        ({"$search": "x", "$diacriticSensitive": True}, "unsupported_operator"),
        ({"$search": "x", "$what": 1}, "unsupported_operator"),
    ],
)
def test_it_refuses_wrong_searches(notes: Collection, text: Any, code: str) -> None:
    notes.declare(indexes=[INDEX])
    reply = notes.query(filter={"$text": text})
    assert (reply.status, reply.code) == (400, code)


def test_a_search_without_a_text_index_is_refused(notes: Collection) -> None:
    notes.create(ARTICLES)
    reply = notes.query(filter=search("coffee"))
    assert (reply.status, reply.code) == (400, "invalid_query")
    assert "text index" in reply.json["detail"]


def test_a_text_with_too_many_words_is_refused_as_such(notes: Collection) -> None:
    notes.declare(indexes=[INDEX])
    before = notes.project.events()
    words = " ".join([f"w{n}" for n in range(120_000)])
    reply = notes.create({"title": words})
    assert (reply.status, reply.code) == (422, "index_value_too_long")
    assert "words" in reply.json["detail"]
    assert notes.project.events() == before
    assert notes.create({"title": "word " * 100_000}).status == 201


SCORE = {"$meta": "textScore"}


def test_the_best_matches_come_first_page_by_page(notes: Collection) -> None:
    notes.declare(indexes=[INDEX], rules={"read": "!has(doc.hidden)"})
    notes.create([{"_id": f"{n}", "body": "coffee " * n + "filler " * 5} for n in range(1, 6)])
    notes.create([{"_id": "6", "body": "coffee " * 9, "hidden": True}, {"_id": "7"}])
    expected = ["6", "5", "4", "3", "2", "1"]
    query: dict[str, Any] = {"filter": search("coffee"), "sort": {"score": SCORE}}
    assert notes.ids(**query) == expected
    assert notes.ids(None, **query) == expected[1:]
    assert notes.ids(**query, skip=2, limit=2) == ["4", "3"]
    seen, cursor = [], None
    while True:
        page = notes.query(**query, limit=2, **({"cursor": cursor} if cursor else {})).json
        seen += [document["_id"] for document in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == expected


def test_documents_show_their_scores(notes: Collection) -> None:
    notes.declare(indexes=[INDEX])
    notes.create([{"_id": "1", "title": "coffee"}, {"_id": "2", "title": "coffee coffee"}])
    found = notes.query(
        filter=search("coffee"), sort={"s": SCORE}, fields={"s": SCORE, "_id": 1}
    ).json["items"]
    assert [set(document) for document in found] == [{"_id", "s"}] * 2
    assert found[0]["s"] > found[1]["s"] > 0
    whole = notes.query(filter=search("coffee"), fields={"s": SCORE}).json["items"]
    assert [document["title"] for document in whole] == ["coffee", "coffee coffee"]
    assert all(document["s"] > 0 for document in whole)


@pytest.mark.parametrize(
    "query",
    [
        {"sort": {"s": SCORE}},
        {"fields": {"s": SCORE}},
        {"filter": search("x"), "sort": {"s": SCORE, "a": 1}},
        {"filter": search("x"), "fields": {"_id": SCORE}},
        {"filter": search("x"), "fields": {"a": SCORE, "b": SCORE}},
        {"filter": search("x"), "sort": {"s": {"$meta": "other"}}},
        {"filter": search("x"), "sort": {"s": SCORE}, "cursor": "WzFd"},
    ],
)
def test_it_refuses_scores_that_it_cannot_tell(notes: Collection, query: dict[str, Any]) -> None:
    notes.declare(indexes=[INDEX])
    assert notes.query(**query).status == 400


def test_hidden_texts_are_not_found(
    notes: Collection, sign_up: Callable[[str], tuple[str, str]]
) -> None:
    notes.declare(
        rules={"read": "public", "fields": {"body": "auth.role == 'hr'"}}, indexes=[INDEX]
    )
    notes.create(ARTICLES)
    charlie = sign_up("charlie")[0]
    assert notes.ids(filter=search("coffee")) == ["1", "2", "7"]
    assert notes.ids(charlie, filter=search("coffee")) == ["2"]
    assert notes.ids(charlie, filter=search('"served daily"')) == []
    assert notes.ids(charlie, filter=search("cafe -cake")) == ["1"]
    scored: dict[str, Any] = {"sort": {"s": SCORE}, "fields": {"s": SCORE}}
    found = notes.query(charlie, filter=search("coffee cafe"), **scored).json["items"]
    notes.declare(rules={"read": "public"}, indexes=[{**INDEX, "fields": ["title", "tags"]}])
    same = notes.query(charlie, filter=search("coffee cafe"), **scored).json["items"]
    # The score tells nothing of what is hidden.
    assert [(d["_id"], d["s"]) for d in found] == [(d["_id"], d["s"]) for d in same]


def test_live_queries_refuse_searches() -> None:
    from baas.kernel.problems import Malformed
    from documents.query import compile_predicate, parse

    with pytest.raises(Malformed) as refused:
        compile_predicate(parse(search("coffee")))
    assert refused.value.code == "unsupported_operator"


def test_a_search_is_the_first_stage_of_a_pipeline(notes: Collection) -> None:
    notes.declare(indexes=[INDEX])
    notes.create(ARTICLES)

    def aggregate(*stages: Any) -> Any:
        return notes.client.post(
            f"{notes.path}/aggregate", {"pipeline": stages}, token=notes.project.secret_key
        )

    match = {"$match": search("coffee -machines")}
    assert aggregate(match, {"$count": "n"}).json == {"items": [{"n": 2}]}
    later = aggregate({"$project": {"title": 1}}, match)
    assert (later.status, later.code) == (400, "invalid_query")


def test_a_search_chooses_what_is_updated_and_deleted(notes: Collection) -> None:
    notes.declare(indexes=[INDEX])
    notes.create(ARTICLES)
    path, key = notes.path, notes.project.secret_key
    body = {"filter": search("coffee"), "update": {"$set": {"found": True}}}
    updated = notes.client.post(f"{path}/update-many", body, token=key)
    assert updated.json["modified"] == 3
    deleted = notes.client.post(f"{path}/delete-many", {"filter": search("云函数")}, token=key)
    assert deleted.json == {"deleted": 1}
    assert notes.ids(filter={"found": True}) == ["1", "2", "7"]
    one = {"filter": search("coffee"), "update": {"$inc": {"n": 1}}, "sort": ["-_id"]}
    changed = notes.client.post(f"{path}/update-one", {**one, "return": "after"}, token=key)
    assert (changed.status, changed.json["document"]["_id"]) == (200, "7")
