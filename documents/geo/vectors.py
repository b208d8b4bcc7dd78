"""Points of the sphere as unit vectors, and arcs of great circles between them. Pure.

The SQL functions of the migration 0005 calculate in the same order.
"""

from math import atan2, cos, radians, sin, sqrt
from typing import Final, TypeAlias

Vector: TypeAlias = tuple[float, float, float]

# What MongoDB takes for the radius of the Earth, in metres.
EARTH_M: Final = 6378100.0
# As near as this (in radians, 0.6 mm on the Earth) is "on the border".
TOLERANCE: Final = 1e-10
_SQUARED: Final = 1e-20


def from_degrees(lng: float, lat: float) -> Vector:
    """What is next to nothing is nothing: in PostgreSQL a product that underflows is an error."""
    phi, theta = radians(lat), radians(lng)
    return (
        _or_zero(cos(phi) * cos(theta)),
        _or_zero(cos(phi) * sin(theta)),
        _or_zero(sin(phi)),
    )


def _or_zero(x: float) -> float:
    return 0.0 if abs(x) < 1e-15 else x


def minus(a: Vector, b: Vector) -> Vector:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def opposite(a: Vector) -> Vector:
    return (-a[0], -a[1], -a[2])


def middle(a: Vector, b: Vector) -> Vector:
    """The middle of an arc, as a unit vector."""
    return unit((a[0] + b[0], a[1] + b[1], a[2] + b[2]))


def unit(a: Vector) -> Vector:
    size = sqrt(dot(a, a))
    return (a[0] / size, a[1] / size, a[2] / size)


def angle(a: Vector, b: Vector) -> float:
    """The angle between two unit vectors, in radians: exact for near and for opposite ones."""
    n = cross(a, b)
    return atan2(sqrt(dot(n, n)), dot(a, b))


def is_on_arc(p: Vector, a: Vector, b: Vector) -> bool:
    """Whether p is on the arc from a to b, its ends included, within the tolerance."""
    if _is_same(p, a) or _is_same(p, b):
        return True
    n = cross(a, b)
    s = dot(p, n)
    if s * s > _SQUARED * dot(n, n):
        return False
    return dot(cross(n, a), p) > 0 and dot(cross(b, n), p) > 0


def _is_same(a: Vector, b: Vector) -> bool:
    between = minus(a, b)
    return dot(between, between) <= _SQUARED


def distance_to_arc(p: Vector, a: Vector, b: Vector) -> float:
    """The angle between p and the nearest point of the arc, in radians."""
    n = cross(a, b)
    if dot(cross(n, a), p) > 0 and dot(cross(b, n), p) > 0:
        # The foot of the perpendicular is on the arc.
        s = abs(dot(p, n))
        m = cross(p, n)
        return atan2(s, sqrt(dot(m, m)))
    return min(angle(p, a), angle(p, b))


def crossing(a: Vector, b: Vector, c: Vector, d: Vector) -> Vector | None:
    """Where the arcs a-b and c-d cross each other's inside; not a unit vector."""
    n = cross(a, b)
    to_c, to_d = dot(n, c), dot(n, d)
    if (to_c >= 0) == (to_d >= 0):
        return None
    # On the arc c-d for sure, as the weights are positive; then on the great circle of a-b.
    to_c, to_d = abs(to_c), abs(to_d)
    x = (
        c[0] * to_d + d[0] * to_c,
        c[1] * to_d + d[1] * to_c,
        c[2] * to_d + d[2] * to_c,
    )
    if dot(cross(a, x), n) > 0 and dot(cross(x, b), n) > 0:
        return x
    return None
