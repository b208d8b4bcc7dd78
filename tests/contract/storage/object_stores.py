"""What every object store must do; each back end inherits these tests."""

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from storage.backends.base import KeyMissing, ObjectStore

BIG = 20 * 1024 * 1024 + 17  # more than two parts of a multipart upload


class ObjectStoreContract:
    @pytest.fixture
    def store(self) -> ObjectStore:
        raise NotImplementedError("each back end gives its store")

    @pytest.fixture
    def prefix(self) -> str:
        """Keys of this test only: the store may be shared."""
        return f"test-{random.getrandbits(48):012x}/"

    def test_it_gives_back_what_was_put(self, store: ObjectStore, prefix: str) -> None:
        assert store.put(prefix + "a", [b"one", b"", b"two"]) == 6
        with store.open(prefix + "a") as stream:
            assert b"".join(stream) == b"onetwo"

    def test_it_keeps_nothing_of_no_bytes_but_the_key(
        self, store: ObjectStore, prefix: str
    ) -> None:
        assert store.put(prefix + "empty", []) == 0
        for end in (None, 0):
            with store.open(prefix + "empty", 0, end) as stream:
                assert list(stream) == []

    def test_a_range_has_its_start_but_not_its_end(self, store: ObjectStore, prefix: str) -> None:
        store.put(prefix + "a", [b"0123456789"])
        for start, end, wanted in ((0, 1, b"0"), (2, 5, b"234"), (7, None, b"789"), (9, 10, b"9")):
            with store.open(prefix + "a", start, end) as stream:
                assert b"".join(stream) == wanted
        with store.open(prefix + "a", 4, 4) as stream:
            assert list(stream) == []

    def test_a_big_one_comes_back_in_chunks(self, store: ObjectStore, prefix: str) -> None:
        block = random.randbytes(1024 * 1024 + 1)
        count = BIG // len(block)
        size = store.put(prefix + "big", (block for _ in range(count)))
        assert size == len(block) * count
        with store.open(prefix + "big") as stream:
            chunks = list(stream)
        assert max(map(len, chunks)) <= 1024 * 1024
        assert b"".join(chunks) == block * count
        with store.open(prefix + "big", len(block) - 3, len(block) + 3) as stream:
            assert b"".join(stream) == block[-3:] + block[:3]

    def test_a_put_that_fails_leaves_the_key_as_it_was(
        self, store: ObjectStore, prefix: str
    ) -> None:
        def breaking(size: int) -> Iterator[bytes]:
            yield b"x" * size
            raise RuntimeError("the client went away")

        store.put(prefix + "old", [b"old"])
        for size in (10, BIG):  # before and after a multipart upload began
            with pytest.raises(RuntimeError, match="went away"):
                store.put(prefix + "new", breaking(size))
            with pytest.raises(RuntimeError, match="went away"):
                store.put(prefix + "old", breaking(size))
        with pytest.raises(KeyMissing):
            store.open(prefix + "new")
        with store.open(prefix + "old") as stream:
            assert b"".join(stream) == b"old"
        assert [stored.key for stored in store.keys(prefix)] == [prefix + "old"]

    def test_a_put_replaces(self, store: ObjectStore, prefix: str) -> None:
        store.put(prefix + "a", [b"a longer one"])
        store.put(prefix + "a", [b"short"])
        with store.open(prefix + "a") as stream:
            assert b"".join(stream) == b"short"

    def test_what_is_not_there_is_missing_at_once(self, store: ObjectStore, prefix: str) -> None:
        for start, end in ((0, None), (0, 0), (1, 2)):
            with pytest.raises(KeyMissing):
                store.open(prefix + "nothing", start, end)

    def test_a_deleted_key_is_missing_and_may_be_deleted_again(
        self, store: ObjectStore, prefix: str
    ) -> None:
        store.put(prefix + "a", [b"x"])
        store.delete(prefix + "a")
        store.delete(prefix + "a")
        with pytest.raises(KeyMissing):
            store.open(prefix + "a")

    def test_a_stream_may_be_closed_before_its_end(self, store: ObjectStore, prefix: str) -> None:
        store.put(prefix + "a", [b"x" * 3_000_000])
        stream = store.open(prefix + "a")
        next(stream)
        stream.close()
        stream.close()
        assert list(stream) == []

    def test_it_lists_the_keys_below_a_prefix(self, store: ObjectStore, prefix: str) -> None:
        names = [f"{prefix}{name}" for name in ("a", "ab", "a-b/c", "b/c/d", "b/c/dd", "b2/x")]
        for name in names:
            store.put(name, [name.encode()])
        listed = {stored.key: stored for stored in store.keys(prefix)}
        assert sorted(listed) == sorted(names)
        assert listed[names[0]].size == len(names[0])
        age = datetime.now(UTC) - listed[names[0]].modified_at
        assert abs(age.total_seconds()) < 60
        assert {s.key for s in store.keys(prefix + "b/c/d")} == {
            prefix + "b/c/d",
            prefix + "b/c/dd",
        }
        assert {s.key for s in store.keys(prefix + "b")} == set(names[3:])
        assert list(store.keys(prefix + "nothing/")) == []

    def test_it_refuses_what_is_no_key(self, store: ObjectStore) -> None:
        for key in (
            "",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/../b",
            ".incoming/x",
            "a b",
            "\u00e9",
            "x" * 600,
        ):
            with pytest.raises(ValueError, match="not a key"):
                store.put(key, [b"x"])
            with pytest.raises(ValueError, match="not a key"):
                store.open(key)
            with pytest.raises(ValueError, match="not a key"):
                store.delete(key)

    def test_of_parallel_puts_one_wins_whole(self, store: ObjectStore, prefix: str) -> None:
        bodies = [bytes([65 + number]) * 700_000 for number in range(4)]
        threads = [
            threading.Thread(target=store.put, args=(prefix + "a", [body[:5], body[5:]]))
            for body in bodies
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with store.open(prefix + "a") as stream:
            assert b"".join(stream) in bodies

    def test_a_running_put_is_not_discarded(self, store: ObjectStore, prefix: str) -> None:
        def body() -> Iterator[bytes]:
            yield b"x" * BIG
            store.discard_unfinished(3600)
            yield b"y"

        assert store.put(prefix + "a", body()) == BIG + 1
        with store.open(prefix + "a", BIG) as stream:
            assert b"".join(stream) == b"y"

    def test_a_healthy_store_says_what_it_is(self, store: ObjectStore) -> None:
        assert store.check()["kind"]
