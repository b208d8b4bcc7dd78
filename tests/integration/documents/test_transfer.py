"""Import and export: what goes out comes in again, once, whatever interrupts it."""

import gzip
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.installation import Client, Reply, TestProject
from tests.integration.documents.conftest import Collection

SignUp = Callable[[str], tuple[str, str]]


def lines(documents: list[Any]) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def import_(
    client: Client,
    project: TestProject,
    body: bytes,
    token: str | None = "secret",
    headers: dict[str, str] | None = None,
    **query: Any,
) -> Reply:
    given = "&".join(f"{name}={value}" for name, value in query.items())
    return client.post(
        f"{project.path}/db/import?{given}",
        body=body,
        token=project.secret_key if token == "secret" else token,
        headers={"Content-Type": "application/x-ndjson", **(headers or {})},
    )


def export(
    client: Client,
    project: TestProject,
    body: Any = None,
    token: str | None = "secret",
    query: str = "",
    **headers: str,
) -> Reply:
    return client.post(
        f"{project.path}/db/export{query}",
        body,
        token=project.secret_key if token == "secret" else token,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def exported(reply: Reply) -> list[Any]:
    assert reply.status == 200, reply
    body = reply.body
    if reply.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return [json.loads(line) for line in body.splitlines() if line]


ODD: dict[str, Any] = {
    "text": 'quotes " and \\ back\\slashes \n\t é 漢字 \U0001f600 \u2028',
    "nested": {"a": [1, {"b": None}, []], "": None} | {"x y": True},
    "date": {"$date": "2024-05-01T10:00:00.123Z"},
}
del ODD["nested"][""]


def test_what_is_exported_can_be_imported_elsewhere(
    client: Client, notes: Collection, make_project: Callable[[], TestProject]
) -> None:
    notes.create([{"_id": "a", **ODD}, {"_id": "b", "_owner": 'o"wn\\er'}, {"_id": "c"}])
    body = b'{"_id":"n","big":123456789012345678901234567890,"exact":0.1000000000000000000001}'
    assert (
        client.post(f"{notes.path}/docs", body=body, token=notes.project.secret_key).status == 201
    )
    notes.patch("c", {"x": 1})
    other = Collection(client, notes.project, "other")
    other.create({"_id": "z"})
    reply = export(client, notes.project)
    assert reply.headers["content-type"] == "application/x-ndjson"
    found = exported(reply)
    assert [line.get("collection") for line in found] == [*["notes"] * 4, "other", None]
    assert found[-1] == {"end": {"documents": 5}}
    assert found[0]["document"] == notes.get("a").json

    target = make_project()
    done = import_(client, target, reply.body)
    assert done.status == 200, done
    counts = {name: done.json[name] for name in ("imported", "skipped", "failed", "errors", "done")}
    assert counts == {"imported": 5, "skipped": 0, "failed": 0, "errors": [], "done": True}
    assert done.json["position"] == len(reply.body)
    # System fields included: versions, owners and times are those of the source.
    assert export(client, target).body == reply.body
    assert target.events("baas.db.document%") == []


def test_an_export_is_read_from_one_moment_and_can_go_on(client: Client, notes: Collection) -> None:
    for number in range(3):
        notes.create([{"_id": f"d{number}-{n:03}", "n": n} for n in range(300)])
    found = exported(export(client, notes.project))
    assert len(found) == 901
    ids = [line["document"]["_id"] for line in found[:-1]]
    assert ids == sorted(ids)
    rest = exported(export(client, notes.project, query=f"?after=notes/{ids[700]}"))
    assert [line["document"]["_id"] for line in rest[:-1]] == ids[701:]
    assert rest[-1] == {"end": {"documents": 199}}
    assert exported(export(client, notes.project, query="?after=zzz/x"))[:-1] == []


def test_writes_after_the_beginning_of_an_export_are_not_in_it(notes: Collection) -> None:
    from documents.transfer.exports import Export

    notes.create([{"_id": f"d{n:03}", "n": 0} for n in range(250)])
    stream = Export(notes.project.id, None, "ndjson", None)
    chunks = iter(stream)
    begun = next(chunks)
    notes.patch("d249", {"n": 1})
    notes.create({"_id": "d999"})
    notes.delete("d248")
    # Nothing of it locks the table: an index and a constraint can be made meanwhile.
    assert notes.declare(indexes=[{"fields": ["n"]}]).status == 200
    whole = begun + b"".join(chunks)
    documents = [json.loads(line).get("document") for line in whole.splitlines()][:-1]
    assert [document["_id"] for document in documents] == [f"d{n:03}" for n in range(250)]
    assert {document["n"] for document in documents} == {0}
    stream.close()


def test_an_export_that_nobody_reads_to_its_end_holds_nothing(notes: Collection) -> None:
    from baas.kernel import db
    from documents.transfer.exports import Export
    from documents.transfer.slots import MAX_AT_ONCE

    notes.create([{"_id": f"d{n:03}"} for n in range(250)])
    for _ in range(MAX_AT_ONCE + 1):
        stream = Export(notes.project.id, None, "ndjson", None)
        next(iter(stream))
        stream.close()
    held = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND state LIKE 'idle in transaction%%'"
    )
    deadline = time.monotonic() + 10
    while db.fetch_one(held, ()) != (0,):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("format", ["ndjson", "extended-json"])
def test_an_export_that_breaks_has_no_end(notes: Collection, format: Any) -> None:
    import zlib

    from baas.kernel import db
    from documents.transfer.exports import Export, Packed

    notes.create([{"_id": f"d{n:03}"} for n in range(250)])
    for pack in (False, True):
        stream = Export(notes.project.id, ["notes"], format, None)
        chunks = iter(Packed(stream) if pack else stream)
        received = b"" if pack else next(chunks)
        db.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid()"
            " AND datname = current_database() AND state LIKE 'idle in transaction%%'",
            (),
        )
        received += b"".join(chunks)
        if pack:
            unzip = zlib.decompressobj(31)
            received = unzip.decompress(received)
            assert not unzip.eof
        assert b'{"end":' not in received
        assert not received.endswith(b"\n\n")
        assert (b'{"error":' in received) == (format == "ndjson")


def test_pages_follow_the_size_of_documents(client: Client, notes: Collection) -> None:
    sizes = [10, 300_000, 5, 900_000, 900_000, 900_000, *[20] * 150, 900_000]
    for number, size in enumerate(sizes):
        notes.create({"_id": f"d{number:03}", "t": "x" * size})
    found = exported(export(client, notes.project))
    assert [len(line["document"]["t"]) for line in found[:-1]] == sizes


def test_an_export_is_packed_for_who_takes_it(client: Client, notes: Collection) -> None:
    notes.create([{"_id": f"d{n:03}", "t": "same " * 100} for n in range(200)])
    plain = export(client, notes.project)
    packed = export(client, notes.project, Accept_Encoding="gzip, br")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 5


def test_extended_json_is_what_mongoimport_reads(client: Client, notes: Collection) -> None:
    body = (
        b'{"_id":"n","big":123456789012345678901234567890,"exact":0.1000000000000000000001,'
        b'"plain":1.5,"date":{"$date":"2024-05-01T10:00:00Z"}}'
    )
    client.post(f"{notes.path}/docs", body=body, token=notes.project.secret_key)
    request = {"collections": ["notes"], "format": "extended-json"}
    (found,) = exported(export(client, notes.project, request))
    created = notes.get("n").json["_createdAt"]
    assert found == {
        "_id": "n",
        "_createdAt": {"$date": created},
        "_updatedAt": {"$date": created},
        "_version": 1,
        "_owner": None,
        "big": {"$numberDecimal": "123456789012345678901234567890"},
        "exact": {"$numberDecimal": "0.1000000000000000000001"},
        "plain": 1.5,
        "date": {"$date": "2024-05-01T10:00:00.000Z"},
    }
    reply = export(client, notes.project, request)
    assert reply.body.endswith(b"}\n\n")  # the end of a whole one
    notes.delete("n")
    assert import_(client, notes.project, reply.body, collection="notes").json["imported"] == 1
    assert export(client, notes.project, request).body == reply.body


EXTENDED = [
    # version 2, canonical
    {
        "_id": {"$oid": "507F1f77bcf86cd799439011"},
        "int": {"$numberInt": "42"},
        "long": {"$numberLong": "9223372036854775807"},
        "double": {"$numberDouble": "42.5"},
        "decimal": {"$numberDecimal": "0.1000000000000000000001"},
        "date": {"$date": {"$numberLong": "1714557600123"}},
        "old": {"$date": {"$numberLong": "-1"}},
        "nested": [{"ref": {"$oid": "507f1f77bcf86cd799439012"}}],
        "symbol": {"$symbol": "s"},
        "binary": {"$binary": {"base64": "AQI=", "subType": "0"}},
        "uuid": {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"},
    },
    # version 2, relaxed, and version 1
    {"_id": "two", "date": {"$date": "2024-05-01T10:00:00.123Z"}, "n": 1.5},
    {"_id": "one", "date": {"$date": "2024-05-01T12:00:00.123+0200"}},
    {"_id": "millis", "date": {"$date": 1714557600123}, "b": {"$binary": "AQI=", "$type": "00"}},
]


@pytest.mark.parametrize("as_array", [False, True])
def test_output_of_mongoexport_is_imported(
    client: Client, notes: Collection, as_array: bool
) -> None:
    body = json.dumps(EXTENDED).encode() if as_array else lines(EXTENDED)
    reply = import_(client, notes.project, body, collection="notes")
    assert (reply.json["imported"], reply.json["errors"]) == (4, []), reply
    found = notes.get("507f1f77bcf86cd799439011")
    assert b'"decimal":0.1000000000000000000001' in found.body.replace(b": ", b":")
    document = found.json
    assert (document["int"], document["long"], document["double"]) == (42, 2**63 - 1, 42.5)
    assert document["date"] == {"$date": "2024-05-01T10:00:00.123Z"}
    assert document["old"] == {"$date": "1969-12-31T23:59:59.999Z"}
    assert document["nested"] == [{"ref": "507f1f77bcf86cd799439012"}]
    assert document["symbol"] == "s"
    assert document["binary"] == {"$binary": {"base64": "AQI=", "subType": "00"}}
    assert document["uuid"] == {"$binary": {"base64": "ABEiM0RVZneImaq7zN3u/w==", "subType": "04"}}
    assert notes.get("millis").json["b"] == document["binary"]
    for id in ("two", "one", "millis"):
        assert notes.get(id).json["date"] == {"$date": "2024-05-01T10:00:00.123Z"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "malformed_json"),
        ("5", "invalid_value"),
        ('{"a.b": 1}', "invalid_field_name"),
        ('{"": 1}', "invalid_field_name"),
        ('{"_id": 5}', "invalid_id"),
        ('{"_id": "x y"}', "invalid_id"),
        ('{"_id": "taken"}', "document_exists"),
        ('{"_version": 0}', "invalid_value"),
        ('{"_createdAt": "yesterday"}', "invalid_value"),
        ('{"_createdAt": "0000-01-01T00:00:00Z"}', "invalid_value"),
        ('{"_owner": 7}', "invalid_value"),
        ('{"_id": {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}}', "invalid_id"),
        ('{"_createdAt": {"a": 1}}', "invalid_value"),
        ('{"a": {"$uuid": "x"}}', "invalid_value"),
        ('{"a": {"$minKey": 1}}', "invalid_field_name"),
        ('{"a": {"$regex": "x", "$options": ""}}', "invalid_field_name"),
        ('{"a": {"$timestamp": {"t": 1, "i": 1}}}', "invalid_field_name"),
        ('{"a": {"$numberDouble": "NaN"}}', "invalid_value"),
        ('{"a": {"$date": "x"}}', "invalid_value"),
        ('{"a": {"$date": {"$numberLong": "99999999999999999999"}}}', "invalid_value"),
        ('{"a": "\\u0000"}', "invalid_value"),
        ('{"a": "\\ud800"}', "malformed_json"),
        ('{"n": "text"}', "schema_violation"),
        ('{"n": 1, "u": 1}', "unique_violation"),
        ("[" * 200 + "]" * 200, "nesting_too_deep"),
        ('{"t": "' + "x" * 1_100_000 + '"}', "document_too_large"),
        ("x" * 5_000_000, "document_too_large"),
    ],
)
def test_a_line_that_cannot_be_stored_is_named_and_the_others_are_stored(
    client: Client, notes: Collection, text: str, code: str
) -> None:
    notes.declare(
        schema={"properties": {"n": {"type": "number"}}},
        indexes=[{"fields": ["u"], "unique": True}],
    )
    notes.create([{"_id": "taken", "u": 1}])
    body = b'{"_id":"a","u":2}\n' + text.encode() + b'\n\n{"_id":"b","u":3}'
    reply = import_(client, notes.project, body, collection="notes")
    assert (reply.status, reply.json["imported"], reply.json["failed"]) == (200, 2, 1), reply
    (error,) = reply.json["errors"]
    assert (error["number"], error["code"]) == (2, code)
    assert error["position"] == len(body) - len(b'\n{"_id":"b","u":3}')
    assert reply.json["position"] == len(body)
    assert notes.ids() == ["a", "b", "taken"]


def test_errors_are_listed_up_to_a_bound(client: Client, notes: Collection) -> None:
    reply = import_(client, notes.project, b"{}x\n" * 250, collection="notes")
    assert reply.json["failed"] == 250
    assert [error["number"] for error in reply.json["errors"]] == list(range(1, 101))


def test_modes(client: Client, notes: Collection) -> None:
    notes.create([{"_id": "a", "n": 1, "_owner": "alice"}, {"_id": "same", "n": 1}])
    before = notes.get("a").json
    body = lines([{"_id": "a", "n": 2}, {"_id": "same", "n": 1}, {"_id": "new"}, {"_id": "new"}])

    def counts(**query: str) -> list[int]:
        reply = import_(client, notes.project, body, collection="notes", **query)
        return [reply.json[name] for name in ("imported", "skipped", "failed")]

    assert counts(mode="skip") == [1, 3, 0]
    assert notes.get("a").json == before
    assert counts() == [0, 0, 4]
    assert counts(mode="upsert") == [1, 3, 0]
    found = notes.get("a").json
    assert (found["n"], found["_version"], found["_owner"]) == (2, 2, "alice")
    assert found["_createdAt"] == before["_createdAt"]
    assert notes.get("same").json["_version"] == 1
    assert notes.ids() == ["a", "new", "same"]


def test_upserting_keeps_what_the_line_says_of_itself(client: Client, notes: Collection) -> None:
    notes.create({"_id": "a", "n": 1})
    notes.patch("a", {"n": 2})
    line = {
        "_id": "a",
        "n": 3,
        "_version": 9,
        "_owner": "bob",
        "_createdAt": "2001-02-03T04:05:06.007Z",
        "_updatedAt": {"$date": "2002-02-03T04:05:06.007Z"},
    }
    assert import_(client, notes.project, lines([line]), collection="notes", mode="upsert").json[
        "imported"
    ] == 1  # fmt: skip
    assert notes.get("a").json == line | {"_updatedAt": "2002-02-03T04:05:06.007Z"}
    older = line | {"_version": 1, "n": 4}
    import_(client, notes.project, lines([older]), collection="notes", mode="upsert")
    assert notes.get("a").json["_version"] == 10  # a version never goes back


@pytest.mark.parametrize("mode", ["insert", "skip", "upsert"])
def test_taken_values_are_named_and_the_others_are_stored(
    client: Client, notes: Collection, mode: str
) -> None:
    notes.declare(indexes=[{"fields": ["u"], "unique": True}])
    notes.create([{"_id": f"old{n:03}", "u": n} for n in range(0, 400, 2)])
    body = lines([{"_id": f"new{n:03}", "u": n} for n in range(400)] + [{"_id": "again", "u": 1}])
    reply = import_(client, notes.project, body, collection="notes", mode=mode)
    assert (reply.json["imported"], reply.json["skipped"], reply.json["failed"]) == (200, 0, 201)
    errors = reply.json["errors"]
    assert (len(errors), {error["code"] for error in errors}) == (100, {"unique_violation"})
    assert errors[0]["errors"][0]["field"] == "u"
    total = client.post(f"{notes.path}/count", {}, token=notes.project.secret_key)
    assert total.json == {"total": 400}


def test_a_full_collection_takes_what_replaces(client: Client, notes: Collection) -> None:
    notes.declare(max_docs=3)
    notes.create([{"_id": id} for id in "abc"])
    body = lines([{"_id": id, "n": 1} for id in "abc"])
    reply = import_(client, notes.project, body, collection="notes", mode="upsert")
    assert (reply.status, reply.json.get("imported")) == (200, 3), reply
    more = import_(client, notes.project, lines([{}]), collection="notes", mode="upsert")
    assert more.code == "collection_full"


def test_a_repeated_id_counts_the_last_time_when_upserting(
    client: Client, notes: Collection
) -> None:
    body = lines([{"_id": "a", "n": n} for n in range(5)])
    reply = import_(client, notes.project, body, collection="notes", mode="upsert")
    assert (reply.json["imported"], reply.json["skipped"]) == (1, 4)
    assert notes.get("a").json["n"] == 4


def test_events_are_made_when_asked_for(client: Client, notes: Collection) -> None:
    notes.create({"_id": "a", "n": 1})
    body = lines([{"_id": "a", "n": 2}, {"_id": "b"}])
    reply = import_(client, notes.project, body, collection="notes", mode="upsert", events="true")
    assert reply.json["imported"] == 2
    assert sorted(notes.project.events()[1:]) == [
        ("baas.db.document.created", "notes/b"),
        ("baas.db.document.updated", "notes/a"),
    ]
    found = client.get(f"{notes.project.path}/events", token=notes.project.secret_key).json["items"]
    (updated,) = [event for event in found if event["type"].endswith("updated")]
    assert (updated["data"]["before"]["n"], updated["data"]["document"]["n"]) == (1, 2)


def test_without_events_one_event_tells_of_the_batch(client: Client, notes: Collection) -> None:
    body = lines([{"_id": f"d{n}"} for n in range(100)])
    import_(client, notes.project, body, collection="notes", import_id="load")
    assert notes.project.events() == [("baas.db.collection.imported", "notes")]
    import_(client, notes.project, body, collection="notes", import_id="again", mode="skip")
    assert len(notes.project.events()) == 1


def test_an_empty_upload_imports_nothing(client: Client, notes: Collection) -> None:
    for body in (b"", b"\n\n", b" [ ] "):
        reply = import_(client, notes.project, body, collection="notes")
        assert (reply.status, reply.json["imported"], reply.json["done"]) == (200, 0, True)
    assert notes.project.events() == []


def test_a_packed_upload(client: Client, notes: Collection) -> None:
    text = lines([{"_id": f"d{n:04}", "t": "same " * 50} for n in range(3000)])
    packed = gzip.compress(text[:100_000]) + gzip.compress(text[100_000:])
    reply = import_(
        client, notes.project, packed, headers={"Content-Encoding": "gzip"}, collection="notes"
    )
    assert (reply.json["imported"], reply.json["position"]) == (3000, len(text))
    for broken in (packed[:-5], b"no gzip"):
        reply = import_(
            client, notes.project, broken, headers={"Content-Encoding": "gzip"}, collection="x"
        )
        assert reply.status == 400


# Interruptions


def test_an_upload_that_breaks_off_goes_on_where_it_stopped(
    client: Client, notes: Collection
) -> None:
    body = lines([{"_id": f"d{n:05}", "n": n} for n in range(5000)])
    cut = len(body) // 2 + 3
    broken = import_(
        client,
        notes.project,
        body[:cut],
        headers={"Content-Length": str(len(body))},
        collection="notes",
        import_id="load-1",
    )
    assert (broken.status, broken.code) == (400, "incomplete_body")
    position = broken.json["position"]
    assert 0 < position <= cut
    assert body[:position].endswith(b"\n")
    status = client.get(
        f"{notes.project.path}/db/import?import_id=load-1", token=notes.project.secret_key
    ).json
    assert (status["position"], status["done"]) == (position, False)
    assert status["imported"] == body[:position].count(b"\n")

    rest = import_(
        client,
        notes.project,
        body[position:],
        collection="notes",
        import_id="load-1",
        offset=position,
    )
    assert (rest.json["imported"], rest.json["failed"], rest.json["done"]) == (5000, 0, True)
    total = client.post(f"{notes.path}/count", {}, token=notes.project.secret_key)
    assert total.json == {"total": 5000}
    again = import_(client, notes.project, body, collection="notes", import_id="load-1")
    assert again.json == rest.json


@pytest.mark.parametrize("as_array", [False, True])
def test_the_whole_upload_may_be_sent_again(
    client: Client, notes: Collection, as_array: bool
) -> None:
    """Documents without ids: what is done already must not be done twice."""
    documents = [{"n": n, "t": '}{][\\"' * (n % 3)} for n in range(4500)]
    body = json.dumps(documents).encode() if as_array else lines(documents)
    for cut in (len(body) // 3, len(body) // 3 + 1, len(body) - 1):
        broken = import_(
            client,
            notes.project,
            body[:cut],
            headers={"Content-Length": str(len(body)), "Idempotency-Key": "k"},
            collection="notes",
        )
        assert broken.code == "incomplete_body"
    done = import_(
        client, notes.project, body, headers={"Idempotency-Key": "k"}, collection="notes"
    )
    assert (done.json["imported"], done.json["done"]) == (4500, True)
    found = exported(export(client, notes.project))[:-1]
    assert sorted(line["document"]["n"] for line in found) == list(range(4500))


def test_a_crash_between_batches_loses_and_doubles_nothing(
    client: Client, notes: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after any statement: what has committed is what the position says."""
    from documents.transfer import imports, progress

    monkeypatch.setattr(imports, "BATCH", 100)
    body = lines([{"n": n} for n in range(1000)])
    advance, calls = progress.advance, [0]

    def dies(before: Any, after: Any) -> None:
        calls[0] += 1
        advance(before, after)
        if calls[0] % 4 == 0:
            raise SystemExit  # nothing catches it: the transaction is rolled back

    monkeypatch.setattr(progress, "advance", dies)
    for _ in range(20):
        try:
            reply = import_(client, notes.project, body, collection="notes", import_id="load")
        except SystemExit:
            continue
        break
    assert (reply.json["imported"], reply.json["done"]) == (1000, True)
    found = exported(export(client, notes.project))[:-1]
    assert sorted(line["document"]["n"] for line in found) == list(range(1000))


def test_an_array_that_breaks_is_refused_and_what_came_before_is_kept(
    client: Client, notes: Collection
) -> None:
    reply = import_(client, notes.project, b'[{"_id":"a"},{"_id":"b"', collection="notes")
    assert (reply.status, reply.code) == (400, "malformed_json")
    assert (reply.json["imported"], reply.json["position"]) == (1, len(b'[{"_id":"a"}'))
    assert notes.ids() == ["a"]


def test_one_import_runs_once_at_a_time(
    client: Client, notes: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg
    from django.db import connection

    from documents.transfer import imports

    monkeypatch.setattr(imports, "_WAIT_S", 1)
    number = imports.lock_number(notes.project.id, "load")
    params = connection.get_connection_params()
    params = {k: v for k, v in params.items() if k not in ("cursor_factory", "context")}
    with psycopg.connect(**params) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (number,))
        reply = import_(client, notes.project, b"{}", collection="notes", import_id="load")
        assert (reply.status, reply.code) == (409, "import_in_progress")
    assert import_(client, notes.project, b"{}", collection="notes", import_id="load").status == 200


def test_a_full_collection_stops_the_import_which_goes_on_when_there_is_room(
    client: Client, notes: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from documents.transfer import imports

    monkeypatch.setattr(imports, "BATCH", 10)
    notes.declare(max_docs=25)
    body = lines([{"_id": f"d{n:03}"} for n in range(50)])
    reply = import_(client, notes.project, body, collection="notes", import_id="load")
    assert (reply.status, reply.code, reply.json["imported"]) == (409, "collection_full", 20)
    notes.declare(max_docs=100)
    reply = import_(client, notes.project, body, collection="notes", import_id="load")
    assert (reply.json["imported"], reply.json["failed"]) == (50, 0)


# Hostile uploads

SNIPPETS = [
    b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"\n", b"\0", b"\xff", b"\xef\xbb\xbf",
    b"1e999999", b"-0", b"9" * 50, b"NaN", b"null", b'{"a":1}', b'{"_id":"x"}', b'{"$oid":1}',
    b'{"$date":[]}',
    b'{"$binary":{"base64":"!","subType":"zz"}}', b'{"collection":"c","document":{}}', b'{"end":1}',
    b'{"a":"\\ud800"}', b'{"a":"\\u0000"}', b'{"_version":1e3}',
    b'{"_owner":"' + b"x" * 200 + b'"}',
    b'{"a":' * 120, b'{"_createdAt":{"$date":{"$numberLong":"9e9"}}}', "\u2028é".encode(),
]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(pieces=st.lists(st.sampled_from(SNIPPETS), max_size=12), named=st.booleans())
def test_no_upload_is_too_odd_to_be_answered(
    client: Client, project: TestProject, pieces: list[bytes], named: bool
) -> None:
    query = {"collection": "odd"} if named else {}
    reply = import_(client, project, b"".join(pieces), mode="skip", **query)
    assert reply.status in (200, 400), reply
    found = reply.json
    assert found["imported"] + found["skipped"] + found["failed"] <= len(b"".join(pieces))
    assert all(error["code"] != "internal_error" for error in found["errors"])


# Refusals


def test_end_users_neither_import_nor_export(
    client: Client, notes: Collection, sign_up: SignUp
) -> None:
    notes.declare(rules=dict.fromkeys(("read", "create", "update", "delete"), "public"))
    notes.create({"_id": "a"})
    before = notes.project.events()
    alice, _ = sign_up("alice")
    created = [event for event in notes.project.events() if event not in before]
    for token in (alice, None):
        assert (
            import_(client, notes.project, b"{}", token, collection="notes").code == "rule_denied"
        )
        assert export(client, notes.project, token=token).code == "rule_denied"
    acted = {"X-Act-As": "anonymous"}
    assert import_(client, notes.project, b"{}", headers=acted).code == "rule_denied"
    assert notes.project.events() == before + created


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"mode": "replace"}, "invalid_transfer"),
        ({"events": "maybe"}, "invalid_transfer"),
        ({"offset": "-1"}, "invalid_transfer"),
        ({"colection": "notes"}, "invalid_transfer"),
        ({"collection": "no such"}, "invalid_collection_name"),
        ({"import_id": "x y"}, "invalid_import_id"),
        ({"import_id": "fresh", "offset": "5"}, "invalid_offset"),
    ],
)
def test_wrong_parameters_are_refused(
    client: Client, notes: Collection, query: dict[str, str], code: str
) -> None:
    assert import_(client, notes.project, b"{}", **query).code == code
    assert notes.project.events() == []


def test_an_import_keeps_its_options(client: Client, notes: Collection) -> None:
    assert import_(client, notes.project, b"{}", collection="notes", import_id="i").status == 200
    for other in ({"collection": "other"}, {"collection": "notes", "mode": "skip"}):
        reply = import_(client, notes.project, b"{}", import_id="i", **other)
        assert (reply.status, reply.code) == (422, "import_mismatch")


def test_lines_without_a_collection_are_refused_one_by_one(
    client: Client, notes: Collection
) -> None:
    body = lines(
        [
            {"_id": "a"},
            {"collection": "notes", "document": {"_id": "b"}},
            {"collection": "no such", "document": {}},
            {"collection": "notes", "document": 5},
            {"end": {"documents": 4}},
        ]
    )
    reply = import_(client, notes.project, body)
    assert [(e["number"], e["code"]) for e in reply.json["errors"]] == [
        (1, "invalid_line"),
        (3, "invalid_collection_name"),
        (4, "invalid_value"),
    ]
    assert notes.ids() == ["b"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"collections": ["none"]}, "collection_not_found"),
        ({"collections": "notes"}, "invalid_transfer"),
        ({"collections": []}, "invalid_transfer"),
        ({"format": "csv"}, "invalid_transfer"),
        ({"format": "extended-json"}, "invalid_transfer"),
        ({"what": 1}, "invalid_transfer"),
    ],
)
def test_wrong_exports_are_refused(client: Client, notes: Collection, body: Any, code: str) -> None:
    notes.create({})
    assert export(client, notes.project, body).code == code


def test_a_cursor_that_is_none_is_refused(client: Client, notes: Collection) -> None:
    for after in ("notes", "notes/", "/a", "no such/a", "notes/x/y"):
        assert export(client, notes.project, query=f"?after={after}").code == "invalid_cursor"


def test_an_upload_says_its_length(client: Client, notes: Collection) -> None:
    reply = import_(client, notes.project, b"{}", headers={"Content-Length": ""})
    assert (reply.status, reply.code) == (411, "length_required")


def test_a_process_runs_a_few_at_a_time(client: Client, notes: Collection) -> None:
    from documents.transfer.slots import MAX_AT_ONCE, Slot

    taken = [Slot() for _ in range(MAX_AT_ONCE)]
    try:
        reply = import_(client, notes.project, b"{}", collection="notes")
        assert (reply.status, reply.code) == (503, "too_many_transfers")
        assert export(client, notes.project).code == "too_many_transfers"
    finally:
        for slot in taken:
            slot.free()
    assert import_(client, notes.project, b"{}", collection="notes").status == 200


def test_none_of_it_is_part_of_a_transaction(client: Client, notes: Collection) -> None:
    inside = {"X-Transaction": "any"}
    assert import_(client, notes.project, b"{}", headers=inside).code == "not_in_transaction"
    assert export(client, notes.project, X_Transaction="any").code == "not_in_transaction"


def test_old_imports_are_forgotten(client: Client, notes: Collection) -> None:
    from baas.kernel import db
    from documents.transfer import progress

    import_(client, notes.project, b"{}", collection="notes", import_id="old")
    import_(client, notes.project, b"{}", collection="notes", import_id="new")
    db.execute(
        "UPDATE documents_import SET updated_at = now() - interval '8 days'"
        " WHERE project_id = %s AND id = 'old'",
        (notes.project.id,),
    )
    progress.sweep()
    path = f"{notes.project.path}/db/import?import_id="
    assert client.get(path + "old", token=notes.project.secret_key).code == "import_not_found"
    assert client.get(path + "new", token=notes.project.secret_key).status == 200
