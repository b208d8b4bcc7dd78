"""Unpacked packages on this node, by project and digest: a cache that starts empty.

Projects share no files even when their packages are equal, so that no lock or page of one project's
code can be seen by another.
"""

import asyncio
import hashlib
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from functions.host.packages import PackageRejectedError, unpack

_PROJECT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(kw_only=True)
class _Entry:
    size: int
    used_s: float
    users: int = 0


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


class CodeStore:
    """The directory of packages; only the host writes to it, before user code can see it."""

    def __init__(self, root: Path, cap_bytes: int = 4 << 30) -> None:
        _remove(root)  # what a killed host left may be incomplete
        root.mkdir(mode=0o755, parents=True)
        self.root = root
        self._cap = cap_bytes
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._writing: dict[tuple[str, str], asyncio.Lock] = {}
        self._unpacking = asyncio.Semaphore(2)
        self._counter = 0

    def holds(self, project: str, digest: str) -> bool:
        """Whether the package is there; ValueError for names that cannot be paths."""
        if not _PROJECT.fullmatch(project) or not _DIGEST.fullmatch(digest):
            raise ValueError("project or digest is malformed")
        return (project, digest) in self._entries

    def acquire(self, project: str, digest: str) -> str:
        """Keep the package from eviction and return its path beneath the root."""
        entry = self._entries[project, digest]
        entry.users += 1
        entry.used_s = time.monotonic()
        return f"{project}/{digest}"

    def release(self, project: str, digest: str) -> None:
        """Undo one acquire; a project that was forgotten meanwhile is fine."""
        entry = self._entries.get((project, digest))
        if entry is not None:
            entry.users -= 1

    async def put(self, project: str, digest: str, package: bytes) -> None:
        """Unpack a package unless it is there; PackageRejectedError says what is wrong with it."""
        if self.holds(project, digest):
            return
        lock = self._writing.setdefault((project, digest), asyncio.Lock())
        async with lock:
            if self.holds(project, digest):
                return
            self._counter += 1
            draft = self.root / f".draft-{self._counter}"
            try:
                async with self._unpacking:
                    size = await asyncio.to_thread(self._unpack, digest, package, draft)
                place = self.root / project / digest
                place.parent.mkdir(mode=0o755, exist_ok=True)
                os.rename(draft, place)
            finally:
                await asyncio.to_thread(_remove, draft)
                self._writing.pop((project, digest), None)
            self._entries[project, digest] = _Entry(size=size, used_s=time.monotonic())
        await self._evict()

    @staticmethod
    def _unpack(digest: str, package: bytes, draft: Path) -> int:
        if hashlib.sha256(package).hexdigest() != digest:
            raise PackageRejectedError("the package does not have the announced digest")
        return unpack(package, draft)

    async def forget(self, project: str) -> None:
        """Drop all packages of a project."""
        for key in [key for key in self._entries if key[0] == project]:
            del self._entries[key]
        await asyncio.to_thread(_remove, self.root / project)

    async def _evict(self) -> None:
        total = sum(entry.size for entry in self._entries.values())
        for key, entry in sorted(self._entries.items(), key=lambda item: item[1].used_s):
            if total <= self._cap:
                return
            # Another eviction or forget() may have come first while this one was removing.
            if entry.users == 0 and self._entries.get(key) is entry:
                del self._entries[key]
                total -= entry.size
                await asyncio.to_thread(_remove, self.root / key[0] / key[1])
