"""MongoDB's extended JSON on the way in: what is stored, found and sorted."""

from typing import Any

import pytest

from tests.integration.documents.conftest import Collection

STORED: list[tuple[Any, Any]] = [
    ({"$binary": "AAEC"}, {"$binary": {"base64": "AAEC", "subType": "00"}}),
    (
        {"$binary": {"base64": "AAEC", "subType": "5"}},
        {"$binary": {"base64": "AAEC", "subType": "05"}},
    ),
    ({"$date": {"$numberLong": "1714557600123"}}, {"$date": "2024-05-01T10:00:00.123Z"}),
    ({"$oid": "5F1E8C0A9B3D2F0012345678"}, "5f1e8c0a9b3d2f0012345678"),
    ({"$numberDecimal": "0.1"}, 0.1),
]


@pytest.mark.parametrize(("given", "stored"), STORED)
def test_it_is_stored_in_one_form_and_found_by_every_form(
    notes: Collection, given: Any, stored: Any
) -> None:
    assert notes.create({"_id": "1", "v": given, "list": [{"k": given}]}).status == 201
    notes.create({"_id": "2", "v": "other"})
    found = notes.get("1").json
    assert found["v"] == stored
    assert found["list"] == [{"k": stored}]
    for form in (given, stored):
        assert notes.ids(filter={"v": form}) == ["1"]
        assert notes.ids(filter={"list.k": {"$in": [form, 5]}}) == ["1"]
    assert notes.patch("2", {"$set": {"v": given}}).json["v"] == stored
    assert notes.put("2", {"v": [given]}).json["v"] == [stored]
    assert notes.ids(filter={"v": stored}) == ["1", "2"]


def test_binary_sorts_by_length_subtype_and_bytes_between_arrays_and_booleans(
    notes: Collection,
) -> None:
    values = [
        "text",
        {"k": 1},
        {"$binary": "/w=="},
        {"$binary": {"base64": "AA==", "subType": "04"}},
        {"$binary": "AAA="},
        False,
        {"$date": "2024-05-01T00:00:00Z"},
    ]
    for indexed in (False, True):
        if indexed:
            assert notes.declare(indexes=[{"fields": ["v"]}]).status == 200
        else:
            notes.create([{"_id": str(n), "v": value} for n, value in enumerate(values)])
        assert notes.ids(sort=["v"]) == [str(n) for n in range(len(values))]
        assert notes.ids(filter={"v": {"$gte": {"$binary": "/w=="}}}) == ["2", "3", "4"]


@pytest.mark.parametrize(
    "value",
    [
        {"$binary": "*"},
        {"$oid": "1"},
        {"$date": {"$numberLong": "soon"}},
        {"$minKey": 1},
        {"$timestamp": {"t": 1, "i": 1}},
        {"$code": "x"},
        {"$binary": "AA==", "more": 1},
    ],
)
def test_what_has_no_meaning_here_is_refused(notes: Collection, value: Any) -> None:
    notes.declare()
    before = notes.project.events()
    reply = notes.create({"v": value})
    assert reply.status == 422
    assert reply.code in ("invalid_value", "invalid_field_name")
    assert notes.query(filter={"v": value}).status == 400
    assert notes.project.events() == before
