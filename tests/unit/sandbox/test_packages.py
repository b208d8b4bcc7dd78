"""Packages from strangers: what may be unpacked, and that nothing escapes."""

import contextlib
import io
import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.host import packages
from functions.host.packages import PackageRejectedError, checked_name, unpack


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = 8) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def test_it_unpacks_files_and_directories_with_plain_modes(tmp_path: Path) -> None:
    package = zipped(("main.py", b"x = 1"), ("pkg/", b""), ("pkg/a/b.txt", b"y"), ("ünï.txt", b"z"))
    target = tmp_path / "out"
    assert unpack(package, target) == 7 + 4 * 4096  # a block for each entry
    assert (target / "main.py").read_bytes() == b"x = 1"
    assert (target / "pkg/a/b.txt").read_bytes() == b"y"
    modes = {stat.S_IMODE(p.lstat().st_mode) for p in target.rglob("*") if p.is_file()}
    assert modes == {0o644}


def test_setuid_bits_do_not_come_along(tmp_path: Path) -> None:
    unpack(zipped((special("tool", stat.S_IFREG | 0o6777), b"#!")), tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out/tool").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a/..",
        "..",
        ".",
        "a//b",
        "./a",
        "C:/x",
        "a\\b",
        "\\\\host\\x",
        "a\nb",
        "a\x7f",
        "a\u200bb\x00c",
        "x" * 256,
        "d/" * 600 + "x",
        "a ",
        "a.",
        "",
        "/",
        "//",
    ],
)
def test_it_refuses_names_that_could_mean_another_place(name: str) -> None:
    with pytest.raises(PackageRejectedError):
        checked_name(name)


@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK]
)
def test_it_refuses_links_and_special_files(tmp_path: Path, kind: int) -> None:
    package = zipped((special("entry", kind | 0o777), b"/etc/passwd"))
    with pytest.raises(PackageRejectedError, match="special"):
        unpack(package, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names",
    [
        ("a.py", "a.py"),
        ("a.py", "A.PY"),
        ("é.py", "é.py"),
        ("ﬁ.py", "fi.py"),
        ("a", "a/b"),
        ("a/b/c", "a/b"),
        ("D/x", "d/X"),
    ],
)
def test_it_refuses_names_that_collide_somewhere(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(PackageRejectedError):
        unpack(zipped(*((name, b"1") for name in names)), tmp_path / "out")


def test_it_refuses_a_bomb_by_ratio_before_writing(tmp_path: Path) -> None:
    package = zipped(("zeros", bytes(60 << 20)))
    assert len(package) < 100_000
    with pytest.raises(PackageRejectedError, match="times its size"):
        unpack(package, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_it_refuses_an_entry_that_is_larger_than_it_says(tmp_path: Path) -> None:
    package = bytearray(zipped(("lie", b"x" * 100_000)))
    directory = package.rindex(b"PK\x01\x02")
    struct.pack_into("<L", package, directory + 24, 10)
    with pytest.raises(PackageRejectedError):
        unpack(bytes(package), tmp_path / "out")


def test_it_refuses_too_many_entries_without_reading_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "ENTRIES_CAP", 5)
    with pytest.raises(PackageRejectedError, match="more than 5 entries"):
        unpack(zipped(*((f"f{n}", b"") for n in range(6))), tmp_path / "out")
    unpack(zipped(*((f"f{n}", b"") for n in range(5))), tmp_path / "fine")


def test_a_directory_that_hides_its_number_of_entries_is_damaged(tmp_path: Path) -> None:
    package = bytearray(zipped(*((f"f{n}", b"") for n in range(20))))
    end = package.rindex(b"PK\x05\x06")
    struct.pack_into("<HH", package, end + 8, 3, 3)
    with pytest.raises(PackageRejectedError, match="damaged"):
        unpack(bytes(package), tmp_path / "out")


def test_it_refuses_paths_that_imply_too_many_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PackageRejectedError, match="deep"):
        unpack(zipped(("d/" * 40 + "x", b"")), tmp_path / "deep")
    monkeypatch.setattr(packages, "ENTRIES_CAP", 20)
    wide = [(f"{n}/a/b/c/d/e/x", b"") for n in range(10)]
    with pytest.raises(PackageRejectedError, match="more than 20 directories"):
        unpack(zipped(*wide), tmp_path / "wide")
    assert not (tmp_path / "deep" / "d").exists()


def test_it_refuses_a_package_that_is_too_large_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "PACKED_CAP", 1000)
    with pytest.raises(PackageRejectedError, match="packed"):
        unpack(zipped(("random", os.urandom(2000))), tmp_path / "out")


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip", b"PK\x05\x06" + bytes(17)])
def test_it_refuses_what_is_no_zip(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(PackageRejectedError):
        unpack(data, tmp_path / "out")


def test_it_refuses_data_around_the_archive(tmp_path: Path) -> None:
    package = zipped(("a", b"1"))
    with pytest.raises(PackageRejectedError):
        unpack(b"#!/bin/sh\n" + package, tmp_path / "a")
    with pytest.raises(PackageRejectedError):
        unpack(package + b"trailer", tmp_path / "b")


def test_it_refuses_encrypted_and_exotic_entries(tmp_path: Path) -> None:
    encrypted = bytearray(zipped(("a", b"1")))
    struct.pack_into("<H", encrypted, encrypted.rindex(b"PK\x01\x02") + 8, 1)
    with pytest.raises(PackageRejectedError, match="encrypted"):
        unpack(bytes(encrypted), tmp_path / "a")
    with pytest.raises(PackageRejectedError, match="deflated"):
        unpack(zipped(("a", b"1" * 100), method=zipfile.ZIP_LZMA), tmp_path / "b")


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
paths = st.lists(names | st.sampled_from(["..", ".", "", "a", "/", "\\"]), max_size=4).map("/".join)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None
)
@given(st.lists(st.tuples(paths.filter(bool), st.binary(max_size=50)), min_size=1, max_size=5))
def test_nothing_is_ever_written_outside(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, bytes]]
) -> None:
    root = tmp_path_factory.mktemp("root")
    target = root / "in" / "out"
    target.parent.mkdir()
    with contextlib.suppress(PackageRejectedError):
        unpack(zipped(*entries), target)
    outside = [p for p in root.rglob("*") if p != target.parent and target not in (p, *p.parents)]
    assert outside == []
    assert not any(p.is_symlink() for p in root.rglob("*"))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None
)
@given(st.data())
def test_a_damaged_package_is_rejected_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    package = bytearray(zipped(("main.py", b"x = 1\n" * 20), ("pkg/mod.py", b"y")))
    for _ in range(data.draw(st.integers(1, 4))):
        package[data.draw(st.integers(0, len(package) - 1))] = data.draw(st.integers(0, 255))
    root = tmp_path_factory.mktemp("root")
    with contextlib.suppress(PackageRejectedError):
        unpack(bytes(package), root / "out")
    assert {p.name for p in root.iterdir()} <= {"out"}
