"""`$geoNear`: its arguments, and the stage as SQL."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, LiteralString

from psycopg import sql

from documents import query
from documents.aggregation.ast import GeoNear
from documents.aggregation.block import Block, Closing, Context, Statement, Term, carried
from documents.aggregation.fields import put
from documents.aggregation.problems import invalid
from documents.aggregation.rows import Column
from documents.geo import stage as geo
from documents.geo import to_sql
from documents.geo.ast import Geo, Near
from documents.geo.near import without_near
from documents.query import paths
from documents.query.ast import And, Path

_WHERE: Final = "$geoNear"
_MEMBERS: Final = frozenset(
    {"near", "distanceField", "key", "query", "spherical", "minDistance", "maxDistance",
     "distanceMultiplier", "includeLocs"}
)  # fmt: skip

# 3 is more than any chord of the unit sphere; 1e-9 is what rounding may cost.
_REACH: Final[LiteralString] = (
    "{box} && cube_enlarge({at}, (SELECT CASE WHEN count(*) < {enough} THEN 3"
    " ELSE 2 * sin(max(angle) / 2) + 1e-9 END FROM (SELECT {distance} AS angle FROM {source}"
    " WHERE {where} ORDER BY {box} <-> {at} LIMIT {enough}) AS nearest), 3)"
)


def parse_geo_near(spec: Any) -> GeoNear:
    """Raises Malformed."""
    if not isinstance(spec, dict) or spec.keys() - _MEMBERS:
        raise invalid(f"it takes an object of {', '.join(sorted(_MEMBERS))}", _WHERE)
    into = _path(spec, "distanceField")
    if into is None:
        raise invalid("distanceField is missing: the field that gets the distance", _WHERE)
    multiplier = spec.get("distanceMultiplier", 1)
    if (
        isinstance(multiplier, bool)
        or not isinstance(multiplier, int | float | Decimal)
        or (not 0 <= multiplier < 1e100)
    ):
        raise invalid("distanceMultiplier is a number that is not negative", _WHERE)
    return GeoNear(
        _path(spec, "key"),
        geo.parse_near(spec),
        without_near(_WHERE, query.parse(spec.get("query"))),
        into,
        float(multiplier),
        _path(spec, "includeLocs"),
    )


def _path(spec: Mapping[str, Any], name: str) -> Path | None:
    if name not in spec:
        return None
    if not isinstance(spec[name], str):
        raise invalid(f"{name} is the name of a field", _WHERE)
    return paths.parse(spec[name])


def geo_near(context: Context, stage: GeoNear, block: Block) -> Block:
    """The rows that have a geometry at the key, with their distances, the nearest first."""
    rows = block.rows
    path = stage.key or _only_key(rows.geo)
    statement = context.statement
    condition = query.to_sql(
        And((Geo(path, stage.test), stage.filter)),
        statement.parameters,
        rows,
        variables=context.variables,
        readable=block.readable,
    )
    block = replace(block, where=(*block.where, condition), guarded=True)
    point = statement.parameters.add(to_sql.point_of(stage.test), "float8[]")
    reach = _reach(stage, path, block, statement, point)
    if reach is not None:
        block = replace(block, implied=(*block.implied, reach))
    closing = Closing(statement, block)
    handed_on = carried(closing, rows)
    distance = closing.add(to_sql.distance_sql(rows, path, stage.test, point))
    place = closing.add(geo.location(rows, path, stage.test, point)) if stage.locations else None
    block = replace(closing.block(handed_on), order=(Term(distance),))
    shown = sql.SQL("to_jsonb({} * {}::float8)").format(
        distance, sql.Literal(stage.test.unit * stage.multiplier)
    )
    made = [(stage.into, Column("", shown, may_miss=False))]
    if stage.locations is not None and place is not None:
        made.append((stage.locations, Column("", place)))
    return put(context, block, made)


def _reach(
    stage: GeoNear, path: Path, block: Block, statement: Statement, point: sql.Composable
) -> sql.Composable | None:
    """For the nearest few: within the distance in which the index has as many.

    The index knows boxes: as many rows as are wanted with the nearest boxes say how far the nearest
    of all can be at most, whatever their shapes.
    """
    rows = block.rows
    if stage.enough is None or not isinstance(stage.test, Near) or ".".join(path) not in rows.geo:
        return None
    return sql.SQL(_REACH).format(
        box=to_sql.box(rows, path),
        at=statement.parameters.add("({!r},{!r},{!r})".format(*stage.test.point), "cube"),
        enough=sql.Literal(stage.enough),
        distance=to_sql.distance_sql(rows, path, stage.test, point),
        source=block.source,
        where=block.readable or sql.SQL("true"),
    )


def _only_key(indexed: frozenset[str]) -> Path:
    if len(indexed) != 1:
        raise invalid("key is missing: the collection has no geo index, or several", _WHERE)
    (field,) = indexed
    return tuple(field.split("."))
