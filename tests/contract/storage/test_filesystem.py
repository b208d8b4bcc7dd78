"""The file system as an object store."""

import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from storage.backends.base import ObjectStore, StoreError, StoreFull, StoreUnavailable
from storage.backends.filesystem import FilesystemStore
from tests.contract.storage.object_stores import ObjectStoreContract


def _all_keys(store: ObjectStore) -> list[str]:
    found = store.keys()
    return [stored.key for stored in found]


class TestFilesystemStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return FilesystemStore(tmp_path / "deep" / "objects")

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path / "deep" / "objects"

    def test_others_on_this_machine_can_read_nothing(self, store: ObjectStore, root: Path) -> None:
        store.put("a/b", [b"x"])
        for path in (root, *root.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path

    def test_bytes_are_synced_before_their_name_and_the_name_after(
        self, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.put("a/warm", [b"x"])
        calls: list[str] = []
        fsync, rename = os.fsync, os.rename

        def spy_fsync(descriptor: int) -> None:
            calls.append("dir" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
            fsync(descriptor)

        def spy_rename(source: str, target: str) -> None:
            calls.append("rename")
            rename(source, target)

        monkeypatch.setattr(os, "fsync", spy_fsync)
        monkeypatch.setattr(os, "rename", spy_rename)
        store.put("a/warm", [b"y"])
        assert calls == ["file", "rename", "dir"]

    def test_a_full_disk_is_said_and_leaves_nothing(
        self, store: ObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(descriptor: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        store.put("a", [b"x"])
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(StoreFull):
                store.put("b", [b"x"])
        assert _all_keys(store) == ["a"]
        assert os.listdir(root / ".incoming") == []

    def test_the_kernel_says_full_in_the_middle(self, store: ObjectStore, root: Path) -> None:
        store.put("a", [b"old"])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        try:
            with pytest.raises(StoreFull):
                store.put("a", [b"x" * 400_000] * 5)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        with store.open("a") as stream:
            assert b"".join(stream) == b"old"
        assert os.listdir(root / ".incoming") == []

    def test_short_writes_are_continued(
        self, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = os.write
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:7])))
            store.put("a", [b"0123456789" * 3])
        with store.open("a") as stream:
            assert b"".join(stream) == b"0123456789" * 3

    def test_what_a_killed_put_left_is_discarded_when_old(
        self, store: ObjectStore, root: Path
    ) -> None:
        store.put("a", [b"x"])
        for name, age_s in (("old", 4000), ("young", 10)):
            path = root / ".incoming" / name
            path.write_bytes(b"half")
            moment = path.stat().st_mtime - age_s
            os.utime(path, (moment, moment))
        assert store.discard_unfinished(3600) == 1
        assert os.listdir(root / ".incoming") == ["young"]
        assert _all_keys(store) == ["a"]

    def test_a_root_that_cannot_be_made_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        store = FilesystemStore(tmp_path / "file" / "objects")
        with pytest.raises(StoreUnavailable):
            store.check()
        with pytest.raises(StoreUnavailable):
            store.put("a", [b"x"])

    def test_a_truncated_file_is_not_served_as_whole(self, store: ObjectStore, root: Path) -> None:
        store.put("a", [b"x" * 1000])
        stream = store.open("a", 0, 1000)
        next(path for path in root.rglob("a") if path.is_file()).write_bytes(b"x" * 10)
        with stream, pytest.raises(StoreError, match="shorter"):
            list(stream)
