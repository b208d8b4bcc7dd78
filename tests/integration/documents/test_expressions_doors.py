"""The ways to compile an expression agree: as a value, as a number, as a truth; any rows."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from baas.kernel import db
from baas.kernel.problems import Malformed
from documents import expressions, values
from documents.query.rows import Rows
from tests.integration.documents import expression_strategies as strategies
from tests.integration.documents.expressions_table import evaluate

MADE = expressions.Scope(Rows("d"))


@pytest.fixture(autouse=True)
def database(migrated: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


def ways(expression: Any, document: Any) -> tuple[Any, Any, Any]:
    node = expressions.parse(expression)
    statement = sql.SQL("SELECT {}::text, {}, {} FROM (SELECT %(doc)s::jsonb AS doc) AS d").format(
        expressions.to_sql(node, MADE),
        expressions.number(node, MADE),
        expressions.truth(node, MADE),
    )
    with expressions.failures():
        row = db.fetch_one(statement, {"doc": values.dumps(document).decode()})
    assert row is not None
    return row[0] and values.loads(row[0]), row[1], row[2]


@given(document=strategies.DOCUMENTS, expression=strategies.expressions(2))
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_number_and_truth_are_those_of_the_value(document: Any, expression: Any) -> None:
    try:
        value, number, truth = ways(expression, document)
    except Malformed:
        return
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    assert number == (value if is_number else None)
    assert truth == (value is not None and value is not False and (not is_number or value != 0))


@given(
    operator=st.sampled_from(["$add", "$subtract", "$multiply", "$divide", "$mod"]),
    left=strategies.SCALARS,
    right=strategies.SCALARS,
)
@settings(max_examples=150, deadline=None)
def test_quick_arithmetic_on_fields_is_that_on_values(operator: str, left: Any, right: Any) -> None:
    def outcome(expression: Any) -> Any:
        try:
            (found,) = evaluate(expression, [{"a": left, "b": right}])
        except Malformed as problem:
            return problem.detail
        return found

    quick = outcome({operator: ["$a", "$b"]})
    slow = outcome({operator: [{"$first": [["$a"]]}, {"$first": [["$b"]]}]})
    assert quick == slow
    if isinstance(quick, int | Decimal) and isinstance(left, int | float):
        nested = outcome({"$multiply": [{operator: ["$a", "$b"]}, {"$add": ["$a", 0]}, 1]})
        assert abs(nested - quick * values.loads(values.dumps(left))) < Decimal("1e-9")


def test_system_fields_of_a_table_are_read_from_its_columns() -> None:
    db.execute(
        "CREATE TEMP TABLE expression_table AS SELECT 'x'::text AS _id, '{\"a\": 1}'::jsonb AS doc,"
        " 3::bigint AS version, 'u'::text AS owner, '2024-01-01T00:00:00Z'::timestamptz"
        " AS created_at, '2024-01-02T00:00:00Z'::timestamptz AS updated_at"
    )
    scope = expressions.Scope(Rows("expression_table", is_table=True))

    def read(expression: Any) -> Any:
        code = expressions.to_sql(expressions.parse(expression), scope)
        row = db.fetch_one(sql.SQL("SELECT {}::text FROM expression_table").format(code), {})
        assert row is not None
        return row[0] and values.loads(row[0])

    try:
        assert read({"$concat": ["$_id", "-", "$_owner"]}) == "x-u"
        assert read({"$add": ["$_version", "$a"]}) == 4
        assert read({"$year": "$_createdAt"}) == 2024
        assert read({"$subtract": ["$_updatedAt", "$_createdAt"]}) == 86_400_000
        assert read("$$ROOT.a") == 1
        assert read({"$size": {"$objectToArray": "$$ROOT"}}) == 6
        assert read("$_createdAt.x") is None
    finally:
        db.execute("DROP TABLE expression_table")


def test_a_field_with_an_index_is_read_without_looking_for_arrays() -> None:
    scope = expressions.Scope(Rows("d", scalars=frozenset({"a.b"})))
    assert "documents_path" not in expressions.to_sql(expressions.parse("$a.b"), scope).as_string(
        None
    )


def test_variables_of_the_caller_are_read() -> None:
    node = expressions.parse({"$add": ["$$x.n", "$a"]}, frozenset({"x"}))
    scope = expressions.Scope(Rows("d"), {"x": sql.Identifier("d", "y")})
    statement = sql.SQL(
        "SELECT {}::text FROM"
        " (SELECT '{{\"a\": 1}}'::jsonb AS doc, '{{\"n\": 2}}'::jsonb AS y) AS d"
    ).format(expressions.to_sql(node, scope))
    row = db.fetch_one(statement, {})
    assert row is not None
    assert row[0] == "3"


@pytest.mark.parametrize(
    "text", ["it's", "100%", "%s %(x)s", "{}", "a\\b", "'; DROP TABLE d; --", "\U0001d11e", '"']
)
def test_hostile_texts_stay_texts(text: str) -> None:
    document = {"o": {text: [{text: 1}]}} if "." not in text else {}
    assert evaluate({"$literal": text})[0] == text
    assert evaluate({"$concat": [text, ""]})[0] == text
    assert evaluate({"$getField": {"field": text, "input": "$o"}}, [document])[0] == [{text: 1}]
    assert evaluate(f"$o.{text}.{text}", [document])[0] == [1]
    assert evaluate({"$split": [text, text]})[0] == ["", ""]
    assert evaluate({text: {"$toString": text}})[0] == {text: text}


def test_the_largest_expressions_are_evaluated() -> None:
    wide = {"$add": [{"$multiply": ["$a", "$b"]} for _ in range(600)]}
    assert evaluate(wide, [{"a": 2, "b": 3}]) == [3600]
    deep: Any = "$a"
    for _ in range(48):
        deep = {"$cond": [{"$gt": ["$b", 0]}, {"$add": [deep, 1]}, {"$divide": [1, 0]}]}
    assert evaluate(deep, [{"a": 2, "b": 3}]) == [50]


@pytest.mark.parametrize(
    "expression",
    [
        # Doubled 60 times, and a document for each of so many numbers.
        {"$reduce": {"input": {"$range": [0, 60]}, "initialValue": "$a",
                     "in": ["$$value", "$$value"]}},
        {"$reduce": {"input": {"$range": [0, 60]}, "initialValue": "$t",
                     "in": {"$concat": ["$$value", "$$value"]}}},
        {"$map": {"input": {"$range": [0, 99999]}, "in": "$$ROOT"}},
        {"$reduce": {"input": {"$range": [0, 99999]}, "initialValue": "", "in": "$long"}},
        {"$map": {"input": {"$range": [0, 99999]},
                  "in": {"$map": {"input": {"$range": [0, 99999]}, "in": "$$this"}}}},
        {"$map": {"input": {"$range": [0, 99999]}, "in": {"$concat": ["$t", "$t"]}}},
    ],
)  # fmt: skip
def test_a_small_expression_does_not_make_a_huge_value(expression: Any) -> None:
    with pytest.raises(Malformed) as refused:
        evaluate(expression, [{"a": [1, 2], "t": "x" * 2000, "long": "x" * 1_000_000}])
    assert refused.value.code == "invalid_query"
