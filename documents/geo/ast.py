"""What geo operators ask of the geometries at a path. Made by `parser`."""

from dataclasses import dataclass
from typing import TypeAlias

from documents.geo.geometry import Geometry
from documents.geo.vectors import Vector

Flat: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Within:
    """`$geoWithin` a polygon."""

    region: Geometry


@dataclass(frozen=True, slots=True)
class WithinCap:
    """`$geoWithin` a `$centerSphere`."""

    centre: Vector
    radius: float  # radians


@dataclass(frozen=True, slots=True)
class WithinBox:
    """`$geoWithin` a `$box`, in the plane as the next two: they look at points only."""

    lower: Flat
    upper: Flat


@dataclass(frozen=True, slots=True)
class WithinCorners:
    """`$geoWithin` a `$polygon` of the plane."""

    corners: tuple[Flat, ...]


@dataclass(frozen=True, slots=True)
class WithinCircle:
    """`$geoWithin` a `$center`."""

    centre: Flat
    radius: float


@dataclass(frozen=True, slots=True)
class Intersects:
    """`$geoIntersects`."""

    geometry: Geometry


@dataclass(frozen=True, slots=True)
class Near:
    """`$near` and `$nearSphere`: a condition, and an order unless the query has one."""

    point: Vector
    least: float  # radians
    most: float  # radians, infinite when there is no limit
    unit: float = 1.0  # what a caller calls a radian: metres for GeoJSON, itself for a pair


@dataclass(frozen=True, slots=True)
class NearFlat:
    """`$near` a legacy pair: distances in the plane."""

    point: Flat
    least: float
    most: float
    unit: float = 1.0


Test: TypeAlias = (
    Within | WithinCap | WithinBox | WithinCorners | WithinCircle | Intersects | Near | NearFlat
)


@dataclass(frozen=True, slots=True)
class Geo:
    """A geometry at the path (one of several, where arrays are on the way) passes the test."""

    path: tuple[str, ...]
    test: Test
