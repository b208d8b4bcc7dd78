"""GeoJSON as points, lines and polygons of unit vectors. Pure.

A polygon's edges are great circles and its inside is the smaller part of the sphere, as in
MongoDB: its rings are turned so that their inside is to the left.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from math import atan2, pi, sqrt
from typing import Any, Final, TypeAlias

from documents.geo.vectors import Vector, cross, dot, from_degrees, minus

_CRS: Final = frozenset({"urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326"})
_MULTI: Final = {
    "MultiPoint": "Point",
    "MultiLineString": "LineString",
    "MultiPolygon": "Polygon",
}
_HALF: Final = 2 * pi  # of the sphere
Ring: TypeAlias = tuple[Vector, ...]


@dataclass(frozen=True, slots=True)
class Point:
    at: Vector


@dataclass(frozen=True, slots=True)
class Line:
    points: Ring


@dataclass(frozen=True, slots=True)
class Polygon:
    rings: tuple[Ring, ...]  # the border, then the holes; the last point is not the first again


Part: TypeAlias = Point | Line | Polygon
Geometry: TypeAlias = tuple[Part, ...]


def read(value: Any) -> Geometry:
    """A GeoJSON object, or a legacy pair `[lng, lat]`. Raises ValueError, saying what is wrong."""
    if isinstance(value, list):
        return (Point(position(value)),)
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 - the caller's value is wrong, not its type
            "a geometry is a GeoJSON object or [longitude, latitude]"
        )
    _check_crs(value)
    if value.get("type") == "GeometryCollection":
        members = _list(value.get("geometries"), "geometries")
        parts: list[Part] = []
        for member in members:
            if not isinstance(member, dict) or member.get("type") == "GeometryCollection":
                raise ValueError("a GeometryCollection has geometries, not collections")
            parts += read(member)
        return tuple(parts)
    kind, given = value.get("type"), value.get("coordinates")
    if isinstance(kind, str) and kind in _MULTI:
        single = _MULTI[kind]
        return tuple([_part(single, each) for each in _list(given, "coordinates")])
    return (_part(kind, given),)


def _check_crs(value: dict[str, Any]) -> None:
    if "crs" not in value:
        return
    crs = value["crs"]
    named = crs.get("properties") if isinstance(crs, dict) and crs.get("type") == "name" else None
    name = named.get("name") if isinstance(named, dict) else None
    if not isinstance(name, str) or name not in _CRS:
        raise ValueError(f"the crs is one of {', '.join(sorted(_CRS))}")


def _list(given: Any, name: str) -> list[Any]:
    if not isinstance(given, list) or not given:
        raise ValueError(f"{name} is an array that is not empty")
    return given


def _part(kind: Any, coordinates: Any) -> Part:
    match kind:
        case "Point":
            return Point(position(coordinates))
        case "LineString":
            points = _distinct(coordinates)
            if len(points) < 2:
                raise ValueError("a LineString has two different positions at least")
            return Line(points)
        case "Polygon":
            return Polygon(tuple([_ring(ring) for ring in _list(coordinates, "coordinates")]))
    raise ValueError(
        "type is Point, LineString, Polygon, MultiPoint, MultiLineString, MultiPolygon or"
        " GeometryCollection"
    )


def position(given: Any) -> Vector:
    """`[longitude, latitude]` in degrees; what follows (an altitude) is ignored."""
    if not isinstance(given, list) or len(given) < 2 or not all(map(is_number, given[:2])):
        raise ValueError("a position is [longitude, latitude]")
    lng, lat = given[:2]
    if not (-180 <= lng <= 180 and -90 <= lat <= 90):
        raise ValueError(
            "a longitude is from -180 to 180, a latitude from -90 to 90, in that order"
        )
    return from_degrees(*[0.0 if abs(x) < 1e-12 else float(x) for x in (lng, lat)])


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _distinct(coordinates: Any) -> Ring:
    """The positions without those that repeat the one before; no two may be opposite."""
    points: list[Vector] = []
    for given in _list(coordinates, "coordinates"):
        point = position(given)
        if points and point == points[-1]:
            continue
        if points and dot(point, points[-1]) <= -1 + 1e-15:
            raise ValueError("two positions in a row are at opposite ends of the Earth")
        points.append(point)
    return tuple(points)


def _ring(coordinates: Any) -> Ring:
    points = _distinct(coordinates)
    if len(points) < 4 or points[0] != points[-1]:
        raise ValueError(
            "a polygon's ring has four positions at least, the last equal to the first"
        )
    ring = points[:-1]
    turned = area(ring)
    if abs(turned) <= 1e-14 * sum(_length(a, b) for a, b in edges(ring)):
        raise ValueError("a polygon's ring has some area")
    return ring if turned > 0 else ring[::-1]


def _length(a: Vector, b: Vector) -> float:
    between = minus(b, a)
    return sqrt(dot(between, between))


def area(ring: Ring) -> float:
    """What a ring goes around, in steradians: negative when it lies to the right.

    It is the smaller part of the sphere, to the left when both are as large.
    """
    total = 0.0
    first = ring[0]
    for a, b in pairwise(ring[1:]):
        volume = dot(first, cross(minus(a, first), minus(b, first)))
        total += 2 * atan2(volume, 1 + dot(first, a) + dot(a, b) + dot(b, first))
    while total > _HALF + 1e-9:
        total -= 2 * _HALF
    while total < -_HALF + 1e-9:
        total += 2 * _HALF
    return total


def edges(ring: Ring) -> Iterator[tuple[Vector, Vector]]:
    """The arcs of a closed ring."""
    previous = ring[-1]
    for point in ring:
        yield previous, point
        previous = point


def arcs(part: Part) -> Iterator[tuple[Vector, Vector]]:
    """All arcs of a part; none of a point."""
    match part:
        case Line(points):
            yield from pairwise(points)
        case Polygon(rings):
            for ring in rings:
                yield from edges(ring)


def size(geometry: Geometry) -> int:
    """How many positions it has."""
    return sum(1 if isinstance(part, Point) else sum(1 for _ in arcs(part)) for part in geometry)


def encode(geometry: Geometry) -> list[float]:
    """As the SQL functions take it: for each part its kind (0 point, 1 line, 2 polygon), the
    number of its rings, and for each ring the number of its positions and their coordinates."""
    flat: list[float] = []
    for part in geometry:
        rings: tuple[Ring, ...]
        match part:
            case Point(at):
                kind, rings = 0.0, ((at,),)
            case Line(points):
                kind, rings = 1.0, (points,)
            case Polygon(rings):
                kind = 2.0
        flat += [kind, float(len(rings))]
        for ring in rings:
            flat.append(float(len(ring)))
            for point in ring:
                flat += point
    return flat
