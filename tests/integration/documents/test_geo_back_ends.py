"""Geometry means the same in SQL and in Python: random shapes, random operators."""

import json
from collections.abc import Iterator
from math import atan2
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from baas.kernel import db
from baas.kernel.problems import Problem
from documents.geo import geometry, parser, predicate, stage, to_sql
from documents.geo.ast import Geo
from documents.geo.simple import is_simple
from documents.query import Parameters, Rows

# On a coarse grid corners meet corners and edges lie on edges; off it, nothing does.
DEGREES = st.one_of(
    st.integers(-3, 3).map(lambda n: n * 10),
    st.floats(-30, 30, allow_nan=False).map(lambda x: round(x, 3)),
)
ANYWHERE = st.tuples(
    st.one_of(st.integers(-4, 4).map(lambda n: n * 45), st.floats(-180, 180, allow_nan=False)),
    st.one_of(st.integers(-2, 2).map(lambda n: n * 45), st.floats(-90, 90, allow_nan=False)),
)
POSITIONS = st.one_of(st.tuples(DEGREES, DEGREES), ANYWHERE).map(list)


@st.composite
def rings(draw: st.DrawFn) -> list[list[float]]:
    corners = draw(st.lists(st.tuples(DEGREES, DEGREES), min_size=3, max_size=7, unique=True))
    x = sum(a for a, _ in corners) / len(corners)
    y = sum(b for _, b in corners) / len(corners)
    # Around their middle, so that most are simple.
    if draw(st.booleans()):
        corners.sort(key=lambda c: atan2(c[1] - y, c[0] - x))
    shift = draw(st.sampled_from([0, 0, 90, 150]))
    ring = [[(a + shift + 180) % 360 - 180, b] for a, b in corners]
    return [*ring, ring[0]]


def of(kind: str, coordinates: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return coordinates.map(lambda c: {"type": kind, "coordinates": c})


POINTS = of("Point", POSITIONS)
POLYGONS = of("Polygon", st.lists(rings(), min_size=1, max_size=2))
SHAPES = st.one_of(
    POINTS,
    of("LineString", st.lists(POSITIONS, min_size=2, max_size=4)),
    POLYGONS,
    of("MultiPoint", st.lists(POSITIONS, min_size=1, max_size=3)),
    of("MultiPolygon", st.lists(st.lists(rings(), min_size=1, max_size=1), min_size=1, max_size=2)),
    of("MultiLineString", st.lists(st.lists(POSITIONS, min_size=2, max_size=3), max_size=2)),
)
GEOMETRIES = st.one_of(
    SHAPES,
    st.lists(SHAPES, min_size=0, max_size=3).map(
        lambda g: {"type": "GeometryCollection", "geometries": g}
    ),
)
ODD = st.sampled_from(
    [None, 5, "x", [], [1], [1000, 2], [[0, 0], [10, 10]], {"type": "Point"}, {"x": 1, "y": 2},
     {"type": "Point", "coordinates": [1e-9, 5, 7]}, {"type": 3, "coordinates": [0, 0]},
     {"type": "Point", "coordinates": [0, 0], "crs": {"type": "name"}},
     {"type": "Polygon", "coordinates": [[[0, 0], [0, 0], [0, 0], [0, 0]]]}]
)  # fmt: skip
VALUES = st.one_of(
    GEOMETRIES, POSITIONS, ODD, st.lists(st.one_of(GEOMETRIES, POSITIONS), max_size=3)
)
PLANE = st.tuples(DEGREES, DEGREES).map(list)
RADIUS = st.one_of(st.integers(0, 40), st.floats(0, 40, allow_nan=False))
OPERATORS = st.one_of(
    st.fixed_dictionaries({"$geoWithin": st.fixed_dictionaries({"$geometry": POLYGONS})}),
    st.fixed_dictionaries({"$geoIntersects": st.fixed_dictionaries({"$geometry": GEOMETRIES})}),
    st.tuples(POSITIONS, st.floats(0, 3.2)).map(
        lambda c: {"$geoWithin": {"$centerSphere": list(c)}}
    ),
    st.tuples(PLANE, PLANE).map(lambda c: {"$geoWithin": {"$box": list(c)}}),
    st.lists(PLANE, min_size=3, max_size=6).map(lambda c: {"$geoWithin": {"$polygon": c}}),
    st.tuples(PLANE, RADIUS).map(lambda c: {"$geoWithin": {"$center": list(c)}}),
    st.tuples(POINTS, st.integers(0, 5_000_000), st.integers(0, 20_000_000)).map(
        lambda n: {"$near": {"$geometry": n[0], "$minDistance": n[1], "$maxDistance": n[2]}}
    ),
    st.tuples(POSITIONS, RADIUS).map(lambda n: {"$near": n[0], "$maxDistance": n[1]}),
    POINTS.map(lambda p: {"$nearSphere": {"$geometry": p}}),
)


@pytest.fixture(scope="module")
def table(migrated: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        db.execute("CREATE TEMP TABLE g (n int, doc jsonb)")
        yield
        db.execute("DROP TABLE g")


def parsed(operators: dict[str, Any], path: tuple[str, ...]) -> Geo | None:
    name = next(iter(operators))
    try:
        return parser.parse(path, name, operators[name], operators)
    except Problem as problem:
        assert problem.code == "invalid_query"  # noqa: PT017
        return None


def is_sound(value: Any) -> bool:
    """Whether all polygons in a value are simple."""
    if isinstance(value, list):
        return all(map(is_sound, value))
    try:
        read = geometry.read(value)
    except ValueError:
        return True
    return all(is_simple(part) for part in read if isinstance(part, geometry.Polygon))


@given(
    values=st.lists(VALUES, min_size=1, max_size=6),
    operators=st.lists(OPERATORS, min_size=1, max_size=8),
    path=st.sampled_from([("a",), ("a", "b")]),
)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_geo_operator_finds_the_same_documents(
    table: None, values: list[Any], operators: list[dict[str, Any]], path: tuple[str, ...]
) -> None:
    documents: list[dict[str, Any]] = [{"a": value} for value in values]
    if path == ("a", "b"):
        documents = [{"a": {"b": value}} for value in values]
        documents.append({"a": [{"b": value} for value in values]})
    db.execute("TRUNCATE g")
    db.execute(
        "INSERT INTO g SELECT n, doc::jsonb FROM unnest(%s::text[]) WITH ORDINALITY AS i(doc, n)",
        ([json.dumps(document) for document in documents],),
    )
    for given_operators in operators:
        geo = parsed(given_operators, path)
        if geo is None:
            continue
        passes = predicate.compile_geo(geo)
        expected = [place for place, document in enumerate(documents, 1) if passes(document)]
        # An index has no place for a polygon that is none: there it may be missing.
        indexed = [frozenset([".".join(path)])] if all(map(is_sound, values)) else []
        for known in (frozenset[str](), *indexed):
            parameters = Parameters()
            condition = to_sql.condition(
                geo,
                Rows("g", geo=known),
                lambda make, cast: parameters.add(make(geo.test), cast),  # noqa: B023
            )
            rows = db.fetch_all(
                sql.SQL("SELECT n FROM g WHERE {} ORDER BY n").format(condition), parameters.values
            )
            assert [row[0] for row in rows] == expected, (given_operators, known, documents)


@pytest.mark.parametrize(
    ("spec", "metres", "nearest"),
    [
        ({"near": {"type": "Point", "coordinates": [0, 1]}}, 111_318.8, [0, 2]),
        ({"near": [0, 1], "spherical": True}, 0.0174533, [0, 2]),
        ({"near": [0, 1]}, 1.0, [0, 2]),
    ],
)
def test_the_stage_has_distance_and_place_as_values(
    table: None, spec: dict[str, Any], metres: float, nearest: list[int]
) -> None:
    test = stage.parse_near(spec)
    rows, path, point = Rows("g"), ("a",), sql.SQL("%(p)s::float8[]")
    db.execute("TRUNCATE g")
    db.execute("INSERT INTO g VALUES (1, %s)", (json.dumps({"a": [[0, 9], nearest, 7]}),))
    found = db.fetch_one(
        sql.SQL("SELECT {}::text, {}::text FROM g").format(
            stage.distance(rows, path, test, point, 2), stage.location(rows, path, test, point)
        ),
        {"p": to_sql.point_of(test)},
    )
    assert found is not None
    assert float(found[0]) == pytest.approx(2 * metres, rel=1e-4)
    assert json.loads(found[1]) == nearest


@given(values=st.lists(VALUES, min_size=1, max_size=12))
@settings(max_examples=150, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
def test_a_geometry_is_read_alike(table: None, values: list[Any]) -> None:
    expected = []
    for value in values:
        try:
            expected.append(geometry.encode(geometry.read(value)))
        except ValueError:
            expected.append(None)
    rows = db.fetch_all(
        "SELECT documents_geo(v::jsonb) FROM unnest(%s::text[]) WITH ORDINALITY AS i(v, n)"
        " ORDER BY n",
        ([json.dumps(value) for value in values],),
    )
    assert [row[0] for row in rows] == expected
