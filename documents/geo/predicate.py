"""Back end one: a geo test as a Python function of the values that its path reaches."""

from collections.abc import Callable, Iterator
from typing import Any, assert_never

from documents.geo import flat, geometry, relations
from documents.geo.ast import (
    Flat,
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


def compile_test(test: Test) -> Callable[[Any], bool]:
    """Whether one value that a path reaches, or an element of an array there, passes."""
    match test:
        case Within(region):
            return _on_earth(lambda g: relations.within(g, region))
        case WithinCap(centre, radius):
            return _on_earth(lambda g: relations.within_cap(g, centre, radius))
        case Intersects(other):
            return _on_earth(lambda g: relations.intersects(g, other))
        case Near(point, least, most):
            # The nearest counts when there are several.
            return lambda value: _between(least, _distance(value, point), most)
        case WithinBox(lower, upper):
            return _flat(lambda p: flat.is_in_box(p, lower, upper))
        case WithinCorners(corners):
            return _flat(lambda p: flat.is_in_polygon(p, corners))
        case WithinCircle(middle, radius):
            return _flat(lambda p: flat.distance(p, middle) <= radius)
        case NearFlat(pair, least, most):
            return lambda value: _between(least, _flat_distance(value, pair), most)
    assert_never(test)


def _between(least: float, distance: float | None, most: float) -> bool:
    return distance is not None and least <= distance <= most


def _distance(value: Any, point: Vector) -> float | None:
    return min((relations.distance(point, g) for g in _geometries(value)), default=None)


def _flat_distance(value: Any, point: Flat) -> float | None:
    return min((flat.distance(p, point) for p in _flat_points(value)), default=None)


def _on_earth(passes: Callable[[Geometry], bool]) -> Callable[[Any], bool]:
    return lambda value: any(passes(found) for found in _geometries(value))


def _flat(passes: Callable[[Flat], bool]) -> Callable[[Any], bool]:
    return lambda value: any(passes(point) for point in _flat_points(value))


def _candidates(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, list):
        yield from value


def _geometries(value: Any) -> Iterator[Geometry]:
    for each in _candidates(value):
        if isinstance(each, dict | list):
            try:
                yield geometry.read(each)
            except ValueError:
                continue  # no geometry: never found, as in MongoDB without an index


def _flat_points(value: Any) -> Iterator[Flat]:
    for each in _candidates(value):
        point = flat.point(each)
        if point is not None:
            yield point
