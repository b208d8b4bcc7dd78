"""What the stage `$geoNear` needs: its point and limits, the distance and the place as values.

test = parse_near(spec)                      # near, spherical, minDistance, maxDistance
Geo(path, test)                              # a node for the filter: which rows, by which index
point = parameters.add(to_sql.point_of(test), "float8[]")
to_sql.distance_sql(rows, path, test, point) # what the rows are sorted by
distance(rows, path, test, point, 1)         # the value of distanceField
location(rows, path, test, point)            # the value of includeLocs
"""

from typing import Any

from psycopg import sql

from documents.geo import parser, to_sql
from documents.geo.ast import Near, NearFlat
from documents.query import columns
from documents.query.problems import invalid_query
from documents.query.rows import Rows


def parse_near(spec: dict[str, Any]) -> Near | NearFlat:
    """From the stage's `near`, `spherical`, `minDistance` and `maxDistance`.

    A GeoJSON point takes metres, a pair radians when `spherical`, otherwise degrees of the plane.
    Raises Malformed `invalid_query`.
    """
    spherical = spec.get("spherical", False)
    if not isinstance(spherical, bool):
        raise invalid_query("$geoNear: spherical is true or false", "pipeline")
    limits = {f"${name}": spec[name] for name in ("minDistance", "maxDistance") if name in spec}
    return parser.near("$geoNear", spec.get("near"), limits, is_flat=not spherical)


def distance(
    rows: Rows,
    path: tuple[str, ...],
    test: Near | NearFlat,
    point: sql.Composable,
    multiplier: float,
) -> sql.Composable:
    """The distance as a jsonb number: in the unit of the limits, times the multiplier."""
    return sql.SQL("to_jsonb({} * {}::float8)").format(
        to_sql.distance_sql(rows, path, test, point), sql.Literal(test.unit * multiplier)
    )


def location(
    rows: Rows, path: tuple[str, ...], test: Near | NearFlat, point: sql.Composable
) -> sql.Composable:
    """The stored value (one of several, the nearest) that the distance was measured to."""
    return sql.SQL("documents_geo_nearest({}, {}, {}, {})").format(
        rows.doc, columns.path_array(path), point, sql.Literal(isinstance(test, NearFlat))
    )
