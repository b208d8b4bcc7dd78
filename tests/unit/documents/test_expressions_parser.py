"""What is an expression, and how large it may be."""

from decimal import Decimal
from typing import Any

import pytest

from baas.kernel.problems import Malformed
from documents import expressions
from documents.expressions import ast
from documents.expressions.parser import MAX_DEPTH, MAX_NODES
from documents.expressions.signatures import SIGNATURES
from documents.expressions.special import SPECIAL
from documents.expressions.to_sql import _OPERATORS
from documents.query.rows import Rows

SCOPE = expressions.Scope(Rows("d"))


def text(expression: Any) -> str:
    return expressions.to_sql(expressions.parse(expression), SCOPE).as_string(None)


def nested(depth: int) -> Any:
    expression: Any = "$a"
    for _ in range(depth):
        expression = {"$add": [expression, 1]}
    return expression


def test_a_path_has_steps_and_a_variable() -> None:
    assert expressions.parse("$a.b") == ast.Path("CURRENT", ("a", "b"))
    assert expressions.parse("$$ROOT.a") == ast.Path("ROOT", ("a",))
    assert expressions.parse("$$x", frozenset({"x"})) == ast.Path("x", ())
    assert expressions.parse("$$REMOVE") == ast.Missing()


def test_what_is_known_becomes_a_constant() -> None:
    assert expressions.parse([1, {"$literal": "$x"}]) == ast.Constant([1, "$x"])
    assert expressions.parse({"$date": "2024-01-01T00:00:00+01:00"}) == ast.Constant(
        {"$date": "2023-12-31T23:00:00.000Z"}
    )
    assert expressions.parse({"$numberDecimal": "1.50"}) == ast.Constant(Decimal("1.50"))


def test_true_and_one_are_different_constants_and_nodes_have_a_hash() -> None:
    assert ast.Constant(True) != ast.Constant(1)
    assert len({expressions.parse([1]), expressions.parse([True]), expressions.parse([1])}) == 2


def test_its_paths_are_those_of_the_root() -> None:
    node = expressions.parse(
        {
            "$map": {
                "input": "$items",
                "as": "i",
                "in": {"$multiply": ["$$i.n", "$rate.eur", "$$ROOT.tax"]},
            }
        }
    )
    assert expressions.paths(node) == {"items", "rate.eur", "tax"}
    assert expressions.paths(expressions.parse({"a": ["$$ROOT"]})) == {""}
    assert expressions.paths(expressions.parse({"$getField": "a"})) == {""}
    assert expressions.paths(expressions.parse(5)) == frozenset()


@pytest.mark.parametrize(
    "expression",
    [
        "$",
        "$$",
        "$a..b",
        "$a.$b",
        "$a.",
        "$a\0",
        "$$unknown",
        "$$x.y",
        "$" + ".".join("a" * 101),
        {"a.b": 1},
        {"a": 1, "$add": [1]},
        {"$add": [1], "$abs": 1},
        {"$add": [1], "a": 1},
        {"": 1},
        {"$abs": [1, 2]},
        {"$subtract": [1]},
        {"$eq": "$a"},
        {"$rand": 1},
        {"$cond": [1, 2]},
        {"$cond": {"if": 1, "then": 2}},
        {"$cond": {"if": 1, "then": 2, "else": 3, "or": 4}},
        {"$switch": {"branches": []}},
        {"$switch": {"branches": [{"case": 1}]}},
        {"$let": {"vars": {"X": 1}, "in": 1}},
        {"$let": {"vars": {"CURRENT": 1}, "in": 1}},
        {"$let": {"vars": {"a-b": 1}, "in": 1}},
        {"$let": {"vars": {"a": 1, "b": "$$a"}, "in": 1}},
        {"$map": {"input": "$a"}},
        {"$map": {"input": "$$this", "in": 1}},
        {"$map": {"input": "$a", "as": 5, "in": 1}},
        {"$filter": {"input": "$a", "cond": "$$that"}},
        {"$sortArray": {"input": "$a", "sortBy": 2}},
        {"$sortArray": {"input": "$a", "sortBy": {"a": True}}},
        {"$sortArray": {"input": "$a", "sortBy": {}}},
        {"$trim": "$a"},
        {"$year": ["$a", "$b"]},
        {"$year": {"date": "$a", "zone": "UTC"}},
        {"$regexMatch": {"input": "$a", "regex": 5}},
        {"$literal": {"a": {"$b": 1}}},
        {"$date": "yesterday"},
    ],
)
def test_what_is_no_expression_is_refused_by_name(expression: Any) -> None:
    with pytest.raises(Malformed) as refused:
        expressions.parse(expression, where="$project.total")
    assert refused.value.code == "invalid_query"
    assert refused.value.errors[0].field == "$project.total"


@pytest.mark.parametrize(
    "expression",
    [
        {"$function": {"body": "x", "args": [], "lang": "js"}},
        {"$accumulator": {}},
        {"$meta": "textScore"},
        {"$sin": 1},
        {"$nonsense": 1},
        {"a": [{"$where": 1}]},
        {"$regexMatch": {"input": "$a", "regex": "$pattern"}},
    ],
)
def test_an_unknown_operator_is_refused_not_ignored(expression: Any) -> None:
    with pytest.raises(Malformed) as refused:
        expressions.parse(expression)
    assert refused.value.code == "unsupported_operator"


def test_every_operator_that_is_parsed_is_compiled() -> None:
    calls = {name for name in SPECIAL if name.startswith(("$regex", "$date"))}
    assert set(SIGNATURES) | calls == set(_OPERATORS)


def test_an_expression_has_bounds() -> None:
    expressions.parse(nested(MAX_DEPTH))
    with pytest.raises(Malformed):
        expressions.parse(nested(MAX_DEPTH + 1))
    expressions.parse({"$add": [1] * (MAX_NODES - 1)})
    with pytest.raises(Malformed):
        expressions.parse({"$add": [1] * MAX_NODES})


@pytest.mark.parametrize(
    "wrap",
    [
        lambda e: {"$add": [e, "$b"]},
        lambda e: {"$multiply": [e, "$b.c"]},
        lambda e: {"$divide": ["$b", e]},
        lambda e: {"$cond": [e, e, 1]} if e == "$a" else {"$cond": [e, "$b", 1]},
        lambda e: {"$ifNull": [e, "$b"]},
        lambda e: {"$eq": [e, "$b"]},
        lambda e: {"$gt": [e, 5]},
        lambda e: {"$concat": [e, "$b"]},
        lambda e: {"k": e, "l": "$b"},
        lambda e: [e, "$b"],
        lambda e: {"$year": e},
        lambda e: {"$let": {"vars": {"x": e}, "in": {"$add": ["$$x", "$$x"]}}},
        lambda e: {"$map": {"input": e, "in": {"$add": ["$$this", "$$this"]}}},
        lambda e: {"$map": {"input": "$b", "in": e}},
        lambda e: {"$filter": {"input": e, "cond": {"$and": ["$$this", "$$this"]}}},
        lambda e: {"$reduce": {"input": e, "initialValue": e if e == "$a" else 0,
                               "in": {"$add": ["$$value", "$$this"]}}},
        lambda e: {"$convert": {"input": e, "to": "int", "onError": 0, "onNull": 1}},
        lambda e: {"$and": [e, "$b"]},
        lambda e: {"$switch": {"branches": [{"case": "$b", "then": e}], "default": 0}},
        lambda e: {"$dateTrunc": {"date": e, "unit": "day"}},
    ],
)  # fmt: skip
def test_the_text_grows_with_the_expression_and_no_faster(wrap: Any) -> None:
    sizes = []
    for depth in (10, 20, 40):
        expression: Any = "$a"
        for _ in range(depth):
            expression = wrap(expression)
        sizes.append(len(text(expression)))
    assert sizes[2] - sizes[1] < 2.2 * (sizes[1] - sizes[0])


def test_the_deepest_expression_compiles() -> None:
    assert "documents_add" in text(nested(MAX_DEPTH - 1))
