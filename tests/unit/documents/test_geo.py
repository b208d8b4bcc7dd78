"""Geometry on the sphere, against closed formulas and against another way to calculate it."""

from math import asin, atan2, cos, degrees, pi, radians, sin, sqrt
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from baas.kernel.problems import Malformed
from documents.geo import geometry, predicate, relations
from documents.geo.ast import Geo, Within, WithinBox, WithinCap
from documents.geo.cover import cover
from documents.geo.geometry import Polygon, area, read
from documents.geo.regions import side_of_polygon
from documents.geo.simple import is_simple
from documents.geo.vectors import EARTH_M, Vector, angle, cross, dot, from_degrees, unit

LNG = st.floats(-180, 180, allow_nan=False)
LAT = st.floats(-90, 90, allow_nan=False)


def point(lng: float, lat: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lng, lat]}


def polygon(*rings: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def inside(lng: float, lat: float, shape: dict[str, Any]) -> bool:
    return relations.within(read(point(lng, lat)), read(shape))


@pytest.mark.parametrize(
    ("a", "b", "expected_m"),
    [
        # A quarter of the equator, half a meridian, one degree: closed forms.
        ((0, 0), (90, 0), EARTH_M * pi / 2),
        ((0, -90), (0, 90), EARTH_M * pi),
        ((10, 50), (10, 51), EARTH_M * pi / 180),
        ((179.5, 0), (-179.5, 0), EARTH_M * pi / 180),
        # The chord between two meridians at 60 degrees is half as long as at the equator.
        ((0, 60), (60, 60), EARTH_M * 2 * asin(0.25)),
    ],
)
def test_distances_have_their_closed_forms(
    a: tuple[float, float], b: tuple[float, float], expected_m: float
) -> None:
    found = angle(from_degrees(*a), from_degrees(*b)) * EARTH_M
    assert found == pytest.approx(expected_m, rel=1e-12)


def test_the_distance_between_paris_and_new_york_is_the_one_in_the_books() -> None:
    metres = angle(from_degrees(2.3522, 48.8566), from_degrees(-74.0060, 40.7128)) * EARTH_M
    assert metres == pytest.approx(5_837_000 * EARTH_M / 6_371_000, rel=1e-3)


@given(LNG, LAT, LNG, LAT)
def test_distances_agree_with_the_haversine_formula(a: float, b: float, c: float, d: float) -> None:
    phi, psi = radians(b), radians(d)
    h = sin((psi - phi) / 2) ** 2 + cos(phi) * cos(psi) * sin(radians(c - a) / 2) ** 2
    expected = 2 * asin(min(1.0, sqrt(h)))
    assert angle(from_degrees(a, b), from_degrees(c, d)) == pytest.approx(expected, abs=3e-8)


ARCTIC = polygon([[0, 80], [90, 80], [180, 80], [-90, 80], [0, 80]])
DATE_LINE = polygon([[170, -10], [-170, -10], [-170, 10], [170, 10], [170, -10]])


def test_a_polygon_around_the_pole_has_the_pole() -> None:
    assert inside(0, 90, ARCTIC)
    assert inside(123, 89, ARCTIC)
    assert not inside(45, 80, ARCTIC)  # between two corners the edge comes nearer to the pole
    assert not inside(0, -90, ARCTIC)
    assert not inside(0, 79.9, ARCTIC)


def test_a_polygon_across_the_antimeridian_is_the_small_one() -> None:
    for lng in (180, -180, 175, -171):
        assert inside(lng, 0, DATE_LINE)
    assert not inside(0, 0, DATE_LINE)
    assert not inside(169, 0, DATE_LINE)


def test_edges_are_great_circles_not_parallels() -> None:
    square = polygon([[0, 40], [10, 40], [10, 50], [0, 50], [0, 40]])
    assert not inside(5, 40.01, square)  # the southern edge bends to the north
    assert inside(5, 50.05, square)  # and so does the northern one
    assert inside(5, 40.2, square)


def test_the_border_and_the_corners_belong_to_a_polygon() -> None:
    triangle = polygon([[0, 0], [30, 60], [60, 10], [0, 0]])
    for lng, lat in ([0, 0], [30, 60], [60, 10]):
        assert inside(lng, lat, triangle)
    equator = polygon([[0, 0], [10, 0], [5, 5], [0, 0]])
    assert inside(5, 0, equator)
    assert not inside(5, -0.001, equator)


def test_the_winding_does_not_matter() -> None:
    ring = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
    for shape in (polygon(ring), polygon(ring[::-1])):
        assert inside(5, 5, shape)
        assert not inside(50, 5, shape)


def test_a_polygon_of_a_metre_is_read_in_both_directions() -> None:
    ring = [[8.5, 47.3], [8.50001, 47.3], [8.50001, 47.30001], [8.5, 47.30001], [8.5, 47.3]]
    for shape in (polygon(ring), polygon(ring[::-1])):
        assert inside(8.500005, 47.300005, shape)
        assert not inside(8.50002, 47.300005, shape)


def test_a_hemisphere_lies_to_the_left() -> None:
    ring: list[list[float]] = [[0, 0], [120, 0], [-120, 0], [0, 0]]
    assert inside(50, 10, polygon(ring))
    assert not inside(50, -10, polygon(ring))
    assert inside(50, -10, polygon(ring[::-1]))


def test_a_hole_is_outside_and_its_border_inside() -> None:
    shape = polygon(
        [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]], [[4, 4], [6, 4], [6, 6], [4, 6], [4, 4]]
    )
    assert not inside(5, 5, shape)
    assert inside(4, 5, shape)
    assert inside(2, 2, shape)


def test_an_octant_has_an_eighth_of_the_sphere() -> None:
    (octant,) = read(polygon([[0, 0], [90, 0], [0, 90], [0, 0]]))
    assert isinstance(octant, Polygon)
    assert area(octant.rings[0]) == pytest.approx(4 * pi / 8)


@st.composite
def stars(draw: st.DrawFn) -> tuple[dict[str, Any], Vector]:
    """A star-shaped polygon around some centre, far from being larger than a hemisphere."""
    centre = from_degrees(draw(LNG), draw(LAT))
    up = (0.0, 0.0, 1.0) if abs(centre[2]) < 0.9 else (1.0, 0.0, 0.0)
    east = unit(cross(up, centre))
    north = cross(centre, east)
    corners = draw(st.integers(3, 12))
    ring = []
    for place in range(corners):
        turn = 2 * pi * (place + draw(st.floats(0, 0.4))) / corners
        reach = draw(st.floats(0.02, 1.2))
        x, y = cos(turn) * sin(reach), sin(turn) * sin(reach)
        v = tuple(
            c * cos(reach) + e * x + n * y for c, e, n in zip(centre, east, north, strict=True)
        )
        ring.append([degrees(atan2(v[1], v[0])), degrees(asin(max(-1.0, min(1.0, v[2]))))])
    return polygon([*ring, ring[0]]), centre


def turns(p: Vector, ring: tuple[Vector, ...]) -> float:
    """How often the ring goes around p, less how often around the opposite of p."""
    total = 0.0
    for a, b in geometry.edges(ring):
        total += atan2(dot(p, cross(a, b)), dot(a, b) - dot(a, p) * dot(b, p))
    return total / (2 * pi)


@given(stars(), LNG, LAT)
def test_inside_is_what_the_ring_goes_around(
    star: tuple[dict[str, Any], Vector], lng: float, lat: float
) -> None:
    (shape,) = read(star[0])
    assert isinstance(shape, Polygon)
    assume(is_simple(shape) and area(shape.rings[0]) < 1.9 * pi)
    p = from_degrees(lng, lat)
    nearest = min(relations.distance_to_arc(p, a, b) for a, b in geometry.arcs(shape))
    farthest = min(
        relations.distance_to_arc(relations.opposite(p), a, b) for a, b in geometry.arcs(shape)
    )
    assume(nearest > 1e-6 and farthest > 1e-6)
    here, there = side_of_polygon(p, shape), side_of_polygon(relations.opposite(p), shape)
    assert round(turns(p, shape.rings[0])) == (here > 0) - (there > 0)


@given(stars(), LNG, LAT)
def test_what_is_in_a_region_is_in_its_box(
    star: tuple[dict[str, Any], Vector], lng: float, lat: float
) -> None:
    region = read(star[0])
    box = cover(Within(region))
    assert box is not None
    p = from_degrees(lng, lat)
    if relations.within((geometry.Point(p),), region):
        assert is_boxed(p, box)


@given(LNG, LAT, st.floats(0, 180), LNG, LAT)
def test_what_is_in_a_circle_is_in_its_box(
    lng: float, lat: float, radius: float, x: float, y: float
) -> None:
    centre, p = from_degrees(lng, lat), from_degrees(x, y)
    box = cover(WithinCap(centre, radians(radius)))
    assert box is not None
    if angle(centre, p) <= radians(radius):
        assert is_boxed(p, box)


@given(LNG, LAT, LNG, LAT, st.floats(0, 1), st.floats(0, 1))
def test_what_is_between_degrees_is_in_their_box(
    a: float, b: float, c: float, d: float, s: float, t: float
) -> None:
    lower, upper = (min(a, c), min(b, d)), (max(a, c), max(b, d))
    box = cover(WithinBox(lower, upper))
    assert box is not None
    assert is_boxed(
        from_degrees(
            min(upper[0], lower[0] + s * (upper[0] - lower[0])),
            min(upper[1], lower[1] + t * (upper[1] - lower[1])),
        ),
        box,
    )


def is_boxed(p: Vector, box: tuple[Vector, Vector]) -> bool:
    return all(a <= x <= b for a, x, b in zip(box[0], p, box[1], strict=True))


def line(*points: list[float]) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": list(points)}


SQUARE = polygon([[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]])
# Like the letter U, open to the north.
CUP = polygon([[0, 0], [10, 0], [10, 10], [8, 10], [8, 2], [2, 2], [2, 10], [0, 10], [0, 0]])


@pytest.mark.parametrize(
    ("shape", "region", "expected"),
    [
        (line([1, 1], [9, 9]), SQUARE, True),
        (line([1, 1], [11, 9]), SQUARE, False),
        (line([1, 9], [9, 9]), CUP, False),  # both ends are inside, the way is not
        (line([1, 1], [9, 1]), CUP, True),
        (SQUARE, SQUARE, True),
        (polygon([[1, 1], [9, 1], [9, 9], [1, 1]]), SQUARE, True),
        (polygon([[1, 1], [9, 1], [9, 9], [1, 1]]), CUP, False),
        # All of its border is inside, but there is a hole in its middle.
        (
            polygon([[1, 1], [9, 1], [9, 9], [1, 9], [1, 1]]),
            polygon(SQUARE["coordinates"][0], [[4, 4], [6, 4], [6, 6], [4, 6], [4, 4]]),
            False,
        ),
        ({"type": "MultiPoint", "coordinates": [[1, 1], [9, 9]]}, SQUARE, True),
        ({"type": "MultiPoint", "coordinates": [[1, 1], [19, 9]]}, SQUARE, False),
        ({"type": "GeometryCollection", "geometries": [point(1, 1), SQUARE]}, SQUARE, True),
        (
            {"type": "MultiPoint", "coordinates": [[1, 1], [31, 1]]},
            {
                "type": "MultiPolygon",
                "coordinates": [
                    SQUARE["coordinates"],
                    [[[30, 0], [40, 0], [40, 10], [30, 0]]],
                ],
            },
            True,
        ),
    ],
)
def test_within(shape: dict[str, Any], region: dict[str, Any], expected: bool) -> None:
    assert relations.within(read(shape), read(region)) is expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (point(5, 5), SQUARE, True),
        (point(50, 5), SQUARE, False),
        (line([-5, 5], [15, 5]), SQUARE, True),  # through it, both ends outside
        (line([-5, 15], [15, 15]), SQUARE, False),
        (line([-5, 0], [15, 0]), line([5, -5], [5, 5]), True),
        (line([-5, 0], [4, 0]), line([5, -5], [5, 5]), False),
        (line([0, 0], [5, 5]), line([5, 5], [9, 0]), True),
        (SQUARE, polygon([[2, 2], [3, 2], [3, 3], [2, 2]]), True),
        (SQUARE, polygon([[10, 10], [20, 10], [20, 20], [10, 10]]), True),
        (SQUARE, polygon([[11, 11], [20, 10], [20, 20], [11, 11]]), False),
        (line([170, 0], [-170, 0]), line([180, -5], [180, 5]), True),
        (point(5, 5), point(5, 5), True),
        (point(5, 5), point(5, 5.00001), False),
    ],
)
def test_intersects(a: dict[str, Any], b: dict[str, Any], expected: bool) -> None:
    assert relations.intersects(read(a), read(b)) is expected
    assert relations.intersects(read(b), read(a)) is expected


def test_the_distance_to_a_line_is_the_one_to_its_nearest_point() -> None:
    equator = read(line([0, 0], [10, 0]))
    assert relations.distance(from_degrees(5, 3), equator) == pytest.approx(radians(3))
    assert relations.distance(from_degrees(13, 0), equator) == pytest.approx(radians(3))
    assert relations.distance(from_degrees(5, 5), read(SQUARE)) == 0
    assert relations.distance(from_degrees(5, -2), read(SQUARE)) == pytest.approx(radians(2))


def test_a_circle_larger_than_a_hemisphere_has_the_polygons_that_miss_its_antipode() -> None:
    centre = from_degrees(0, 90)
    assert relations.within_cap(read(SQUARE), centre, radians(91))
    assert not relations.within_cap(read(SQUARE), centre, radians(89))
    southern = read(polygon([[0, -80], [90, -80], [180, -80], [-90, -80], [0, -80]]))
    assert not relations.within_cap(southern, centre, radians(175))
    assert relations.within_cap(southern, centre, pi)


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "Point", "coordinates": [181, 0]},
        {"type": "Point", "coordinates": [0, 90.5]},
        {"type": "Point", "coordinates": [0]},
        {"type": "Point", "coordinates": [True, 0]},
        {"type": "Point", "coordinates": ["0", 0]},
        {"type": "Point"},
        {"type": "point", "coordinates": [0, 0]},
        {"type": ["Point"], "coordinates": [0, 0]},
        {"type": "LineString", "coordinates": [[0, 0]]},
        {"type": "LineString", "coordinates": [[0, 0], [0, 0]]},
        {"type": "LineString", "coordinates": [[0, 0], [180, 0]]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]},
        polygon([[0, 0], [0, 10], [0, 20], [0, 0]]),  # on one meridian
        {"type": "MultiPoint", "coordinates": []},
        {"type": "GeometryCollection", "geometries": []},
        {
            "type": "GeometryCollection",
            "geometries": [{"type": "GeometryCollection", "geometries": [point(0, 0)]}],
        },
        {**point(0, 0), "crs": {"type": "name", "properties": {"name": "EPSG:3857"}}},
        {**point(0, 0), "crs": {"type": "name", "properties": {"name": ["EPSG:4326"]}}},
        {**point(0, 0), "crs": None},
        "POINT(0 0)",
        [0],
        [0, 91],
    ],
)
def test_what_is_no_geometry_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(wrong)


def test_one_document_cannot_keep_a_live_query_busy() -> None:
    lines = {"type": "MultiPoint", "coordinates": [[n / 1000, 0] for n in range(3000)]}
    region = read(polygon(*[[[n / 4, 5 + n % 2] for n in range(100)] + [[25, -9], [0, 5]]]))
    passes = predicate.compile_geo(Geo(("at",), Within(region)))
    assert passes({"at": point(5, 4)})
    with pytest.raises(Malformed, match="too large"):
        passes({"at": lines})


def test_a_polygon_whose_edges_cross_is_not_simple() -> None:
    (bow_tie,) = read(polygon([[0, 0], [10, 10], [10, 0], [0, 10.5], [0, 0]]))
    (square,) = read(SQUARE)
    (far_hole,) = read(polygon(SQUARE["coordinates"][0], [[9, 9], [11, 9], [11, 11], [9, 9]]))
    assert isinstance(bow_tie, Polygon)
    assert isinstance(square, Polygon)
    assert isinstance(far_hole, Polygon)
    assert not is_simple(bow_tie)
    assert is_simple(square)
    assert not is_simple(far_hole)
    (spike,) = read(polygon([[0, 0], [10, 0], [10, 20], [10, 10], [0, 0]]))
    assert isinstance(spike, Polygon)
    assert not is_simple(spike)
    (touching,) = read(polygon(SQUARE["coordinates"][0], [[0, 5], [2, 4], [2, 6], [0, 5]]))
    assert isinstance(touching, Polygon)
    assert is_simple(touching)
