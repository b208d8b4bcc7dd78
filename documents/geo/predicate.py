"""Back end one: a geo test as a Python function of a document."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, assert_never

from documents.geo import flat, geometry, relations
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
from documents.geo.geometry import Geometry
from documents.geo.vectors import Vector
from documents.query import paths
from documents.query.problems import invalid_query

# About a second of comparing: the database may take as long as a statement, live queries may not.
_MAX_PAIRS: Final = 200_000


def compile_geo(geo: Geo) -> Callable[[Any], bool]:
    """Whether a document (or an object within one) has a geometry that passes the test."""
    path, passes = geo.path, _compile(geo.test)
    return lambda document: passes(paths.reach(document, path))


def _compile(test: Test) -> Callable[[Iterable[Any]], bool]:
    """The test of all values that a path reaches."""
    match test:
        case Within(region):
            return _on_earth(lambda g: relations.within(_bounded(g, region), region))
        case WithinCap(centre, radius):
            return _on_earth(lambda g: relations.within_cap(g, centre, radius))
        case Intersects(other):
            return _on_earth(lambda g: relations.intersects(_bounded(g, other), other))
        case Near(point, least, most):
            # The nearest counts when there are several.
            return lambda values: _between(least, _distance(values, point), most)
        case WithinBox(lower, upper):
            return _flat(lambda p: flat.is_in_box(p, lower, upper))
        case WithinCorners(corners):
            return _flat(lambda p: flat.is_in_polygon(p, corners))
        case WithinCircle(middle, radius):
            return _flat(lambda p: flat.distance(p, middle) <= radius)
        case NearFlat(pair, least, most):
            return lambda values: _between(least, _flat_distance(values, pair), most)
    assert_never(test)


def _bounded(found: Geometry, other: Geometry) -> Geometry:
    """The geometry of a document. Raises Malformed when to compare the two takes too long here."""
    if geometry.size(found) * geometry.size(other) > _MAX_PAIRS:
        raise invalid_query("a document's geometry is too large to be compared with this one")
    return found


def _between(least: float, distance: float | None, most: float) -> bool:
    return distance is not None and least <= distance <= most


def _distance(values: Iterable[Any], point: Vector) -> float | None:
    return min((relations.distance(point, g) for g in _geometries(values)), default=None)


def _flat_distance(values: Iterable[Any], point: Flat) -> float | None:
    return min((flat.distance(p, point) for p in _flat_points(values)), default=None)


def _on_earth(passes: Callable[[Geometry], bool]) -> Callable[[Iterable[Any]], bool]:
    return lambda values: any(passes(found) for found in _geometries(values))


def _flat(passes: Callable[[Flat], bool]) -> Callable[[Iterable[Any]], bool]:
    return lambda values: any(passes(point) for point in _flat_points(values))


def _candidates(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield value
        if isinstance(value, list):
            yield from value


def _geometries(values: Iterable[Any]) -> Iterator[Geometry]:
    for each in _candidates(values):
        if isinstance(each, dict | list):
            try:
                yield geometry.read(each)
            except ValueError:
                continue  # no geometry: never found, as in MongoDB without an index


def _flat_points(values: Iterable[Any]) -> Iterator[Flat]:
    for each in _candidates(values):
        point = flat.point(each)
        if point is not None:
            yield point
