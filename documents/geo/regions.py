"""What is inside of a polygon. Pure."""

from documents.geo.geometry import Polygon, Ring, edges
from documents.geo.vectors import Vector, cross, dot, is_on_arc, middle


def side(p: Vector, ring: Ring) -> int:
    """1 inside (to the left of the ring), 0 on it, -1 outside.

    The point is joined to the middle of the edge whose great circle is farthest from it, and the
    edges that the joining arc crosses are counted. Each corner is on one side of that arc's plane
    or on the other, never on it, so none counts twice; and as the edge is far from being in line
    with the point, it is clear on which of its sides the arc begins. Poles, the antimeridian and
    polygons of any size are no special cases.
    """
    best, best_s, start, end = -1.0, 0.0, ring[0], ring[0]
    for a, b in edges(ring):
        if is_on_arc(p, a, b):
            return 0
        n = cross(a, b)
        s = dot(p, n)
        far = s * s / dot(n, n)
        if far > best:
            best, best_s, start, end = far, s, a, b
    m = middle(start, end)
    plane = cross(m, p)
    inside = best_s > 0
    for a, b in edges(ring):
        if a == start and b == end:
            continue
        to_a, to_b = dot(plane, a), dot(plane, b)
        if (to_a >= 0) == (to_b >= 0):
            continue
        to_a, to_b = abs(to_a), abs(to_b)
        x = (
            a[0] * to_b + b[0] * to_a,
            a[1] * to_b + b[1] * to_a,
            a[2] * to_b + b[2] * to_a,
        )
        if dot(cross(m, x), plane) > 0 and dot(cross(x, p), plane) > 0:
            inside = not inside
    return 1 if inside else -1


def side_of_polygon(p: Vector, polygon: Polygon) -> int:
    """1 inside, 0 on the border (of a hole too), -1 outside."""
    border, *holes = polygon.rings
    found = side(p, border)
    if found <= 0:
        return found
    for hole in holes:
        in_hole = side(p, hole)
        if in_hole >= 0:
            return -in_hole
    return 1
