"""`near_vector`: the documents whose vectors are nearest to a given one, by a vector index.

The filter and the rules come first, the limit last. HNSW is approximate: it may miss a neighbour
(not the nearest ones, as a rule). When it finds fewer than were asked for, because the filter
leaves few of those it looked at, the exact answer is computed instead.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import isnan
from typing import Any, Final

from django.db import transaction
from psycopg import sql

from baas.kernel import cursors, db
from documents import costs, listing, row_filter, values, wire
from documents.access import Caller
from documents.collections import Collection
from documents.indexes import vectors
from documents.indexes.spec import Index
from documents.listing import Query, Row
from documents.query import Node, parse, projection
from documents.query.ast import In
from documents.query.problems import invalid_query
from documents.query.projection import Project
from documents.query.sort import BY_ID

MEMBERS: Final = frozenset({"near_vector", "filter", "fields", "limit"})
_OWN_MEMBERS: Final = frozenset({"field", "vector", "metric", "limit"})
_EF_SEARCH: Final = 200  # how many candidates HNSW keeps, at least
_MAX_EF_SEARCH: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """What to look for. Made by `parse_nearest`."""

    field: str
    vector: str  # as pgvector reads it
    dimensions: int
    metric: str | None  # None for the index's
    filter: Node
    limit: int
    project: Project | None


def parse_nearest(body: dict[str, Any]) -> Nearest:
    """From the body of POST query with `near_vector`. Raises Malformed."""
    for name in body.keys() - MEMBERS:
        raise invalid_query(f"{name[:60]!r} does not go with near_vector", name[:60])
    given = body["near_vector"]
    if not isinstance(given, dict) or given.keys() - _OWN_MEMBERS:
        raise invalid_query("near_vector has field, vector, metric and limit", "near_vector")
    field, vector, metric = given.get("field"), given.get("vector"), given.get("metric")
    if not isinstance(field, str):
        raise invalid_query("near_vector.field is the name of a field", "near_vector.field")
    if not isinstance(vector, list) or not 1 <= len(vector) <= vectors.MAX_DIMENSIONS:
        raise invalid_query(
            f"near_vector.vector is an array of 1 to {vectors.MAX_DIMENSIONS} numbers",
            "near_vector.vector",
        )
    if metric is not None and metric not in vectors.METRICS:
        raise invalid_query(f"metric is one of {', '.join(vectors.METRICS)}", "near_vector.metric")
    return Nearest(
        field=field,
        vector=f"[{','.join([_number(number) for number in vector])}]",
        dimensions=len(vector),
        metric=metric,
        filter=parse(body.get("filter")),
        limit=cursors.parse_limit(given.get("limit", body.get("limit"))),
        project=projection.parse(body.get("fields")),
    )


def _number(given: Any) -> str:
    if isinstance(given, bool) or not isinstance(given, int | float | Decimal):
        raise invalid_query("a vector is an array of numbers", "near_vector.vector")
    if not -3e38 < given < 3e38:
        raise invalid_query("a number of the vector is too large", "near_vector.vector")
    return repr(float(given))


def run(caller: Caller, name: str, wanted: Nearest) -> list[tuple[Row, float]]:
    """The documents with their distances, the nearest first.

    Raises Forbidden `rule_denied`, Malformed when no vector index can answer.
    """
    collection = listing.readable_collection(caller, name)
    if collection is None:
        return []
    distances = _distances(caller, collection, wanted)
    page = listing.run(
        caller, name, Query(filter=In(("_id",), tuple(distances)), limit=max(len(distances), 1))
    )
    return sorted([(row, distances[row[0]]) for row in page.rows], key=lambda found: found[1])


def _distances(caller: Caller, collection: Collection, wanted: Nearest) -> dict[str, float]:
    index = _index(collection, wanted)
    _, operator = vectors.METRICS[index.metric or "cosine"]
    # A vector that is hidden from the caller is not near to anything.
    rows = collection.rows().facing(tuple(wanted.field.split(".")))
    vector = vectors.value(wanted.field, wanted.dimensions, rows.doc)
    plan = listing.plan_of(collection, wanted.filter, BY_ID)
    readable = row_filter.readable(caller, collection)
    distance = sql.SQL("({} {} %(near)s::vector({}))").format(
        vector, sql.SQL(operator), sql.Literal(wanted.dimensions)
    )
    select = sql.SQL("SELECT d._id, {} AS distance FROM {} AS d").format(
        distance, collection.source
    )
    has_vector = sql.SQL(" AND {} IS NOT NULL").format(vector).as_bytes(db.raw())
    text = select.as_bytes(db.raw()) + listing.where(plan, readable) + has_vector
    parameters = plan.condition.bind(wanted.filter) | readable.parameters
    parameters["near"] = wanted.vector
    by_index = sql.SQL(" ORDER BY {}").format(distance).as_bytes(db.raw())
    limit = b" LIMIT %d" % wanted.limit

    def fetch(statement: bytes) -> list[db.Row]:
        costs.require_cheap(caller, (collection,), statement, parameters, hint)
        return costs.run(caller, lambda: db.fetch_all(statement, parameters), hint)

    def hint() -> list[str]:
        return costs.fields_for(wanted.filter)

    with transaction.atomic():
        _set("hnsw.ef_search", str(min(max(_EF_SEARCH, 2 * wanted.limit), _MAX_EF_SEARCH)))
        if _can_go_on():
            _set("hnsw.iterative_scan", "strict_order")
        found = fetch(text + by_index + limit)
    if len(found) < wanted.limit:
        # Not by the index: an order that it does not have.
        found = fetch(text + by_index + b" + 0" + limit)
    # The angle to a vector of zeros is none.
    return {id: float(distance) for id, distance in found if not isnan(distance)}


def _set(name: str, value: str) -> None:
    db.execute("SELECT set_config(%s, %s, true)", (name, value))


@lru_cache(maxsize=1)
def _can_go_on() -> bool:
    """Whether pgvector goes on looking when a filter leaves too few (since 0.8)."""
    row = db.fetch_one("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    return row is not None and tuple(map(int, row[0].split(".")[:2])) >= (0, 8)


def _index(collection: Collection, wanted: Nearest) -> Index:
    for index in collection.indexes:
        if index.type == "vector" and index.names == [wanted.field] and index.state == "ready":
            if wanted.metric not in (None, index.metric):
                continue
            if index.dimensions != wanted.dimensions:
                raise invalid_query(
                    f"the vectors of {wanted.field!r} have {index.dimensions} numbers",
                    "near_vector.vector",
                )
            return index
    raise invalid_query(
        f"there is no vector index on {wanted.field[:60]!r} that is ready (for this metric):"
        ' declare {"fields": ["…"], "type": "vector", "dimensions": …}',
        "near_vector.field",
    )


def reply(found: list[tuple[Row, float]], project: Project | None) -> bytes:
    """The reply's JSON: `items`, and the distance of each in `distances`."""
    items = [
        wire.text(row).encode() if project is None else values.dumps(project(wire.value(row)))
        for row, _ in found
    ]
    return b'{"items":[%b],"distances":%b,"next_cursor":null}' % (
        b",".join(items),
        values.dumps([distance for _, distance in found]),
    )
