"""Queries mean what they mean to implementations that nobody here wrote: mingo and mongomock.

What we find must be what one of the two finds. Where neither agrees the case must be of a kind
that disagreements.md explains, and those must be few.
"""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import mongomock
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql

from baas.kernel import db
from baas.kernel.problems import Problem
from documents import values
from documents.query import Parameters, Rows, parse, projection, sort, to_sql
from documents.query.ast import Node
from documents.query.sort import Sort
from tests.integration.documents import query_cases as cases
from tests.oracle import Mingo, OracleError

ROWS = Rows("d", is_table=True)
SELECT = sql.SQL("SELECT d._id FROM oracle_d AS d WHERE {} ORDER BY {}")
DOCUMENTS = st.lists(cases.DOCUMENTS, min_size=2, max_size=7)


def many(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        # The same cases in each run: an oracle's own way that is not known yet must not fail a
        # build. Leave it out to look for more.
        derandomize=True,
        phases=[Phase.generate],  # a failure names its case: nothing to shrink
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture
def table(installation: None) -> Iterator[None]:
    db.execute(
        'CREATE TEMP TABLE oracle_d (_id text COLLATE "C" PRIMARY KEY, doc jsonb, version bigint,'
        ' owner text COLLATE "C", created_at timestamptz, updated_at timestamptz)'
    )
    yield
    db.execute("DROP TABLE oracle_d")


class World:
    """The same documents everywhere."""

    def __init__(self, documents: list[dict[str, Any]]) -> None:
        self.documents = [{"_id": str(n), **each} for n, each in enumerate(documents)]
        self.mock = mongomock.MongoClient().db.c
        self.mock.insert_many([to_bson(each) for each in self.documents])

    def store(self) -> None:
        db.execute("TRUNCATE oracle_d")
        texts = [json.dumps(each) for each in self.documents]
        db.execute(
            "INSERT INTO oracle_d SELECT doc ->> '_id', doc - '_id'"
            " FROM (SELECT unnest(%s::text[])::jsonb) AS i(doc)",
            (texts,),
        )

    def find(self, node: Node, order: Sort) -> list[str]:
        parameters = Parameters()
        statement = SELECT.format(to_sql(node, parameters, ROWS), sort.order_by(order, ROWS))
        return [row[0] for row in db.fetch_all(statement, parameters.values)]

    def mocked(self, filter: Any, order: dict[str, int]) -> Any:
        try:
            found = self.mock.find(to_bson(filter)).sort(list(order.items()))
            return [document["_id"] for document in found]
        except Exception as error:  # noqa: BLE001 - whatever it stumbles over
            return OracleError(repr(error))


def exact(value: Any) -> Any:
    """As requests are read."""
    return values.parse_body(json.dumps(value).encode())


def to_bson(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$date"}:
            return datetime.fromisoformat(value["$date"].rstrip("Z"))
        return {key: to_bson(inner) for key, inner in value.items()}
    return list(map(to_bson, value)) if isinstance(value, list) else value


def ids(answer: Any) -> Any:
    return answer if isinstance(answer, OracleError) else [each["_id"] for each in answer]


def explained(filter: Any) -> bool:
    """Whether disagreements.md says why neither oracle need agree."""
    text = json.dumps(filter)
    return any(
        (
            # A number as a step: places and fields of the objects in an array.
            any(step.isdigit() for path in paths_of(filter) for step in path.split(".")),
            # The order of objects: keys have none here.
            any(
                f'"{op}": {{' in text or f'"{op}": [' in text
                for op in ("$gt", "$gte", "$lt", "$lte")
            ),
            # Arrays of arrays on a path: not gone into.
            "$elemMatch" in text,
            "$size" in text,
            '"$not"' in text,
            # The type of an array's elements: MongoDB looks at them, mingo does not.
            '"$type"' in text,
        )
    )


def has_only_objects(documents: list[dict[str, Any]]) -> bool:
    """Whether all elements of the fields' arrays are objects."""
    arrays = [value for each in documents for value in each.values() if isinstance(value, list)]
    return all(isinstance(item, dict) and "$date" not in item for array in arrays for item in array)


def paths_of(filter: Any) -> Iterator[str]:
    if isinstance(filter, dict):
        for key, value in filter.items():
            if not key.startswith("$"):
                yield key
            yield from paths_of(value)
    elif isinstance(filter, list):
        for each in filter:
            yield from paths_of(each)


def test_filters_find_what_they_find_elsewhere(table: None, mingo: Mingo) -> None:
    seen: Counter[str] = Counter()

    @given(documents=DOCUMENTS, filters=st.lists(cases.FILTERS, min_size=25, max_size=25))
    @many(56)
    def compare(documents: list[Any], filters: list[Any]) -> None:
        world = World(documents)
        world.store()
        answers = mingo.ask(world.documents, [{"op": "find", "filter": each} for each in filters])
        for filter, answer in zip(filters, answers, strict=True):
            ours = world.find(parse(exact(filter)), sort.BY_ID)
            theirs, mocked = ids(answer), world.mocked(filter, {"_id": 1})
            seen["cases"] += 1
            seen["found"] += bool(ours)
            seen["mingo"] += ours == theirs
            if ours not in (theirs, mocked):
                seen["neither"] += 1
                assert explained(filter), (filter, ours, theirs, mocked, world.documents)

    compare()
    assert seen["cases"] >= 1400
    assert seen["found"] > seen["cases"] / 4, seen
    assert seen["mingo"] > seen["cases"] * 0.9, seen
    assert seen["neither"] < seen["cases"] * 0.04, seen


def test_sorts_order_as_elsewhere(table: None, mingo: Mingo) -> None:
    seen: Counter[str] = Counter()

    @given(documents=DOCUMENTS, sorts=st.lists(cases.SORTS, min_size=20, max_size=20))
    @many(30)
    def compare(documents: list[Any], sorts: list[Any]) -> None:
        world = World(documents)
        world.store()
        # Ties go by `_id` in the direction of the last field.
        whole = [{**each, "_id": list(each.values())[-1]} for each in sorts]
        questions = [{"op": "find", "filter": {}, "sort": each} for each in whole]
        for order, answer in zip(whole, mingo.ask(world.documents, questions), strict=True):
            ours = world.find(parse({}), sort.parse(order))
            theirs, mocked = ids(answer), world.mocked({}, order)
            seen["cases"] += 1
            seen["agreed"] += ours in (theirs, mocked)
            # Objects by their keys' names, arrays by their lowest and highest element.
            has_more = any(isinstance(value, dict | list)
                           for each in world.documents for value in each.values())  # fmt: skip
            assert ours in (theirs, mocked) or has_more, (order, ours, theirs, mocked, documents)

    compare()
    assert seen["cases"] >= 600
    assert seen["agreed"] > seen["cases"] * 0.95, seen


def test_projections_show_what_they_show_elsewhere(mingo: Mingo) -> None:
    seen: Counter[str] = Counter()

    @given(documents=DOCUMENTS, specs=st.lists(cases.PROJECTIONS, min_size=20, max_size=20))
    @many(30)
    def compare(documents: list[Any], specs: list[Any]) -> None:
        world = World(documents)
        questions = [{"op": "find", "filter": {}, "projection": each} for each in specs]
        for spec, answer in zip(specs, mingo.ask(world.documents, questions), strict=True):
            try:
                project = projection.parse(exact(spec))
            except Problem as problem:  # a path and one above it
                assert problem.code == "invalid_query"  # noqa: PT017
                continue
            if isinstance(answer, OracleError):  # it stumbles over null and missing arrays
                continue
            assert project is not None
            ours = [json.loads(values.dumps(project(exact(each)))) for each in world.documents]
            if "$elemMatch" in json.dumps(spec) and not has_only_objects(world.documents):
                continue  # it takes other elements for objects
            seen["cases"] += 1
            assert ours == answer, (spec, ours, answer, world.documents)

    compare()
    assert seen["cases"] >= 300
