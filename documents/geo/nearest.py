"""Lists in the order of `$near`: the nearest first.

A geo index knows boxes. They give the nearest points at once, but how near a line or a polygon is
shows only when it is looked at. So the index is asked twice in one statement: the rows with the
nearest boxes say within which distance there are enough, and of all whose box is within that the
nearest are taken. That is exact whatever the shapes are.
"""

from math import isfinite
from typing import Any, Final

from psycopg import sql

from baas.kernel import db
from documents.geo import to_sql as geo
from documents.geo.ast import Geo, Near, NearFlat
from documents.query.problems import invalid_query
from documents.query.rows import Rows
from documents.query.to_sql import Parameters
from documents.wire import Row

# A chord that is longer than any of the unit sphere, and what rounding may cost.
_EVERYWHERE: Final = sql.Literal(3)
_MARGIN: Final = sql.Literal(1e-9)


def statement(
    near: Geo,
    rows: Rows,
    table: sql.Composable,
    select: bytes,
    where: bytes,
    *,
    after: Any,
    limit: int,
    skip: int,
) -> tuple[bytes, dict[str, Any]]:
    """The statement of a page, and the parameters that are not of `where`.

    `select` and `where` are those of any list; `after` is a `position`. Raises Malformed for a
    foreign one.
    """
    parameters = Parameters("n")
    connection = db.raw()
    distance = geo.distance_sql(rows, near.path, _test(near), _point(near, parameters))
    id = rows.column("_id")
    if after is not None:
        angle, last = _checked(after)
        behind = sql.SQL(" AND ({}, {}) > ({}, {})").format(
            distance, id, parameters.add(angle, "float8"), parameters.add(last, "text")
        )
        where += behind.as_bytes(connection)
    if isinstance(near.test, Near) and ".".join(near.path) in rows.geo:
        box = geo.box(rows, near.path)
        point = parameters.add("({!r},{!r},{!r})".format(*near.test.point), "cube")
        # Of the documents with the nearest boxes the farthest; everywhere when there are few.
        nearest = sql.SQL(
            " AND {box} && cube_enlarge({point}, (SELECT CASE WHEN count(*) < {enough} THEN"
            " {everywhere} ELSE 2 * sin(max(angle) / 2) + {margin} END FROM (SELECT {distance}"
            " AS angle FROM {table} AS {alias}"
        ).format(
            box=box,
            point=point,
            enough=sql.Literal(limit + skip),
            everywhere=_EVERYWHERE,
            margin=_MARGIN,
            distance=distance,
            table=table,
            alias=sql.Identifier(rows.alias),
        )
        by_box = sql.SQL(" ORDER BY {} <-> {} LIMIT {}) AS nearest), 3)").format(
            box, point, sql.Literal(limit + skip)
        )
        where += nearest.as_bytes(connection) + where + by_box.as_bytes(connection)
    order = sql.SQL(" ORDER BY {}, {}").format(distance, id).as_bytes(connection)
    return select + where + order + b" LIMIT %d OFFSET %d" % (limit, skip), parameters.values


def position(near: Geo, row: Row) -> list[Any]:
    """What a cursor keeps of the last document of a page.

    PostgreSQL calculates it, so that it is the very number that the next page compares with.
    """
    parameters = Parameters("n")
    document = sql.SQL("(SELECT {} AS doc)").format(parameters.add(row[5], "jsonb"))
    distance = geo.distance_sql(Rows("d"), near.path, _test(near), _point(near, parameters))
    found = db.fetch_one(
        sql.SQL("SELECT {} FROM {} AS d").format(distance, document), parameters.values
    )
    assert found is not None  # noqa: S101 - the select has one row
    return [found[0], row[0]]


def _test(near: Geo) -> Near | NearFlat:
    assert isinstance(near.test, Near | NearFlat)  # noqa: S101 - as near_of found it
    return near.test


def _point(near: Geo, parameters: Parameters) -> sql.Composable:
    return parameters.add(geo.point_of(_test(near)), "float8[]")


def _checked(after: Any) -> tuple[float, str]:
    match after:
        case [float() | int() as angle, str() as id] if isfinite(angle) and "\0" not in id:
            return float(angle), id
    raise invalid_query("the cursor belongs to another query", "cursor")
