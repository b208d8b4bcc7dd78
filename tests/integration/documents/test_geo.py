"""Geo operators over HTTP: what is found, in which order, by which index."""

from typing import Any

import psycopg
import pytest

from baas.kernel.problems import Invalid
from tests.integration.documents.conftest import Collection
from tests.integration.documents.indexing import index_name, plan

PARIS = [2.3522, 48.8566]
CITIES = {
    "berlin": [13.405, 52.52],
    "london": [-0.1276, 51.5072],
    "madrid": [-3.7038, 40.4168],
    "paris": PARIS,
    "suva": [178.4419, -18.1416],
    "apia": [-171.7513, -13.8333],
}


def point(position: list[float]) -> dict[str, Any]:
    return {"type": "Point", "coordinates": position}


def polygon(*ring: list[float]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


@pytest.fixture(params=["index", "scan"])
def cities(request: pytest.FixtureRequest, notes: Collection) -> Collection:
    indexes = [{"fields": ["at"], "type": "geo"}] if request.param == "index" else []
    assert notes.declare(indexes=indexes).status in (200, 201)
    notes.create([{"_id": name, "at": point(position)} for name, position in CITIES.items()])
    notes.create([{"_id": "nowhere"}, {"_id": "odd", "at": {"type": "Point"}}])
    return notes


def near(position: list[float], **limits: float) -> dict[str, Any]:
    return {
        "at": {"$near": {"$geometry": point(position), **{f"${k}": v for k, v in limits.items()}}}
    }


def test_near_lists_the_nearest_first(cities: Collection) -> None:
    assert cities.ids(filter=near(PARIS)) == [
        "paris", "london", "berlin", "madrid", "apia", "suva",
    ]  # fmt: skip


def test_distances_are_metres(cities: Collection) -> None:
    # Paris - London 344 km, Paris - Berlin 878 km.
    assert cities.ids(filter=near(PARIS, maxDistance=345_000)) == ["paris", "london"]
    assert cities.ids(filter=near(PARIS, minDistance=345_000, maxDistance=880_000)) == ["berlin"]
    assert cities.ids(filter=near(PARIS, maxDistance=342_000)) == ["paris"]


def test_pages_go_on_where_the_one_before_ended(cities: Collection) -> None:
    found: list[str] = []
    cursor = None
    for _ in range(4):
        reply = cities.query(filter=near(PARIS), limit=2, cursor=cursor)
        assert reply.status == 200
        found += [document["_id"] for document in reply.json["items"]]
        cursor = reply.json["next_cursor"]
        if cursor is None:
            break
    assert found == ["paris", "london", "berlin", "madrid", "apia", "suva"]


def test_documents_at_the_same_place_are_paged_by_id(cities: Collection) -> None:
    cities.create([{"_id": f"p{n}", "at": point(PARIS)} for n in range(5)])
    first = cities.query(filter=near(PARIS), limit=3).json
    assert [d["_id"] for d in first["items"]] == ["p0", "p1", "p2"]
    second = cities.query(filter=near(PARIS), limit=3, cursor=first["next_cursor"]).json
    assert [d["_id"] for d in second["items"]] == ["p3", "p4", "paris"]


def test_a_sort_takes_the_place_of_the_distance(cities: Collection) -> None:
    assert cities.ids(filter=near(PARIS, maxDistance=900_000), sort=["_id"]) == [
        "berlin", "london", "paris",
    ]  # fmt: skip


def test_a_foreign_cursor_is_refused(cities: Collection) -> None:
    cursor = cities.query(sort=["at"], limit=1).json["next_cursor"]
    reply = cities.query(filter=near(PARIS), limit=1, cursor=cursor)
    assert (reply.status, reply.json["code"]) == (400, "invalid_query")


def test_near_counts_and_joins_other_conditions(cities: Collection) -> None:
    both = {"$and": [near(PARIS, maxDistance=900_000), {"_id": {"$ne": "london"}}]}
    assert cities.ids(filter=both) == ["paris", "berlin"]
    assert cities.query(filter=both, count=True).json["total"] == 2


def test_legacy_pairs(cities: Collection) -> None:
    radians = 345_000 / 6_378_100
    assert cities.ids(filter={"at": {"$nearSphere": PARIS, "$maxDistance": radians}}) == [
        "paris", "london",
    ]  # fmt: skip
    # In the plane, in degrees.
    assert cities.ids(filter={"at": {"$near": PARIS, "$maxDistance": 5}}) == ["paris", "london"]
    cities.create({"_id": "pair", "at": [2.4, 48.9]})
    assert cities.ids(filter=near(PARIS, maxDistance=10_000)) == ["paris", "pair"]


def test_within_a_polygon_across_the_antimeridian(cities: Collection) -> None:
    pacific = polygon([170, -25], [-165, -25], [-165, -10], [170, -10])
    filter = {"at": {"$geoWithin": {"$geometry": pacific}}}
    assert cities.ids(filter=filter) == ["apia", "suva"]


def test_within_the_shapes_of_the_plane_and_a_circle(cities: Collection) -> None:
    for shape in (
        {"$box": [[-5, 48], [5, 53]]},
        {"$polygon": [[-5, 48], [5, 48], [0, 53]]},
        {"$center": [[1, 50], 3]},
        {"$centerSphere": [[1, 50], 300_000 / 6_378_100]},
    ):
        found = cities.ids(filter={"at": {"$geoWithin": shape}})
        assert found == ["london", "paris"], shape


def test_lines_and_polygons_are_found_by_what_they_touch(cities: Collection) -> None:
    channel = {"type": "LineString", "coordinates": [[-2, 50], [2, 51.2]]}
    france = polygon([-5, 42], [8, 43], [8, 49], [2, 51.5], [-5, 48.5])
    cities.create([{"_id": "channel", "at": channel}, {"_id": "france", "at": france}])
    touching = {"at": {"$geoIntersects": {"$geometry": france}}}
    assert cities.ids(filter=touching) == ["channel", "france", "paris"]
    within = {"at": {"$geoWithin": {"$geometry": france}}}
    assert cities.ids(filter=within) == ["france", "paris"]
    assert cities.ids(filter=near(PARIS), limit=3) == ["france", "paris", "channel"]


def test_any_of_several_places_counts(cities: Collection) -> None:
    cities.create([
        {"_id": "tour", "at": [point(CITIES["suva"]), point([2.35, 48.86])]},
        {"_id": "stops", "at": [[0.0, 0.0], [2.36, 48.85]]},
    ])  # fmt: skip
    assert cities.ids(filter=near(PARIS, maxDistance=5000)) == ["paris", "tour", "stops"]


@pytest.mark.parametrize(
    ("filter", "code"),
    [
        ({"at": {"$near": {"$geometry": {"type": "Polygon", "coordinates": []}}}}, "invalid_query"),
        ({"at": {"$near": {"$geometry": point([200, 0])}}}, "invalid_query"),
        ({"at": {"$near": {"$geometry": point([0, 0]), "$maxDistance": -1}}}, "invalid_query"),
        ({"at": {"$near": {"$geometry": point([0, 0]), "max": 1}}}, "invalid_query"),
        ({"at": {"$near": [0, 0, 0]}}, "invalid_query"),
        ({"at": {"$nearSphere": [0, 100]}}, "invalid_query"),
        ({"at": {"$maxDistance": 5}}, "unsupported_operator"),
        ({"$or": [near([0, 0]), {"a": 1}]}, "invalid_query"),
        ({"at": {"$not": {"$near": [0, 0]}}}, "invalid_query"),
        ({"$and": [near([0, 0]), near([1, 1])]}, "invalid_query"),
        ({"at": {"$geoWithin": {"$geometry": point([0, 0])}}}, "invalid_query"),
        ({"at": {"$geoWithin": {"$circle": 1}}}, "unsupported_operator"),
        ({"at": {"$geoWithin": {}}}, "invalid_query"),
        ({"at": {"$geoWithin": {"$box": [[0, 0]]}}}, "invalid_query"),
        ({"at": {"$geoWithin": {"$center": [[0, 0], "1"]}}}, "invalid_query"),
        ({"at": {"$geoIntersects": {"$box": [[0, 0], [1, 1]]}}}, "unsupported_operator"),
        (
            {"at": {"$geoWithin": {"$geometry": polygon([0, 0], [10, 10], [10, 0], [0, 10.5])}}},
            "invalid_query",
        ),
        (
            {"at": {"$geoWithin": {"$geometry": {"type": "Polygon", "coordinates": [
                [[n / 10, (n % 2) + 5] for n in range(1001)]]}}}},
            "invalid_query",
        ),
        (
            {"at": {"$geoIntersects": {"$geometry": {"type": "MultiPoint", "coordinates": [
                [n / 10, 5] for n in range(1001)]}}}},
            "invalid_query",
        ),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(notes: Collection, filter: Any, code: str) -> None:
    notes.create({"_id": "a"})
    reply = notes.query(filter=filter)
    assert (reply.status, reply.json["code"]) == (400, code)


FRANCE = polygon([-5, 42], [8, 43], [8, 49], [2, 51.5], [-5, 48.5])


@pytest.mark.parametrize(
    "test",
    [
        {"$geoWithin": {"$geometry": FRANCE}},
        {"$geoWithin": {"$centerSphere": [[1, 50], 0.05]}},
        {"$geoWithin": {"$box": [[-5, 48], [5, 53]]}},
        {"$geoIntersects": {"$geometry": FRANCE}},
        {"$near": {"$geometry": point(PARIS), "$maxDistance": 10_000}},
    ],
)
def test_a_geo_index_is_used(notes: Collection, test: dict[str, Any]) -> None:
    notes.declare(indexes=[{"fields": ["at"], "type": "geo"}])
    notes.create([{"at": point([n / 2 - 125, n % 90])} for n in range(500)])
    found = plan(notes, filter={"at": test})
    assert f"Index Scan using {index_name(notes, 'at_geo')}" in found or (
        f"Bitmap Index Scan on {index_name(notes, 'at_geo')}" in found
    ), found


def test_near_without_a_limit_reads_the_index_in_the_order_of_distance(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["at"], "type": "geo"}])
    notes.create([{"at": point([n / 2 - 125, n % 90])} for n in range(500)])
    found = plan(notes, filter=near(PARIS), limit=5)
    assert "Order By: (documents_geo_box(doc, '{at}'::text[]) <-> " in found, found


def test_a_geo_index_is_on_one_field_and_not_unique(notes: Collection) -> None:
    for index in (
        {"fields": ["a", "b"], "type": "geo"},
        {"fields": ["a"], "type": "geo", "unique": True},
        {"fields": ["-a"], "type": "geo"},
    ):
        reply = notes.declare(indexes=[index])
        assert (reply.status, reply.json["code"]) == (422, "invalid_index")


@pytest.mark.parametrize("error", ["InsufficientPrivilege", "UndefinedFile"])
def test_without_the_extension_the_index_is_refused_and_queries_go_on(
    notes: Collection, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    from documents.geo import index

    def execute(*_: object) -> None:
        raise getattr(psycopg.errors, error)("there is no cube")

    monkeypatch.setattr(index.db, "execute", execute)
    with pytest.raises(Invalid, match="CREATE EXTENSION cube") as refused:
        index.require_extension()
    monkeypatch.undo()
    assert refused.value.code == "not_supported"
    notes.create({"_id": "a", "at": point(PARIS)})
    assert notes.ids(filter=near(PARIS, maxDistance=10)) == ["a"]


def test_an_indexed_field_may_hold_anything(notes: Collection) -> None:
    notes.declare(indexes=[{"fields": ["a.at"], "type": "geo"}])
    assert notes.create([
        {"a": {"at": "here"}}, {"a": 5}, {"a": [{"at": point([1, 1])}, {"at": [5, 5]}]},
        {"a": {"at": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}}, {},
        {"_id": "pole", "a": {"at": polygon([0, 80], [90, 80], [180, 80], [-90, 80])}},
    ]).status == 201  # fmt: skip
    around = {"a.at": {"$near": {"$geometry": point([0, 90]), "$maxDistance": 1000}}}
    assert notes.ids(filter=around) == ["pole"]


@pytest.mark.parametrize(
    "test",
    [
        {"$geoWithin": {"$center": [[1e100, -1e100], 1e100]}},
        {"$geoWithin": {"$center": [[1e-300, 1e-300], 1e-300]}},
        {"$geoWithin": {"$centerSphere": [[0, 90], 1e99]}},
        {"$geoWithin": {"$centerSphere": [[1e-300, 1e-300], 0]}},
        {"$geoWithin": {"$box": [[-1e100, -1e100], [1e100, 1e100]]}},
        {"$geoWithin": {"$polygon": [[1e100, 0], [1e100, 1e-100], [-1e100, -1e100]]}},
        {"$near": [1e100, -1e100], "$minDistance": 1e-300, "$maxDistance": 1e100},
        {"$near": {"$geometry": point([180, -90]), "$maxDistance": 1e-300}},
        {"$near": {"$geometry": point([1e-300, 0]), "$minDistance": 1e100}},
        {"$geoIntersects": {"$geometry": polygon([-180, -90], [180, -90], [0, 90])}},
        {"$geoIntersects": {"$geometry": polygon([-180, 0], [-60, 0], [60, 0])}},
        {"$geoIntersects": {"$geometry": {"type": "LineString", "coordinates": [
            [0, 90], [0, 89.9999999999], [0, 90]]}}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("indexes", [[], [{"fields": ["at"], "type": "geo"}]])
def test_extremes_are_answered(
    notes: Collection, test: dict[str, Any], indexes: list[dict[str, Any]]
) -> None:
    notes.declare(indexes=indexes)
    notes.create([
        {"at": value} for value in (
            [1e100, 1e100], [1e-200, 1e-200], [180, 90], [-180, -90], point([180, 0]),
            point([-180, 0]), point([0, 90]), [1e300, 5], [[0, 0], [1e99, 0]],
            {"type": "Polygon", "coordinates": [[[0, 0], [120, 0], [-120, 0], [0, 0]]]},
            {"type": "Polygon", "coordinates": [[[0, 0], [1e-12, 0], [0, 1e-12], [0, 0]]]},
            {"type": "LineString", "coordinates": [[0, 90], [180, 90]]},
        )
    ])  # fmt: skip
    reply = notes.query(filter={"at": test}, count=True)
    if reply.status == 400:
        assert reply.code == "invalid_query"
    else:
        assert reply.status == 200, reply
        assert reply.json["total"] == len(reply.json["items"])
