"""How two geometries lie to each other. A border belongs to its shape. Pure."""

from itertools import pairwise
from math import pi

from documents.geo.geometry import Geometry, Line, Part, Point, Polygon, arcs
from documents.geo.regions import side_of_polygon
from documents.geo.vectors import (
    TOLERANCE,
    Vector,
    angle,
    crossing,
    distance_to_arc,
    is_on_arc,
    middle,
    opposite,
    unit,
)


def within(geometry: Geometry, region: Geometry) -> bool:
    """Whether each part of the geometry is inside of one of the region's polygons."""
    return all(
        any(isinstance(whole, Polygon) and _part_within(part, whole) for whole in region)
        for part in geometry
    )


def _part_within(part: Part, whole: Polygon) -> bool:
    if isinstance(part, Point):
        return side_of_polygon(part.at, whole) >= 0
    if not all(_arc_within(a, b, whole) for a, b in arcs(part)):
        return False
    if isinstance(part, Polygon):
        # The border is inside. So is the rest, unless a hole (or the outside) of the region is
        # in the middle of it.
        return not any(
            side_of_polygon(a, part) > 0 or side_of_polygon(middle(a, b), part) > 0
            for a, b in arcs(whole)
        )
    return True


def _arc_within(a: Vector, b: Vector, whole: Polygon) -> bool:
    """Cut the arc wherever it meets the border: the middle of every piece must be inside."""
    cuts: list[tuple[float, Vector]] = [(0.0, a), (angle(a, b), b)]
    for c, d in arcs(whole):
        if is_on_arc(c, a, b):
            cuts.append((angle(a, c), c))
        met = crossing(a, b, c, d)
        if met is not None:
            x = unit(met)
            cuts.append((angle(a, x), x))
    cuts.sort()
    return all(
        # Between two cuts that are as good as one there is nothing to test.
        v - u <= 2 * TOLERANCE or side_of_polygon(middle(x, y), whole) >= 0
        for (u, x), (v, y) in pairwise(cuts)
    )


def intersects(geometry: Geometry, other: Geometry) -> bool:
    """Whether they have a point in common."""
    return any(_meet(part, piece) for part in geometry for piece in other)


def _meet(part: Part, other: Part) -> bool:
    if isinstance(part, Point):
        return _has(other, part.at)
    if isinstance(other, Point):
        return _has(part, other.at)
    if isinstance(other, Polygon) and side_of_polygon(_first(part), other) >= 0:
        return True
    if isinstance(part, Polygon) and side_of_polygon(_first(other), part) >= 0:
        return True
    return any(_arcs_meet(a, b, c, d) for a, b in arcs(part) for c, d in arcs(other))


def _first(part: Line | Polygon) -> Vector:
    return part.points[0] if isinstance(part, Line) else part.rings[0][0]


def _has(part: Part, p: Vector) -> bool:
    match part:
        case Point(at):
            return angle(at, p) <= TOLERANCE
        case Polygon():
            return side_of_polygon(p, part) >= 0
    return any(is_on_arc(p, a, b) for a, b in arcs(part))


def _arcs_meet(a: Vector, b: Vector, c: Vector, d: Vector) -> bool:
    return (
        crossing(a, b, c, d) is not None
        or is_on_arc(a, c, d)
        or is_on_arc(b, c, d)
        or is_on_arc(c, a, b)
        or is_on_arc(d, a, b)
    )


def distance(p: Vector, geometry: Geometry) -> float:
    """The angle to the nearest point of the geometry, in radians."""
    return min(_distance(p, part) for part in geometry)


def _distance(p: Vector, part: Part) -> float:
    if isinstance(part, Point):
        return angle(p, part.at)
    if isinstance(part, Polygon) and side_of_polygon(p, part) >= 0:
        return 0.0
    return min(distance_to_arc(p, a, b) for a, b in arcs(part))


def within_cap(geometry: Geometry, centre: Vector, radius: float) -> bool:
    """Whether it is inside of a circle on the sphere: its centre and an angle in radians."""
    return all(_part_within_cap(part, centre, radius) for part in geometry)


def _part_within_cap(part: Part, centre: Vector, radius: float) -> bool:
    if isinstance(part, Point):
        return angle(part.at, centre) <= radius + TOLERANCE
    # The farthest point of an arc is the one that is nearest to the opposite of the centre.
    far = opposite(centre)
    if any(pi - distance_to_arc(far, a, b) > radius + TOLERANCE for a, b in arcs(part)):
        return False
    return radius >= pi or not isinstance(part, Polygon) or side_of_polygon(far, part) < 0
