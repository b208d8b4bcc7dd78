"""`{"$meta": "textScore"}`: the order of how well documents match a search, and the figure itself.

The score is PostgreSQL's ts_rank: the more often the words of the search occur, the higher. Only
the order means something.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

from psycopg import sql

from baas.kernel import db
from documents.collections import Collection
from documents.query import Node, Parameters, text
from documents.query.ast import And
from documents.query.problems import invalid_query
from documents.query.rows import Rows
from documents.query.text import Text
from documents.wire import Row

_SCORE: Final = {"$meta": "textScore"}


def is_by_score(sort: Any) -> bool:
    """Whether a query's `sort` is `{"any name": {"$meta": "textScore"}}`. Raises Malformed."""
    if not isinstance(sort, dict) or _SCORE not in sort.values():
        return False
    if len(sort) > 1:
        raise invalid_query('{"$meta": "textScore"} is the only field of its sort', "sort")
    return True


def without_score(fields: Any) -> tuple[Any, str | None]:
    """The projection without `"name": {"$meta": "textScore"}`, and that name."""
    if not isinstance(fields, dict):
        return fields, None
    names = [name for name, value in fields.items() if value == _SCORE]
    if not names:
        return fields, None
    if len(names) > 1 or "." in names[0] or names[0].startswith(("$", "_")):
        raise invalid_query("the score goes into one field of its own", "fields")
    return {name: value for name, value in fields.items() if name not in names}, names[0]


def search_of(filter: Node) -> Text:
    """The search that a filter requires. Raises Malformed when there is none."""
    parts = filter.parts if isinstance(filter, And) else (filter,)
    for part in parts:
        if isinstance(part, Text):
            return part
    raise invalid_query('{"$meta": "textScore"} needs $text in the filter', "filter")


def _score(search: Text, rows: Rows, parameters: Parameters) -> sql.Composable:
    found = text.score(search, rows, lambda make, cast: parameters.add(make(search), cast))
    return sql.SQL("{}::float8").format(found)


def statement(
    search: Text, rows: Rows, select: bytes, where: bytes, *, after: Any, limit: int, skip: int
) -> tuple[bytes, dict[str, Any]]:
    """The statement of a page in the order of the score, and the parameters not of `where`.

    `select` and `where` are those of any list; `after` is a `position`. Raises Malformed for a
    foreign one.
    """
    parameters = Parameters("s")
    score = _score(search, rows, parameters)
    id = rows.column("_id")
    if after is not None:
        last_score, last_id = _checked(after)
        behind = sql.SQL(" AND (-{}, {}) > (-{}, {})").format(
            score, id, parameters.add(last_score, "float8"), parameters.add(last_id, "text")
        )
        where += behind.as_bytes(db.raw())
    order = sql.SQL(" ORDER BY {} DESC, {}").format(score, id).as_bytes(db.raw())
    return select + where + order + b" LIMIT %d OFFSET %d" % (limit, skip), parameters.values


def scores(
    collection: Collection, search: Text, rows: Sequence[Row], given: dict[str, Any]
) -> dict[str, float]:
    """The score of each of the rows by its id. `given` are the parameters of `readable`."""
    parameters = Parameters("s")
    found = db.fetch_all(
        sql.SQL("SELECT d._id, {} FROM {} AS d WHERE d._id = ANY({})").format(
            _score(search, collection.rows(), parameters),
            collection.source,
            parameters.add([row[0] for row in rows], "text[]"),
        ),
        parameters.values | given,
    )
    return {id: float(score) for id, score in found}


def position(collection: Collection, search: Text, row: Row, given: dict[str, Any]) -> list[Any]:
    """What a cursor keeps of the last document of a page."""
    return [scores(collection, search, [row], given).get(row[0], 0.0), row[0]]


def _checked(after: Any) -> tuple[float, str]:
    match after:
        case [float() | int() as score, str() as id] if isfinite(score) and "\0" not in id:
            return float(score), id
    raise invalid_query("the cursor belongs to another query", "cursor")
