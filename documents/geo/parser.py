"""From MongoDB's geo operators to their tests. Pure."""

from math import inf, pi
from typing import Any, Final, NoReturn

from documents.geo import flat, geometry
from documents.geo.ast import (
    Flat,
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
from documents.geo.geometry import Geometry, Point, Polygon
from documents.geo.simple import is_simple
from documents.geo.vectors import EARTH_M, Vector
from documents.query.problems import invalid_query, unsupported

OPERATORS: Final = frozenset({"$geoWithin", "$geoIntersects", "$near", "$nearSphere"})
# Stand beside `$near` when that takes a legacy pair.
LIMITS: Final = frozenset({"$maxDistance", "$minDistance"})
MAX_POSITIONS: Final = 1000  # each document is compared with all of them


def size(test: Test) -> int:
    """How many positions a document is compared with."""
    match test:
        case Within(shape) | Intersects(shape):
            return geometry.size(shape)
        case WithinCorners(corners):
            return len(corners)
    return 1


def parse(path: tuple[str, ...], name: str, argument: Any, siblings: dict[str, Any]) -> Geo:
    """The test of one of OPERATORS. Raises Malformed `invalid_query`, `unsupported_operator`.

    `siblings` are all operators of the field: a legacy `$near` has its limits among them.
    """
    match name:
        case "$geoWithin":
            return Geo(path, _within(name, argument))
        case "$geoIntersects":
            _, given = _only(name, argument, ("$geometry",))
            return Geo(path, Intersects(_geometry(name, given)))
        case "$near" | "$nearSphere":
            return Geo(path, _near(name, argument, siblings))
    raise unsupported(name)


def _wrong(name: str, detail: str) -> NoReturn:
    raise invalid_query(f"{name}: {detail}")


def _only(name: str, argument: Any, known: tuple[str, ...]) -> tuple[str, Any]:
    if not isinstance(argument, dict) or len(argument) != 1:
        _wrong(name, f"it takes an object with one of {', '.join(known)}")
    (shape,) = argument
    if shape not in known:
        raise unsupported(shape)
    return shape, argument[shape]


def _geometry(name: str, given: Any) -> Geometry:
    if not isinstance(given, dict):
        _wrong(name, "$geometry is a GeoJSON object")
    try:
        found = geometry.read(given)
    except ValueError as error:
        _wrong(name, str(error))
    if geometry.size(found) > MAX_POSITIONS:
        _wrong(name, f"$geometry has {MAX_POSITIONS} positions at most")
    if not all(is_simple(part) for part in found if isinstance(part, Polygon)):
        _wrong(name, "the edges of the polygon cross each other")
    return found


def _within(name: str, argument: Any) -> Test:
    known = ("$geometry", "$centerSphere", "$box", "$polygon", "$center")
    shape, given = _only(name, argument, known)
    match shape:
        case "$geometry":
            region = _geometry(name, given)
            if not all(isinstance(part, Polygon) for part in region):
                _wrong(name, "$geometry is a Polygon or a MultiPolygon")
            return Within(region)
        case "$centerSphere":
            centre, radius = _circle(shape, given)
            return WithinCap(_on_earth(shape, centre), min(radius, pi))
        case "$box":
            a, b = _points(shape, given, 2, 2)
            return WithinBox((min(a[0], b[0]), min(a[1], b[1])), (max(a[0], b[0]), max(a[1], b[1])))
        case "$polygon":
            return WithinCorners(_points(shape, given, 3, MAX_POSITIONS))
    return WithinCircle(*_circle(shape, given))


def _near(name: str, argument: Any, siblings: dict[str, Any]) -> Near | NearFlat:
    if isinstance(argument, list):
        return near(name, argument, siblings, is_flat=name == "$near")
    if not isinstance(argument, dict) or not argument.keys() <= {"$geometry", *LIMITS}:
        _wrong(name, "it takes $geometry, $maxDistance and $minDistance, or [longitude, latitude]")
    if not isinstance(argument.get("$geometry"), dict):
        _wrong(name, "$geometry is a GeoJSON Point")
    return near(name, argument["$geometry"], argument)


def near(
    name: str, point: Any, limits: dict[str, Any], *, is_flat: bool = False
) -> Near | NearFlat:
    """Distances from a GeoJSON point are metres, from a legacy pair radians or (flat) degrees."""
    least = _number(name, "$minDistance", limits.get("$minDistance", 0))
    most = inf
    if limits.get("$maxDistance") is not None:
        most = _number(name, "$maxDistance", limits["$maxDistance"])
    if isinstance(point, dict):
        found = _geometry(name, point)
        if len(found) != 1 or not isinstance(found[0], Point) or point.get("type") != "Point":
            _wrong(name, "$geometry is a Point")
        return Near(found[0].at, least / EARTH_M, most / EARTH_M, EARTH_M)
    pair = _point(name, point)
    if is_flat:
        return NearFlat(pair, least, most)
    return Near(_on_earth(name, pair), least, most)


def _on_earth(name: str, point: Flat) -> Vector:
    try:
        return geometry.position(list(point))
    except ValueError as error:
        _wrong(name, str(error))


def _circle(name: str, given: Any) -> tuple[Flat, float]:
    if not isinstance(given, list) or len(given) != 2:
        _wrong(name, "it is [[x, y], radius]")
    return _point(name, given[0]), _number(name, "the radius", given[1])


def _points(name: str, given: Any, least: int, most: int) -> tuple[Flat, ...]:
    if not isinstance(given, list) or not least <= len(given) <= most:
        _wrong(name, f"it is an array of {least} to {most} points [x, y]")
    return tuple([_point(name, each) for each in given])


def _point(name: str, given: Any) -> Flat:
    found = flat.point(given) if isinstance(given, list) and len(given) == 2 else None
    if found is None:
        _wrong(name, "a point is [x, y], or $geometry with a GeoJSON Point")
    return found


def _number(name: str, what: str, given: Any) -> float:
    if not geometry.is_number(given) or not 0 <= given <= 10**100:
        _wrong(name, f"{what} is a number that is not negative")
    return float(given)
