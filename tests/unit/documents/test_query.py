"""Filters, sorts and projections as pure functions."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from baas.kernel.problems import Problem
from documents.query import (
    compile_predicate,
    matches,
    multikey,
    parse,
    projection,
    regexes,
    sort,
)
from documents.query.ast import And, Compare, ElemMatch, Exists, In, Not, Or, Regex

DOCUMENT: dict[str, Any] = {
    "_id": "d1",
    "_createdAt": "2024-05-01T10:00:00.000Z",
    "_updatedAt": "2024-05-02T10:00:00.000Z",
    "_version": 3,
    "_owner": None,
    "n": Decimal("5.0"),
    "flag": True,
    "tags": ["a", "b", 7, [1]],
    "o": {"x": None, "y": {"z": 1}},
    "items": [{"k": 1, "v": 5}, {"k": 2}, 9],
    "at": {"$date": "2024-01-01T00:00:00.000Z"},
    "empty": [],
}


def test_a_filter_becomes_a_tree() -> None:
    assert parse({"a": 1, "b.c": {"$ne": 2, "$in": [3]}, "$or": [{"d": {"$exists": 0}}]}) == And(
        (
            Compare(("a",), "eq", 1),
            And((Not(Compare(("b", "c"), "eq", 2)), In(("b", "c"), (3,)))),
            Or((Not(Exists(("d",))),)),
        )
    )
    assert parse({}) == And(())


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"n": 5}, True),
        ({"n": "5"}, False),
        ({"n": True}, False),
        ({"flag": 1}, False),
        ({"flag": {"$gt": False}}, True),
        ({"flag": {"$gt": 0}}, False),
        ({"n": {"$gt": "a"}}, False),
        ({"n": {"$not": {"$gt": "a"}}}, True),
        ({"tags": "a"}, True),
        ({"tags": 1}, False),
        ({"tags": [1]}, True),
        ({"tags": {"$gt": 6}}, True),
        ({"tags": {"$ne": "a"}}, False),
        ({"tags": ["a", "b", 7, [1]]}, True),
        ({"tags.1": "b"}, True),
        ({"tags.9": {"$exists": True}}, False),
        ({"items.k": 2}, True),
        ({"items.k": {"$gt": 1, "$lt": 2}}, True),
        ({"items.0.k": 1}, True),
        ({"items.0.k": 2}, False),
        ({"items.v": None}, True),
        ({"items.v": {"$exists": True}}, True),
        ({"o.x": None}, True),
        ({"o.x": {"$exists": True}}, True),
        ({"o.q": None}, True),
        ({"o.q": {"$exists": True}}, False),
        ({"o.y": {"z": 1}}, True),
        ({"o": {"y": {"z": 1}}}, False),
        ({"n.x": None}, True),
        ({"empty.x": None}, False),
        ({"empty": []}, True),
        ({"empty": {"$exists": True}}, True),
        ({"at": {"$lt": {"$date": "2024-01-01T00:00:00.001Z"}}}, True),
        ({"at": "2024-01-01T00:00:00.000Z"}, False),
        ({"_createdAt": {"$lte": "2024-05-01T12:00:00+02:00"}}, True),
        ({"_createdAt": {"$date": "2024-05-01T10:00:00Z"}}, True),
        ({"_owner": None}, True),
        ({"_version": {"$gt": 2.5}}, True),
        ({"_id": {"$in": ["x", "d1"]}}, True),
        ({"n": {"$in": []}}, False),
        ({"n": {"$nin": []}}, True),
        ({"n": {"$gte": None}}, False),
        ({"gone": {"$lte": None}}, True),
        ({"gone": {"$lt": None}}, False),
    ],
)
def test_one_document_matches_or_not(filter: dict[str, Any], expected: bool) -> None:
    assert matches(parse(filter), DOCUMENT) is expected


def test_values_of_different_types_have_an_order() -> None:
    values: list[Any] = [
        [], None, -1, Decimal("0.5"), 3, "", "Z", "a", "é", {"k": 1}, {"k": 2}, [[]], [[1]],
        False, True, {"$date": "2024-01-01T00:00:00.000Z"}, {"$date": "2024-01-02T00:00:00.000Z"},
    ]  # fmt: skip
    order = sort.parse(["v"])
    documents = [{"_id": str(n), "v": value} for n, value in enumerate(values)]
    by_key = sort.sort_key(order)
    documents.reverse()
    found = sorted(documents, key=lambda document: by_key(sort.key(order, document)))
    assert [document["v"] for document in found] == values


def test_an_array_sorts_by_its_lowest_or_highest() -> None:
    document = {"_id": "1", "v": [5, 1, 3]}
    assert sort.key(sort.parse(["v"]), document)[0] == ("2", 1)
    assert sort.key(sort.parse(["-v"]), document)[0] == ("2", 5)


@pytest.mark.parametrize(
    ("list", "expected"),
    [
        ([], False),
        ([1, 2], False),  # what is no document has no field to lack, by its place neither
        ([{"$date": "2024-05-01T10:00:00.000Z"}], False),
        ([{"y": 1}], True),
        ([[{"x": None}]], True),  # the array in that place is gone into
        ([[5]], False),
        ([{"x": 1}, {"y": 1}], True),  # `0` is also a name, which these lack
    ],
)
def test_a_missing_field_behind_a_place(list: Any, expected: bool) -> None:
    assert matches(parse({"a.0.x": None}), {"a": list}) is expected


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        (None, (("_id", 1),)),
        (["-a", "b"], (("a", -1), ("b", 1), ("_id", 1))),
        ("-a", (("a", -1), ("_id", -1))),
        ({"a": 1, "b": -1}, (("a", 1), ("b", -1), ("_id", -1))),
        (["a", "-_id", "b"], (("a", 1), ("_id", -1))),
    ],
)
def test_a_sort_ends_with_the_id(spec: Any, fields: tuple[tuple[str, int], ...]) -> None:
    assert sort.parse(spec).fields == fields


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["n", "o.y"], {"_id": "d1", "n": Decimal("5.0"), "o": {"y": {"z": 1}}}),
        ("n,o.q", {"_id": "d1", "n": Decimal("5.0"), "o": {}}),
        ({"items.k": 1, "_id": 0}, {"items": [{"k": 1}, {"k": 2}]}),
        ({"_id": 1}, {"_id": "d1"}),
        ({"tags.x": True}, {"_id": "d1", "tags": [[]]}),
        ({"at.x": 1}, {"_id": "d1"}),
    ],
)
def test_a_projection_keeps_what_is_named(fields: Any, expected: dict[str, Any]) -> None:
    project = projection.parse(fields)
    assert project is not None
    assert project(DOCUMENT) == expected


def test_a_projection_drops_what_is_named() -> None:
    project = projection.parse({"items.k": 0, "o.y": 0, "_owner": 0, "_id": 0})
    assert project is not None
    expected = {k: v for k, v in DOCUMENT.items() if k not in ("_id", "_owner")}
    assert project(DOCUMENT) == {**expected, "items": [{"v": 5}, {}, 9], "o": {"x": None}}
    assert projection.parse({"_id": 0}) is not None
    assert projection.parse(None) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tags": {"$slice": 2}, "n": 1}, {"_id": "d1", "n": Decimal("5.0"), "tags": ["a", "b"]}),
        ({"tags": {"$slice": -1}, "_id": 0, "flag": 1}, {"flag": True, "tags": [[1]]}),
        (
            {"tags": {"$slice": [1, 2]}, "n": 1},
            {"_id": "d1", "n": Decimal("5.0"), "tags": ["b", 7]},
        ),
        ({"tags": {"$slice": [-3, 1]}, "flag": 1}, {"_id": "d1", "flag": True, "tags": ["b"]}),
        ({"tags": {"$slice": [-9, 1]}, "flag": 1}, {"_id": "d1", "flag": True, "tags": ["a"]}),
        ({"items": {"$elemMatch": {"k": 2}}}, {"_id": "d1", "items": [{"k": 2}]}),
        ({"items": {"$elemMatch": {"k": 3}}, "flag": 1}, {"_id": "d1", "flag": True}),
        ({"tags": {"$elemMatch": {"$type": "number"}}}, {"_id": "d1", "tags": [7]}),
        ({"n": {"$elemMatch": {"$gt": 1}}}, {"_id": "d1"}),
        ({"n": {"$slice": 0}, "flag": 1}, {"_id": "d1", "n": Decimal("5.0"), "flag": True}),
    ],
)
def test_a_projection_takes_parts_of_arrays(fields: Any, expected: dict[str, Any]) -> None:
    project = projection.parse(fields)
    assert project is not None
    assert project(DOCUMENT) == expected


def test_a_slice_alone_leaves_the_other_fields_in() -> None:
    project = projection.parse({"tags": {"$slice": 1}})
    assert project is not None
    assert project(DOCUMENT) == {**DOCUMENT, "tags": ["a"]}
    project = projection.parse({"items": {"$slice": 1}, "tags": 0})
    assert project is not None
    expected = {name: value for name, value in DOCUMENT.items() if name != "tags"}
    assert project(DOCUMENT) == {**expected, "items": [{"k": 1, "v": 5}]}


@pytest.mark.parametrize(
    "fields",
    [
        ["a", "a.b"],
        ["a.b", "a"],
        ["a", "-b"],
        {"a": 2},
        5,
        ["a..b"],
        {"a": {"$slice": "x"}},
        {"a": {"$slice": [1, 0]}},
        {"a": {"$slice": [1, 2, 3]}},
        {"a": {"$slice": Decimal("1.5")}},
        {"a": {"$slice": 1}, "a.b": 1},
        {"a.b": {"$elemMatch": {"c": 1}}},
        {"a": {"$elemMatch": 1}},
        {"a": {"$elemMatch": {"b": {"$size": -1}}}},
        {"_id": {"$slice": 1}},
    ],
)
def test_a_projection_that_contradicts_itself_is_refused(fields: Any) -> None:
    with pytest.raises(Problem) as refused:
        projection.parse(fields)
    assert refused.value.code == "invalid_query"


@pytest.mark.parametrize(
    "fields", [{"a.$": 1}, {"a": {"$add": [1, 2]}}, {"a": {}}, {"a": {"$meta": 1}}]
)
def test_a_projection_that_is_not_there_is_refused(fields: Any) -> None:
    with pytest.raises(Problem) as refused:
        projection.parse(fields)
    assert refused.value.code == "unsupported_operator"


@pytest.mark.parametrize(
    "filter",
    [
        {".".join(["a" * 5000] * 100): None},
        {"$or": [{".".join([f"a{n}"] * 100): None} for n in range(100)]},
        {"a" * 2000: {"$in": list(range(1000))}},
        {"a" * 100_000: {"$gt": 1, "$lt": 2, "$gte": 1, "$lte": 2, "$ne": 1}},
    ],
)
def test_long_paths_cannot_make_a_statement_many_times_longer_than_the_filter(
    filter: dict[str, Any],
) -> None:
    with pytest.raises(Problem) as refused:
        parse(filter)
    assert refused.value.code == "invalid_query"


def test_a_sort_does_not_take_very_long_names() -> None:
    with pytest.raises(Problem) as refused:
        sort.parse(["a." * 1000 + "a"])
    assert refused.value.code == "invalid_query"


def test_ordinary_paths_cost_nothing() -> None:
    names = ["address.street.number", "some_rather_long_field_name.with_another_one"]
    parse({"$or": [{name: n} for n in range(300) for name in names]})
    parse({names[0]: {"$in": list(range(1900))}})


@pytest.mark.parametrize(
    "filter",
    [
        {"$expr": {"$gt": ["$a", 1]}},
        {"$or": [{"a": 1}, {"$expr": "$b"}]},
        {"$text": {"$search": "word"}},
        {"s": {"$regex": "(?<=x)y"}},
        {"s": {"$in": [{"$regex": r"(a)\1"}]}},
        {"s": {"$elemMatch": {"$regex": "é", "$options": "i"}}},
    ],
)
def test_what_only_the_database_can_tell_has_no_predicate(filter: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        compile_predicate(parse(filter))
    assert refused.value.code == "unsupported_operator"


def test_a_predicate_takes_a_matcher_for_all_patterns() -> None:
    asked: list[tuple[str, str]] = []

    def matcher(regex: Regex) -> Callable[[str], bool]:
        asked.append((regex.pattern, regex.options))
        return lambda text: text == "yes"

    matches = compile_predicate(parse({"s": {"$regex": "(?i)(?<=x)y", "$options": "s"}}), matcher)
    assert asked == [("(?<=x)y", "is")]
    assert matches({"s": ["no", "yes"]})
    assert not matches({"s": "no"})


@pytest.mark.parametrize(
    ("pattern", "options", "begins"),
    [
        ("^abc", "", "abc"),
        ("^abc.*d", "s", "abc"),
        (r"^a\.b$", "", "a.b"),
        ("^abc?d", "", "ab"),
        ("^abc+", "", "ab"),
        ("^ab{0,2}c", "", "a"),
        ("^a|b", "", ""),
        ("^(ab)c", "", ""),
        ("abc", "", ""),
        ("^abc", "i", ""),
        ("^abc", "m", ""),
        ("^a bc", "x", ""),
        (r"^\dab", "", ""),
        ("^", "", ""),
        ("^ab\U0010ffff", "", "ab"),
    ],
)
def test_what_all_matches_begin_with_is_known(pattern: str, options: str, begins: str) -> None:
    assert regexes.prefix(pattern, options) == begins


def test_the_text_behind_a_beginning_is_the_least() -> None:
    assert regexes.behind("ab") == "ac"
    assert regexes.behind("a\ud7ff") == "a\ue000"


def test_an_equality_on_an_element_has_the_numbers_of_its_leaf() -> None:
    node = parse({"items": {"$elemMatch": {"$or": [{"x": 1}, {"y": 2}], "k": 7, "v": {"$gt": 1}}}})
    assert isinstance(node, ElemMatch)
    assert list(multikey.equalities(node, 5)) == [(7, ("items", "k"))]


@pytest.mark.parametrize(
    "filter",
    [
        {"a": {"$in": [{"$regex": "x" * 2000}] * 300}},
        {"$or": [{"a": {"$elemMatch": {"b": 1, "c": 2}}}] * 600},
        {"a": {"$all": [{"$elemMatch": {"b": 1}}] * 1001}},
        {"a": {"$in": list(range(2001))}},
    ],
)
def test_a_filter_has_a_bound(filter: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        parse(filter)
    assert refused.value.code == "invalid_query"
