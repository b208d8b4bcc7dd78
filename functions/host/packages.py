"""Unpacking packages that come from strangers: every rule is checked before a byte is written."""

import io
import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from pathlib import Path
from typing import Final

PACKED_CAP: Final = 50 << 20
UNPACKED_CAP: Final = 250 << 20
ENTRIES_CAP: Final = 10_000
RATIO_CAP: Final = 100
_RATIO_FLOOR: Final = 1 << 20  # small packages of repetitive text compress well
_PATH_CAP: Final = 1024
_NAME_CAP: Final = 255
_DEPTH_CAP: Final = 32
_CHUNK: Final = 1 << 20
_BLOCK: Final = 4096

_END_RECORD: Final = struct.Struct("<4s4H2LH")
_DIRECTORY_RECORD: Final = struct.Struct("<4s6H3L5H2L")


class PackageRejectedError(Exception):
    """The package breaks a rule; the message says which and what to do."""


def _reject(reason: str) -> None:
    raise PackageRejectedError(reason)


def _check_directory(package: bytes) -> None:
    """Count the entries before zipfile builds an object for each; no zip64, no leading data."""
    end = package.rfind(b"PK\x05\x06", max(0, len(package) - 65_557))
    if end < 0 or end + _END_RECORD.size > len(package):
        raise PackageRejectedError("the package is not a zip file")
    record = _END_RECORD.unpack_from(package, end)
    _, disk, start_disk, here, total, size, offset, comment = record
    if disk or start_disk or here != total or total == 0xFFFF or offset == 0xFFFFFFFF:
        raise PackageRejectedError("zip64 and split archives are not accepted")
    if end + _END_RECORD.size + comment != len(package) or offset + size != end:
        raise PackageRejectedError("there is data before or after the zip archive")
    if total > ENTRIES_CAP:
        raise PackageRejectedError(f"more than {ENTRIES_CAP} entries")
    counted, position = 0, offset
    while position < end:
        if counted >= total or position + _DIRECTORY_RECORD.size > end:
            raise PackageRejectedError("the zip directory is damaged")
        entry = _DIRECTORY_RECORD.unpack_from(package, position)
        if entry[0] != b"PK\x01\x02":
            raise PackageRejectedError("the zip directory is damaged")
        position += _DIRECTORY_RECORD.size + entry[10] + entry[11] + entry[12]
        counted += 1
    if counted != total or position != end:
        raise PackageRejectedError("the zip directory is damaged")


def checked_name(name: str) -> str:
    """Return an entry's path without a trailing slash; PackageRejectedError when it could escape.

    Also refused: what another file system would read differently (backslashes, drive letters,
    control characters, dots and spaces at the end of a name).
    """
    shown = ascii(name)[:120]
    path = name.removesuffix("/")
    if not path or len(path.encode("utf-8", "surrogatepass")) > _PATH_CAP:
        _reject(f"entry {shown}: the path is empty or longer than {_PATH_CAP} bytes")
    if path.startswith("/") or "\\" in path or (len(path) > 1 and path[1] == ":"):
        _reject(f"entry {shown}: absolute paths, drives and backslashes are not allowed")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in path):
        _reject(f"entry {shown}: control characters are not allowed in names")
    parts = path.split("/")
    if len(parts) > _DEPTH_CAP:
        _reject(f"entry {shown}: more than {_DEPTH_CAP} directories deep")
    for part in parts:
        if part in ("", ".", "..") or part != part.rstrip(". "):
            _reject(f"entry {shown}: empty, '.' and '..' parts and trailing dots are not allowed")
        if len(part.encode()) > _NAME_CAP:
            _reject(f"entry {shown}: a name is longer than {_NAME_CAP} bytes")
    return path


def _check_kind(entry: zipfile.ZipInfo) -> None:
    shown = ascii(entry.filename)[:120]
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        _reject(f"entry {shown}: links and special files are not allowed")
    if entry.flag_bits & 0x1:
        _reject(f"entry {shown}: encrypted entries are not allowed")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        _reject(f"entry {shown}: only stored and deflated entries are allowed")


def _fold(path: str) -> str:
    """The form in which two names count as the same, on any file system."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", path).casefold())


def _check_entries(entries: list[zipfile.ZipInfo], packed: int) -> dict[str, zipfile.ZipInfo]:
    """Return the entries by path after checking each alone and all together."""
    chosen: dict[str, zipfile.ZipInfo] = {}
    folded: dict[str, bool] = {}  # folded path -> is a directory
    for entry in entries:
        path = checked_name(entry.filename)
        _check_kind(entry)
        if _fold(path) in folded:
            _reject(f"entry {ascii(path)[:120]}: two entries have the same name")
        folded[_fold(path)] = entry.is_dir()
        chosen[path] = entry
    _check_directories(folded)
    total = sum(entry.file_size for entry in entries)
    _check_total(total, packed)
    return chosen


def _check_directories(folded: dict[str, bool]) -> None:
    """No file is also a directory, and paths do not imply more directories than entries may be."""
    directories: set[str] = set()
    for path in folded:
        parent = path.rpartition("/")[0]
        while parent and parent not in directories:
            if folded.get(parent) is False:
                _reject(f"entry {ascii(path)[:120]}: a file is used as a directory")
            directories.add(parent)
            parent = parent.rpartition("/")[0]
    if len(directories) > ENTRIES_CAP:
        _reject(f"more than {ENTRIES_CAP} directories")


def _check_total(total: int, packed: int) -> None:
    if total > UNPACKED_CAP:
        _reject(f"more than {UNPACKED_CAP >> 20} MiB unpacked")
    if total > max(RATIO_CAP * packed, _RATIO_FLOOR):
        _reject(f"unpacks to more than {RATIO_CAP} times its size")


def _write_file(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    """Copy one entry; more bytes than it announced are refused, not written."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    left = entry.file_size
    with archive.open(entry) as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                _reject(f"entry {ascii(entry.filename)[:120]}: larger than announced")
            file.write(chunk)
    os.chmod(target, 0o644)


def unpack(package: bytes, target: Path) -> int:
    """Unpack a package into a new directory and return what it takes, in bytes.

    A block for each entry is counted too: ten thousand empty files are not for nothing.

    Raises PackageRejectedError; the directory may then hold a part and is the caller's to remove.
    """
    if len(package) > PACKED_CAP:
        _reject(f"more than {PACKED_CAP >> 20} MiB packed")
    _check_directory(package)
    target.mkdir(mode=0o755)
    try:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            entries = _check_entries(archive.infolist(), len(package))
            for path, entry in entries.items():
                if entry.is_dir():
                    (target / path).mkdir(mode=0o755, parents=True, exist_ok=True)
                else:
                    _write_file(archive, entry, target / path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise PackageRejectedError(f"the zip file is damaged: {error}") from error
    return sum(entry.file_size + _BLOCK for entry in entries.values())
