"""What goes wrong between bytes and metadata, and what the sweep makes of it."""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from baas.kernel import db
from storage import backends, service, sql
from storage.backends import StoreFull, StoreUnavailable
from storage.objects import project_prefix
from storage.sweeps import sweep
from tests.installation import Client
from tests.integration.storage.conftest import BucketClient, MakeBucket


def keys(bucket: BucketClient) -> list[str]:
    found = backends.default().keys(project_prefix(bucket.project.id))
    return [stored.key for stored in found]


def age(seconds: float) -> None:
    """Make everything in the store older."""
    root = Path(settings.OBJECT_STORE.removeprefix("file://"))
    for path in root.rglob("*"):
        if path.is_file():
            moment = path.stat().st_mtime - seconds
            os.utime(path, (moment, moment))


@pytest.mark.parametrize(
    ("error", "code"),
    [(StoreFull("full"), "storage_full"), (StoreUnavailable("away"), "storage_unavailable")],
)
def test_a_store_that_fails_is_503_and_nothing_is_visible(
    bucket: BucketClient, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    def failing(key: str, chunks: Iterable[bytes]) -> int:
        next(iter(chunks))
        raise error

    monkeypatch.setattr(backends.default(), "put", failing)
    reply = bucket.put("a")
    assert (reply.status, reply.code) == (503, code)
    assert int(reply.headers["retry-after"]) > 0
    assert bucket.get("a").status == 404
    assert bucket.events() == []


def test_a_crash_before_the_metadata_leaves_bytes_that_the_sweep_removes(
    bucket: BucketClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> bool:
        raise RuntimeError("the process died here")

    bucket.put("kept")
    with monkeypatch.context() as patched:
        patched.setattr(sql, "write", crash)
        assert bucket.put("lost").status == 500
    assert len(keys(bucket)) == 2
    sweep()
    assert len(keys(bucket)) == 2, "young bytes may belong to an upload that is about to end"
    age(3700)
    found = sweep()
    assert found.orphans >= 1
    assert found.orphan_bytes >= 5
    assert len(keys(bucket)) == 1
    assert bucket.get("kept").body == b"hello"
    assert bucket.get("lost").status == 404
    assert bucket.events() == [("baas.storage.object.created", "photos/kept")]


def test_a_crash_after_the_metadata_leaves_old_bytes_that_the_sweep_removes(
    bucket: BucketClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("a", b"old")
    with monkeypatch.context() as patched:
        patched.setattr(service, "forget", lambda key: None)
        bucket.put("a", b"new")
    assert len(keys(bucket)) == 2
    age(3700)
    sweep()
    assert len(keys(bucket)) == 1
    assert bucket.get("a").body == b"new"


def test_the_sweep_reports_objects_without_bytes(bucket: BucketClient) -> None:
    version = bucket.put("a").json["version"]
    bucket.put("b")
    key = f"{project_prefix(bucket.project.id)}{version}"
    backends.default().delete(key)
    assert sweep().missing == (key,)
    assert bucket.get("a").status == 500
    assert bucket.get("b").status == 200
    # Whoever repairs it can: upload again, or delete.
    assert bucket.delete("a").status == 204
    assert sweep().missing == ()


def test_a_reader_follows_an_overwrite_between_metadata_and_bytes(
    bucket: BucketClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("a", b"old")
    fetch, overwritten = sql.fetch, []

    def fetch_then_overwrite(*args: Any) -> Any:
        found = fetch(*args)
        if not overwritten:
            overwritten.append(True)
            bucket.put("a", b"new")
        return found

    monkeypatch.setattr(sql, "fetch", fetch_then_overwrite)
    assert bucket.get("a").body == b"new"


def test_rules_are_asked_again_when_another_write_got_in_between(
    make_bucket: MakeBucket, sign_up: Any, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = make_bucket(rules={"read": "owner", "write": "owner"})
    _, alice = sign_up("alice")
    _, bob = sign_up("bob")
    put, raced = backends.default().put, []

    def put_slowly(key: str, chunks: Iterable[bytes]) -> int:
        if not raced:
            raced.append(True)
            assert bucket.put("a", b"alice was first", token=alice).status == 201
        return put(key, chunks)

    monkeypatch.setattr(backends.default(), "put", put_slowly)
    assert bucket.put("a", b"bob", token=bob).code == "rule_denied"
    assert bucket.get("a", token=alice).body == b"alice was first"
    assert len(bucket.events()) == 1
    assert len(keys(bucket)) == 1


def test_of_parallel_creations_one_wins(bucket: BucketClient) -> None:
    from django.db import connection

    replies: list[int] = []
    barrier = threading.Barrier(6)

    def create() -> None:
        barrier.wait()
        replies.append(bucket.put("a", os.urandom(100_000), If_None_Match="*").status)
        connection.close()

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replies) == [201, 412, 412, 412, 412, 412]
    assert len(bucket.events()) == 1
    assert len(keys(bucket)) == 1


def test_parallel_overwrites_leave_one_version_and_an_event_each(bucket: BucketClient) -> None:
    from django.db import connection

    replies: list[int] = []

    def write(number: int) -> None:
        replies.extend(bucket.put("a", bytes([number]) * 50_000).status for _ in range(5))
        connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == [201] * 20
    assert len(bucket.events()) == 20
    assert len(keys(bucket)) == 1
    assert len(set(bucket.get("a").body)) == 1


def test_an_upload_into_a_bucket_that_goes_leaves_nothing(
    bucket: BucketClient, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = backends.default().put

    def put_slowly(key: str, chunks: Iterable[bytes]) -> int:
        size = put(key, chunks)
        token = bucket.project.secret_key
        assert client.delete(f"{bucket.project.path}/buckets/photos", token=token).status == 204
        return size

    monkeypatch.setattr(backends.default(), "put", put_slowly)
    assert bucket.put("a").code == "bucket_not_found"
    assert keys(bucket) == []
    assert bucket.events() == []


def test_no_transaction_is_open_while_bytes_flow(
    bucket: BucketClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, states = backends.default().put, []

    def spy(key: str, chunks: Iterable[bytes]) -> int:
        def watched() -> Iterator[bytes]:
            for chunk in chunks:
                states.append(db.raw().info.transaction_status.name)
                yield chunk

        return put(key, watched())

    monkeypatch.setattr(backends.default(), "put", spy)
    assert bucket.put("a", b"x" * 1_000_000).status == 201
    assert set(states) == {"IDLE"}


def test_the_command_sweeps(bucket: BucketClient, capsys: pytest.CaptureFixture[str]) -> None:
    from django.core.management import call_command

    bucket.put("a")
    call_command("sweep_storage", older_than=time.time())
    assert "orphans removed" in capsys.readouterr().out
    assert bucket.get("a").status == 200


def test_the_hourly_sweep_runs_aside_and_one_at_a_time(
    bucket: BucketClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.events import housekeeping
    from storage import sweeps

    running, entered, leave = [], threading.Event(), threading.Event()

    def slow_sweep() -> None:
        running.append(1)
        entered.set()
        leave.wait(10)

    assert sweeps.start in [task for _, task in housekeeping._tasks]
    monkeypatch.setattr(sweeps, "sweep", slow_sweep)
    first = sweeps.start()
    assert entered.wait(10)
    sweeps.start().join(10)
    assert running == [1]
    leave.set()
    first.join(10)
    sweeps.start().join(10)
    assert running == [1, 1]


def test_a_store_that_is_away_does_not_harm_the_scheduler(
    bucket: BucketClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from storage import sweeps

    def away(older_than_s: float) -> int:
        raise StoreUnavailable("away")

    monkeypatch.setattr(backends.default(), "discard_unfinished", away)
    sweeps.start().join(10)
    assert "the sweep of the object store did not end" in caplog.text
