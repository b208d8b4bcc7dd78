"""Lists: a query's page in one statement, only what the caller may read."""

from dataclasses import dataclass
from typing import Any, Final

from baas.kernel import cursors, db
from baas.kernel.statements import MAX_KEPT
from documents import access, collections, costs, hiding, relevance, row_filter, wire
from documents.access import Caller
from documents.collections import Collection
from documents.geo import nearest
from documents.geo.ast import Geo
from documents.geo.near import near_of
from documents.query import EVERYTHING, Node, Parameters, parse, projection, sort
from documents.query.problems import invalid_query
from documents.query.projection import Project
from documents.query.sort import BY_ID, Sort
from documents.query.text import Text
from documents.query.to_sql import Condition, compile_condition, shape
from documents.row_filter import RowFilter
from documents.updates import positional

MAX_SKIP: Final = 1_000_000
MAX_PLANS: Final = 256  # kept per collection and process
# A thousand documents of a megabyte each must not be one reply: a page ends at so many characters.
MAX_PAGE: Final = 16 * 1024 * 1024
SMALL_PAGE: Final = 20  # documents that are no trouble whatever their size
MEMBERS: Final = frozenset({"filter", "sort", "limit", "skip", "cursor", "fields", "count"})

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to list. Made by `parse_query` from a request, or by hand."""

    filter: Node = EVERYTHING
    sort: Sort = BY_ID
    limit: int = cursors.DEFAULT_LIMIT
    skip: int = 0
    after: Any = None  # a position of `sort.position`
    project: Project | None = None
    count: bool = False
    near: Geo | None = None  # orders in place of `sort`
    search: Text | None = None  # whose score is asked for
    by_score: bool = False  # orders in place of `sort`
    score_field: str | None = None  # where each document of the reply has its score


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    rows: list[Row]  # wire.text(row) is a document's JSON
    next_cursor: str | None
    total: int | None
    scores: dict[str, float] | None = None  # by id, for a query with a `score_field`


def parse_query(body: dict[str, Any]) -> Query:
    """From the body of POST query. Raises Malformed for what is not understood."""
    unknown = body.keys() - MEMBERS
    if unknown:
        name = min(unknown)
        raise invalid_query(f"{name[:60]!r} is no member of a query", name[:60])
    skip = body.get("skip", 0)
    if isinstance(skip, bool) or not isinstance(skip, int) or not 0 <= skip <= MAX_SKIP:
        raise invalid_query(f"skip is a whole number from 0 to {MAX_SKIP}", "skip")
    cursor = body.get("cursor")
    if cursor is not None and not isinstance(cursor, str):
        raise invalid_query("the cursor is `next_cursor` of the page before", "cursor")
    if not isinstance(body.get("count", False), bool):
        raise invalid_query("count is true or false", "count")
    filter = parse(body.get("filter"))
    by_score = relevance.is_by_score(body.get("sort"))
    fields, score_field = relevance.without_score(body.get("fields"))
    return Query(
        filter=filter,
        sort=BY_ID if by_score else sort.parse(body.get("sort")),
        limit=cursors.parse_limit(body.get("limit")),
        skip=skip,
        after=cursors.decode(cursor) if cursor else None,
        project=projection.parse(fields, positional.finder(filter)),
        count=body.get("count", False),
        near=None if body.get("sort") else near_of(filter),
        search=relevance.search_of(filter) if by_score or score_field else None,
        by_score=by_score,
        score_field=score_field,
    )


def run(caller: Caller, name: str, query: Query) -> Page:
    """One page.

    Raises Forbidden `rule_denied` when the collection is closed to the caller, Malformed
    `query_too_expensive` over his limits.
    """
    collection = readable_collection(caller, name)
    if collection is None:
        return Page(rows=[], next_cursor=None, total=0 if query.count else None)
    readable = row_filter.readable(caller, collection)
    total = _count(caller, collection, query.filter, readable) if query.count else None
    text, values = _statement(collection, query, readable)

    def hint() -> list[str]:
        return costs.fields_for(query.filter, query.sort)

    costs.require_cheap(caller, (collection,), text, values, hint)
    has_more, rows = costs.run(caller, lambda: _fetch(text, values, query.limit), hint)
    next_cursor = None
    if has_more:
        next_cursor = cursors.encode(_position(collection, query, rows[-1], readable))
    scores = None
    if query.search is not None and query.score_field is not None:
        scores = relevance.scores(collection, query.search, rows, readable.parameters)
    return Page(rows=rows, next_cursor=next_cursor, total=total, scores=scores)


def _position(collection: Collection, query: Query, last: Row, readable: RowFilter) -> Any:
    if query.near is not None:
        return nearest.position(query.near, last)
    if query.search is not None and query.by_score:
        return relevance.position(collection, query.search, last, readable.parameters)
    return sort.position(query.sort, wire.value(last))


def within(statement: bytes, characters: int) -> bytes:
    """A statement of documents that ends with the one that goes beyond so many characters.

    What lies behind it stays in the database.
    """
    return (
        b"SELECT id, version, owner, created, updated, doc FROM (SELECT p.*,"
        b" sum(length(doc)) OVER (ROWS UNBOUNDED PRECEDING) - length(doc) AS before FROM (%b)"
        b" AS p(id, version, owner, created, updated, doc)) AS q WHERE before <= %d"
    ) % (statement, characters)


def _fetch(text: bytes, values: dict[str, Any], limit: int) -> tuple[bool, list[Row]]:
    """(whether there are more, the rows of a page of at most `limit` and about MAX_PAGE)."""
    if limit <= SMALL_PAGE:
        rows = db.fetch_all(text, values)
        return len(rows) > limit, rows[:limit]
    rows = db.fetch_all(within(text, MAX_PAGE), values)
    if len(rows) > 1 and sum([len(row[5]) for row in rows]) > MAX_PAGE:
        return True, rows[:-1]
    return len(rows) > limit, rows[:limit]


def statement(caller: Caller, name: str, query: Query) -> tuple[bytes, dict[str, Any]]:
    """The statement that `run` runs, and its parameters: to be explained."""
    collection = hiding.seen(caller, collections.get(caller.project.id, name))
    return _statement(collection, query, row_filter.readable(caller, collection))


def _statement(
    collection: Collection, query: Query, readable: RowFilter
) -> tuple[bytes, dict[str, Any]]:
    plan = plan_of(collection, query.filter, query.sort)
    values = plan.condition.bind(query.filter)
    if query.near is not None:
        text, own = nearest.statement(
            query.near,
            collection.rows(),
            collection.source,
            plan.select,
            where(plan, readable),
            after=query.after,
            limit=query.limit + 1,
            skip=query.skip,
        )
        return text, values | readable.parameters | own
    if query.search is not None and query.by_score:
        text, own = relevance.statement(
            query.search,
            collection.rows(),
            plan.select,
            where(plan, readable),
            after=query.after,
            limit=query.limit + 1,
            skip=query.skip,
        )
        return text, values | readable.parameters | own
    behind = b""
    if query.after is not None:
        parameters = Parameters("c")
        condition = sort.after(query.sort, query.after, parameters, collection.rows())
        behind = b" AND " + condition.as_bytes(db.raw())
        values |= parameters.values
    values |= readable.parameters
    # The numbers stand in the text: a plan for an unknown limit would read and sort everything.
    limit = b" LIMIT %d OFFSET %d" % (query.limit + 1, query.skip)
    return plan.select + where(plan, readable) + behind + plan.order_by + limit, values


@dataclass(frozen=True, slots=True)
class Plan:
    """The texts of a list's statement that are the same for all queries of the same shape."""

    condition: Condition
    select: bytes
    count: bytes
    where: bytes  # for callers who may read every row
    safe: bytes  # `where` without what may fail
    risky: bytes | None
    order_by: bytes


def plan_of(collection: Collection, filter: Node, order: Sort) -> Plan:
    """Composed once for each shape of a query, kept with the collection."""
    filter = collection.implied(filter)
    key = (shape(filter), order)
    plan: Plan | None = collection.plans.get(key)
    if plan is None:
        connection = db.raw()
        rows = collection.rows()
        condition = compile_condition(filter, rows)
        plan = Plan(
            condition,
            collection.statements.select.as_bytes(connection),
            collection.statements.count.as_bytes(connection),
            condition.sql.as_bytes(connection),
            condition.safe.as_bytes(connection),
            condition.risky.as_bytes(connection) if condition.risky else None,
            b" ORDER BY " + sort.order_by(order, rows).as_bytes(connection),
        )
        if len(plan.where) + len(plan.order_by) <= MAX_KEPT:
            if len(collection.plans) >= MAX_PLANS:
                collection.plans.clear()
            collection.plans[key] = plan
    return plan


def where(plan: Plan, readable: RowFilter) -> bytes:
    if not readable.text:
        return b" WHERE " + plan.where
    if plan.risky is None:
        return b" WHERE (" + readable.text + b") AND " + plan.where
    # A failure would tell something about a row that the caller may not read.
    guarded = b"CASE WHEN " + readable.text + b" THEN " + plan.risky + b" ELSE false END"
    return b" WHERE (" + readable.text + b") AND " + plan.safe + b" AND " + guarded


def count(caller: Caller, name: str, filter: Node) -> int:
    """How many documents match, of those that the caller may read."""
    collection = readable_collection(caller, name)
    if collection is None:
        return 0
    return _count(caller, collection, filter, row_filter.readable(caller, collection))


def readable_collection(caller: Caller, name: str) -> Collection | None:
    """The collection as the caller's lists read it. Raises Forbidden.

    None for a privileged caller's collection that is not there yet.
    """
    found = collections.find(caller.project.id, name)
    if found is None and not caller.principal.bypasses_rules:
        raise access.closed(name, "read")
    return None if found is None else hiding.seen(caller, found)


def _count(caller: Caller, collection: Collection, filter: Node, readable: RowFilter) -> int:
    plan = plan_of(collection, filter, BY_ID)
    text = plan.count + where(plan, readable)
    values = plan.condition.bind(filter) | readable.parameters

    def hint() -> list[str]:
        return costs.fields_for(filter)

    costs.require_cheap(caller, (collection,), text, values, hint)
    row = costs.run(caller, lambda: db.fetch_one(text, values), hint)
    assert row is not None  # noqa: S101 - count(*) has one row
    return int(row[0])
