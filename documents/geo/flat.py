"""Points of the plane: MongoDB's legacy shapes. Pure."""

from math import sqrt
from typing import Any

from documents.geo import geometry
from documents.geo.ast import Flat

_LARGEST = 10**100


def point(value: Any) -> Flat | None:
    """The point of a legacy pair or a GeoJSON Point; None for anything else."""
    if isinstance(value, dict):
        if value.get("type") != "Point":
            return None
        try:
            geometry.read(value)
        except ValueError:
            return None
        value = value["coordinates"]
    if not isinstance(value, list) or len(value) < 2:
        return None
    x, y = value[:2]
    if not (geometry.is_number(x) and geometry.is_number(y)):
        return None
    if abs(x) > _LARGEST or abs(y) > _LARGEST:
        return None
    return _as_float(x), _as_float(y)


def is_in_box(p: Flat, lower: Flat, upper: Flat) -> bool:
    return lower[0] <= p[0] <= upper[0] and lower[1] <= p[1] <= upper[1]


def distance(p: Flat, q: Flat) -> float:
    x, y = p[0] - q[0], p[1] - q[1]
    return sqrt(x * x + y * y)


def is_in_polygon(p: Flat, corners: tuple[Flat, ...]) -> bool:
    """Inside or on the border."""
    x, y = p
    inside = False
    bx, by = corners[-1]
    for corner in corners:
        ax, ay = bx, by
        bx, by = corner
        turn = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        if turn == 0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
            return True
        if (ay > y) != (by > y) and (turn > 0) == (by > ay):
            inside = not inside
    return inside


def _as_float(number: Any) -> float:
    """What is next to nothing is nothing: in PostgreSQL a product that underflows is an error."""
    return 0.0 if abs(number) < 1e-100 else float(number)
