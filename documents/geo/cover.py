"""Boxes around regions, for the index: what lies in the region lies in the box. Pure."""

from math import acos, cos, inf, pi, radians, sin

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
from documents.geo.geometry import Geometry, Point, Polygon, arcs
from documents.geo.regions import side_of_polygon
from documents.geo.vectors import TOLERANCE, Vector, angle

_MARGIN = 1e-9
Box = tuple[Vector, Vector]  # the lower and the upper corner


def cover(test: Test) -> Box | None:
    """A box around all geometries that can pass the test; None when it would be everywhere."""
    match test:
        case Within(region) | Intersects(region):
            return _wider(_of_geometry(region))
        case WithinCap(centre, radius):
            return _wider(of_cap(centre, radius))
        case Near(point, _, most):
            return None if most == inf else _wider(of_cap(point, most))
        case WithinBox(lower, upper):
            return _of_degrees(lower, upper)
        case WithinCorners(corners):
            return _of_degrees(
                (min(x for x, _ in corners), min(y for _, y in corners)),
                (max(x for x, _ in corners), max(y for _, y in corners)),
            )
        case WithinCircle((x, y), radius) | NearFlat((x, y), _, radius):
            return _of_degrees((x - radius, y - radius), (x + radius, y + radius))


def _wider(box: Box) -> Box:
    (lx, ly, lz), (ux, uy, uz) = box
    return (
        (lx - _MARGIN, ly - _MARGIN, lz - _MARGIN),
        (ux + _MARGIN, uy + _MARGIN, uz + _MARGIN),
    )


def _of_geometry(geometry: Geometry) -> Box:
    """As the SQL function documents_geo_cover."""
    lower, upper = [2.0] * 3, [-2.0] * 3
    for part in geometry:
        bounds = [(part.at, part.at, 0.0)] if isinstance(part, Point) else [
            (a, b, 1 - cos(angle(a, b) / 2)) for a, b in arcs(part)
        ]  # fmt: skip
        for axis in range(3):
            lower[axis] = min(
                lower[axis], *[min(a[axis], b[axis]) - bulge for a, b, bulge in bounds]
            )
            upper[axis] = max(
                upper[axis], *[max(a[axis], b[axis]) + bulge for a, b, bulge in bounds]
            )
            if isinstance(part, Polygon):
                if side_of_polygon(_axis(axis, 1.0), part) >= 0:
                    upper[axis] = 1.0
                if side_of_polygon(_axis(axis, -1.0), part) >= 0:
                    lower[axis] = -1.0
    return (lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2])


def _axis(axis: int, sign: float) -> Vector:
    return (sign * (axis == 0), sign * (axis == 1), sign * (axis == 2))


def of_cap(centre: Vector, radius: float) -> Box:
    """Around a circle on the sphere: each axis is at some angle from its centre."""
    reach = radius + TOLERANCE
    angles = [acos(max(-1.0, min(1.0, each))) for each in centre]
    lower = [cos(min(pi, each + reach)) for each in angles]
    upper = [cos(max(0.0, each - reach)) for each in angles]
    return (lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2])


def _of_degrees(lower: Flat, upper: Flat) -> Box | None:
    """Around all points with such coordinates; None when some are not on the Earth."""
    (west, south), (east, north) = lower, upper
    if west < -180 or east > 180 or south < -90 or north > 90:
        return None
    lats = [cos(radians(south)), cos(radians(north))] + [1.0] * (south <= 0 <= north)
    xs = [cos(radians(west)), cos(radians(east))] + [1.0] * (west <= 0 <= east)
    ys = [sin(radians(west)), sin(radians(east))]
    ys += [1.0] * (west <= 90 <= east) + [-1.0] * (west <= -90 <= east)
    x = [a * b for a in (min(lats), max(lats)) for b in (min(xs), max(xs))]
    y = [a * b for a in (min(lats), max(lats)) for b in (min(ys), max(ys))]
    return _wider(((min(x), min(y), sin(radians(south))), (max(x), max(y), sin(radians(north)))))
