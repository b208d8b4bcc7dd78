"""The filter and the sort mean the same in SQL and in Python: random documents, random queries."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from psycopg import sql

from baas.kernel import db
from baas.kernel.problems import Problem
from documents import values, wire
from documents.query import Parameters, Rows, compile_predicate, parse, sort, to_sql
from documents.query.paths import reach
from tests.integration.documents.strategies import DOCUMENTS, FILTERS, SORTS

SELECT = sql.SQL("SELECT " + wire.columns("d") + " FROM d WHERE {} ORDER BY {}")

# The same documents as values that a query made: all their fields are in `doc`.
SELECT_MADE = sql.SQL(
    "SELECT id FROM (SELECT _id AS id, {root} AS doc FROM d) AS m WHERE {condition} ORDER BY id"
)


@pytest.fixture(scope="module")
def table(migrated: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        db.execute(
            'CREATE TEMP TABLE d (_id text COLLATE "C" PRIMARY KEY, doc jsonb, version bigint,'
            ' owner text COLLATE "C", created_at timestamptz, updated_at timestamptz)'
        )
        yield
        db.execute("DROP TABLE d")


def fill(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The documents in the table, in their wire form."""
    db.execute("TRUNCATE d")
    db.execute(
        "INSERT INTO d SELECT (n - 1)::text, doc::jsonb, n %% 3,"
        " CASE WHEN n %% 2 = 0 THEN 'u1' END,"
        " '2024-01-01T00:00:00Z'::timestamptz + n / 2 * interval '1 second', '2024-01-01T00:00:00Z'"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS i(doc, n)",
        ([values.dumps(document).decode() for document in documents],),
    )
    rows = db.fetch_all(SELECT.format(sql.SQL("true"), sql.SQL("_id")))
    return [wire.value(row) for row in rows]


def scalars(documents: list[dict[str, Any]], fields: set[str]) -> set[str]:
    """Those of the fields that an index could answer for: no array is on their way."""
    found = set()
    for field in fields:
        path = tuple(field.split("."))
        if not any(
            isinstance(value, list)
            for document in documents
            for end in range(1, len(path) + 1)
            for value in reach(document, path[:end])
        ) and not any(step.isdecimal() for step in path):
            found.add(field)
    return found


def table_rows(known: set[str]) -> Rows:
    return Rows("d", is_table=True, scalars=frozenset(known))


def fields_of(filter: Any, above: str = "") -> set[str]:
    """The paths that the filter names, those in `$elemMatch` from the document's root."""
    if isinstance(filter, list):
        return {field for part in filter for field in fields_of(part, above)}
    if not isinstance(filter, dict):
        return set()
    found = set()
    for key, value in filter.items():
        if key in ("$and", "$or", "$nor", "$elemMatch", "$all", "$not"):
            found |= fields_of(value, above)
        elif not key.startswith(("$", "_")):
            field = f"{above}.{key}" if above else key
            found |= {field} | fields_of(value, field)
    return found


@given(
    documents=st.lists(DOCUMENTS, min_size=1, max_size=6),
    filters=st.lists(FILTERS, min_size=1, max_size=8),
)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_filter_finds_the_same_documents(
    table: None, documents: list[dict[str, Any]], filters: list[dict[str, Any]]
) -> None:
    stored = fill(documents)
    for filter in filters:
        try:
            node = parse(filter)
        except Problem as problem:
            assert problem.code in ("invalid_query", "unsupported_operator")  # noqa: PT017
            continue
        matches = compile_predicate(node)
        expected = [document["_id"] for document in stored if matches(document)]
        fields = fields_of(filter)
        for rows_of in (
            table_rows(set()),
            table_rows(scalars(documents, fields)),
            Rows("d", is_table=True, multikeys=frozenset(fields)),
        ):
            parameters = Parameters()
            statement = SELECT.format(to_sql(node, parameters, rows_of), sql.SQL("_id"))
            rows = db.fetch_all(statement, parameters.values)
            assert [row[0] for row in rows] == expected, (filter, rows_of, documents)
        parameters = Parameters()
        statement = SELECT_MADE.format(
            root=table_rows(set()).root, condition=to_sql(node, parameters, Rows("m"))
        )
        rows = db.fetch_all(statement, parameters.values)
        assert [row[0] for row in rows] == expected, (filter, "made rows", documents)


@given(documents=st.lists(DOCUMENTS, min_size=2, max_size=8), spec=SORTS, cut=st.integers(0, 7))
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_sort_has_the_same_order_and_cursors_split_it(
    table: None, documents: list[dict[str, Any]], spec: dict[str, Any], cut: int
) -> None:
    assume(cut < len(documents))
    stored = fill(documents)
    order = sort.parse(spec)
    by_key = sort.sort_key(order)
    expected = sorted(stored, key=lambda document: by_key(sort.key(order, document)))
    ids = [document["_id"] for document in expected]
    for known in (set(), scalars(documents, set(spec))):
        parameters = Parameters()
        statement = SELECT.format(sql.SQL("true"), sort.order_by(order, table_rows(known)))
        rows = db.fetch_all(statement, parameters.values)
        assert [row[0] for row in rows] == ids, (spec, known)

        parameters = Parameters()
        place = sort.position(order, expected[cut])
        behind = sort.after(order, place, parameters, table_rows(known))
        statement = SELECT.format(behind, sort.order_by(order, table_rows(known)))
        rows = db.fetch_all(statement, parameters.values)
        assert [row[0] for row in rows] == ids[cut + 1 :], (spec, known, place)
