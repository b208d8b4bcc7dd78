"""Back end two: a geo test as a condition on rows, distances as expressions.

Every condition is true or false, never NULL. A field with a geo index (`Rows.geo`) is first
looked for by its box.
"""

from collections.abc import Callable
from math import inf
from typing import Any, LiteralString, TypeAlias, assert_never

from psycopg import sql

from documents.geo.ast import (
    Geo,
    Intersects,
    Near,
    NearFlat,
    Test,
    Within,
    WithinBox,
    WithinCap,
    WithinCircle,
    WithinCorners,
)
from documents.geo.cover import cover
from documents.geo.geometry import encode
from documents.query import columns
from documents.query.rows import Rows

# Adds a parameter that is made of the test, with its type; gives its placeholder.
Add: TypeAlias = Callable[[Callable[[Any], Any], LiteralString], sql.Composable]


def condition(geo: Geo, rows: Rows, add: Add) -> sql.Composable:
    """The same text for all tests of the same `shape`."""
    exact = _exact(geo, rows, add)
    if ".".join(geo.path) not in rows.geo or cover(geo.test) is None:
        return exact
    return sql.SQL("({} && {} AND {})").format(
        box(rows, geo.path), add(_cube_of_cover, "cube"), exact
    )


def shape(geo: Geo) -> tuple[Any, ...]:
    """What is the same for all tests that compile to the same text."""
    limits = None
    if isinstance(geo.test, Near | NearFlat):
        limits = (geo.test.least > 0, geo.test.most < inf)
    return (geo.path, type(geo.test), limits, cover(geo.test) is None)


def box(rows: Rows, path: tuple[str, ...]) -> sql.Composable:
    """What a geo index is built on."""
    return sql.SQL("documents_geo_box({}, {})").format(rows.doc, columns.path_array(path))


def distance_sql(
    rows: Rows, path: tuple[str, ...], test: Near | NearFlat, point: sql.Composable
) -> sql.Composable:
    """The distance as float8 (radians, in the plane degrees); NULL where there is no geometry.

    `point` is `point_of(test)` as a float8[]: a parameter, so that the text stays the same.
    """
    if isinstance(test, NearFlat):
        return _call("documents_flat_distance", _flat(rows, path), point)
    return _call("documents_geo_distance", _on_earth(rows, path), point)


def point_of(test: Near | NearFlat) -> list[float]:
    return list(test.point)


def _on_earth(rows: Rows, path: tuple[str, ...]) -> sql.Composable:
    return sql.SQL("documents_geo_at({}, {})").format(rows.doc, columns.path_array(path))


def _flat(rows: Rows, path: tuple[str, ...]) -> sql.Composable:
    return sql.SQL("documents_flat_at({}, {})").format(rows.doc, columns.path_array(path))


def _exact(geo: Geo, rows: Rows, add: Add) -> sql.Composable:
    earth, flat = _on_earth(rows, geo.path), _flat(rows, geo.path)
    match geo.test:
        case Within():
            return _call("documents_geo_within", earth, add(lambda t: encode(t.region), "float8[]"))
        case WithinCap():
            cap = add(lambda t: [*t.centre, t.radius], "float8[]")
            return _call("documents_geo_within_cap", earth, cap)
        case Intersects():
            other = add(lambda t: encode(t.geometry), "float8[]")
            return _call("documents_geo_intersects", earth, other)
        case WithinBox():
            corners = add(lambda t: [*t.lower, *t.upper], "float8[]")
            return _call("documents_flat_in_box", flat, corners)
        case WithinCorners():
            corners = add(lambda t: [each for corner in t.corners for each in corner], "float8[]")
            return _call("documents_flat_in_polygon", flat, corners)
        case WithinCircle():
            centre = add(lambda t: list(t.centre), "float8[]")
            distance = _call("documents_flat_distance", flat, centre)
            return _at_most(distance, add(lambda t: t.radius, "float8"))
        case Near() | NearFlat():
            return _near(geo.path, geo.test, rows, add)
    assert_never(geo.test)


def _near(path: tuple[str, ...], test: Near | NearFlat, rows: Rows, add: Add) -> sql.Composable:
    """As many limits as there are: each calculates the distance."""
    distance = distance_sql(rows, path, test, add(point_of, "float8[]"))
    limits = [sql.SQL("{} IS NOT NULL").format(distance)]
    if test.least > 0:
        limits.append(sql.SQL("{} >= {}").format(distance, add(lambda t: t.least, "float8")))
    if test.most < inf:
        limits.append(sql.SQL("{} <= {}").format(distance, add(lambda t: t.most, "float8")))
    return sql.SQL("coalesce({}, false)").format(sql.SQL(" AND ").join(limits[1:] or limits))


def _call(
    function: LiteralString, found: sql.Composable, argument: sql.Composable
) -> sql.Composable:
    return sql.SQL("{}({}, {})").format(sql.SQL(function), found, argument)


def _at_most(distance: sql.Composable, limit: sql.Composable) -> sql.Composable:
    return sql.SQL("coalesce({} <= {}, false)").format(distance, limit)


def _cube_of_cover(test: Test) -> str:
    found = cover(test)
    assert found is not None  # noqa: S101 - of the same shape as the one that was compiled
    return ",".join([f"({x!r},{y!r},{z!r})" for x, y, z in found])
