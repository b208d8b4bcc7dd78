"""Which events are document changes, and what they say."""

from decimal import Decimal

from realtime.changes import DocumentChange, is_document_event, stamp
from tests.unit.realtime.live import change, document, event


def test_only_our_own_document_events_count() -> None:
    assert is_document_event(event(1, "a", document("a")))
    assert not is_document_event(event(1, "a", None, type="baas.storage.object.created"))
    # Somebody published an event that looks like ours.
    assert not is_document_event(event(1, "a", document("a"), ce_id="theirs"))


def test_a_change_knows_its_document() -> None:
    found = change(3, "a.b~c", document("a.b~c", 2))
    assert (found.collection, found.id, found.position) == ("notes", "a.b~c", (3, 3))
    assert found.document == document("a.b~c", 2)
    assert change(3, "a", None).document is None


def test_numbers_keep_every_digit() -> None:
    text = '{"document": {"_id": "a", "big": 12345678901234567890123, "small": 0.10}}'
    found = DocumentChange(event(1, "a", None, data=text))
    assert found.document == {
        "_id": "a",
        "big": 12345678901234567890123,
        "small": Decimal("0.10"),
    }
    assert found.json == '{"_id":"a","big":12345678901234567890123,"small":0.10}'


def test_a_stamp_tells_a_document_from_its_successor() -> None:
    first = document("a", 1)
    assert stamp(first) != stamp(document("a", 2))
    assert stamp(first) != stamp(first | {"_createdAt": "2026-01-02T00:00:00.000Z"})
