"""Time to live: a sweep deletes what has expired, with events."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.documents.conftest import Collection
from tests.integration.documents.indexing import shown, stored

PAST = {"$date": (datetime.now(UTC) - timedelta(minutes=1)).isoformat()}
SOON = {"$date": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}


def sweep() -> None:
    from documents import expiry

    expiry.sweep()


def test_expired_documents_go_with_events(notes: Collection) -> None:
    assert notes.declare(ttl_field="at").status == 201
    assert shown(notes)["ttl_field"] == "at"
    assert shown(notes)["indexes"] == []
    documents: list[dict[str, Any]] = [
        {"_id": "past", "at": PAST, "n": 1},
        {"_id": "soon", "at": SOON},
        {"_id": "none"},
        {"_id": "null", "at": None},
        {"_id": "text", "at": "2001-01-01T00:00:00Z"},
        {"_id": "number", "at": 5},
        {"_id": "object", "at": {"x": PAST}},
    ]
    notes.create(documents)
    before = notes.project.events("%deleted")
    sweep()
    assert notes.ids() == sorted({document["_id"] for document in documents} - {"past"})
    assert before == []
    assert notes.project.events("%deleted") == [("baas.db.document.deleted", "notes/past")]
    sweep()
    assert len(notes.project.events("%deleted")) == 1


def test_the_event_has_the_document_as_it_was(notes: Collection) -> None:
    import json

    from baas.kernel import db

    notes.declare(ttl_field="at")
    made = notes.create({"_id": "a", "at": PAST, "n": 1}).json
    sweep()
    row = db.fetch_one(
        "SELECT data::text FROM kernel_event WHERE project_id = %s AND type LIKE %s",
        (notes.project.id, "%deleted"),
    )
    assert row is not None
    assert json.loads(row[0]) == {"before": made}


def test_of_an_array_the_earliest_date_counts(notes: Collection) -> None:
    notes.declare(ttl_field="at")
    notes.create([{"_id": "1", "at": [SOON, PAST]}, {"_id": "2", "at": [SOON]}])
    sweep()
    assert notes.ids() == ["2"]


@pytest.mark.parametrize(("seconds", "left"), [(0, []), (59, []), (3600, ["a"])])
def test_a_document_lives_so_many_seconds_beyond_its_date(
    notes: Collection, seconds: int, left: list[str]
) -> None:
    notes.declare(ttl_field="o.at", ttl_seconds=seconds)
    notes.create({"_id": "a", "o": {"at": PAST}})
    sweep()
    assert notes.ids() == left
    assert shown(notes)["ttl_seconds"] == seconds


def test_a_system_time_may_be_the_field(notes: Collection) -> None:
    from baas.kernel import db

    notes.declare(ttl_field="_updatedAt", ttl_seconds=600)
    notes.create([{"_id": "1"}, {"_id": "2"}])
    table = stored(notes).table.as_string(None)
    db.execute(
        f"UPDATE {table} SET updated_at = now() - interval '1 hour' WHERE _id = '1'".encode()
    )
    sweep()
    assert notes.ids() == ["2"]


def test_the_sweep_reads_an_index_that_nobody_has_to_declare(notes: Collection) -> None:
    from baas.kernel import db
    from baas.kernel.events import event_params
    from documents import expiry

    notes.declare(ttl_field="at")
    statement, values = expiry._statement(stored(notes), datetime.now(UTC))
    db.execute("SET enable_seqscan = off")
    try:
        rows = db.fetch_all(
            b"EXPLAIN " + statement.as_bytes(db.raw()), {**values, **event_params()}
        )
    finally:
        db.execute("RESET enable_seqscan")
    plan = "\n".join([row[0] for row in rows])
    assert stored(notes).indexes[0].name in plan
    # One that is declared anyway serves.
    notes.declare(ttl_field="at", indexes=[{"fields": ["at", "n"]}])
    assert [index.label for index in stored(notes).indexes] == ["at_1_n_1"]
    notes.declare()
    assert stored(notes).indexes == ()


def test_many_expire_in_batches_and_one_failing_collection_stops_no_other(
    notes: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from baas.kernel import db
    from documents import expiry

    monkeypatch.setattr(expiry, "BATCH", 3)
    broken = Collection(notes.client, notes.project, "aaa")
    broken.declare(ttl_field="at")
    table = stored(broken).table.as_string(None)
    notes.declare(ttl_field="at")
    notes.create([{"at": PAST} for _ in range(10)])
    db.execute(f"DROP TABLE {table}".encode())
    sweep()
    assert notes.ids() == []
    assert len(notes.project.events("%deleted")) == 10


def test_the_dispatchers_sweep_every_minute() -> None:
    from documents import expiry
    from documents.indexes import builder
    from functions.events import housekeeping

    tasks = [task for _, task in housekeeping._frequent_tasks]
    assert expiry.sweep in tasks
    assert builder.sweep in tasks
