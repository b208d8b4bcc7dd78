"""Live queries by place."""

from tests.integration.realtime.conftest import Connect, Notes, ids, steps


def at(lng: float, lat: float) -> dict[str, object]:
    return {"type": "Point", "coordinates": [lng, lat]}


def test_what_moves_into_a_region_is_added_and_what_leaves_is_removed(
    open_socket: Connect, notes: Notes
) -> None:
    notes.create("a", at=at(179, 0))
    notes.create("b", at=at(0, 0))
    ring = [[170, -10], [-170, -10], [-170, 10], [170, 10], [170, -10]]
    region = {"$geoWithin": {"$geometry": {"type": "Polygon", "coordinates": [ring]}}}
    socket = open_socket()
    assert ids(socket.watch(filter={"at": region})) == ["a"]
    notes.patch("b", at=at(-179, 0))
    assert steps(socket.changes()) == [("added", "b", -1, 1)]
    notes.patch("a", at=at(160, 0))
    assert steps(socket.changes()) == [("removed", "a", 0, -1)]
    socket.expect_silence()


def test_near_needs_a_sort(open_socket: Connect, notes: Notes) -> None:
    notes.create("a", at=at(1, 0))
    notes.create("b", at=at(2, 0))
    near = {"at": {"$near": {"$geometry": at(3, 0), "$maxDistance": 200_000}}}
    socket = open_socket()
    refused = socket.ask(op="subscribe", channel="db", collection="notes", filter=near)
    assert refused["problem"]["code"] == "invalid_query"
    assert ids(socket.watch(filter=near, sort=["_id"])) == ["b"]
