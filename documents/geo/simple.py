"""Whether a polygon is one: its edges meet at single points and do not cross. Pure."""

from documents.geo.geometry import Polygon, edges
from documents.geo.vectors import Vector, crossing, dot, is_on_arc, minus


def is_simple(polygon: Polygon) -> bool:
    """False when two edges (of one ring, or of two) cross, or lie on each other.

    A sweep along x: each edge is looked at beside those only that reach as far.
    """
    reaching: list[tuple[float, Vector, Vector]] = []
    for start, end, a, b in sorted(_span(a, b) for ring in polygon.rings for a, b in edges(ring)):
        reaching = [edge for edge in reaching if edge[0] >= start]
        for _, c, d in reaching:
            contacts = {p for p in (a, b) if is_on_arc(p, c, d)}
            contacts |= {p for p in (c, d) if is_on_arc(p, a, b)}
            if len(contacts) > 1 or (not contacts and crossing(a, b, c, d) is not None):
                return False
        reaching.append((end, a, b))
    return True


def _span(a: Vector, b: Vector) -> tuple[float, float, Vector, Vector]:
    """From where to where an edge goes in x; in its middle it bulges out of its ends' span."""
    along = minus(a, b)
    bulge = dot(along, along) / 4
    return min(a[0], b[0]) - bulge, max(a[0], b[0]) + bulge, a, b
