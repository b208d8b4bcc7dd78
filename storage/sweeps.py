"""Finds what a crash between bytes and metadata left behind, on both sides."""

import logging
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

import psycopg
from django.db import DatabaseError, connection

from baas.kernel import db
from storage import backends
from storage.backends import KeyMissing, ObjectStore, StoredKey, StoreError
from storage.metrics import MISSING, ORPHANS
from storage.objects import object_key

logger = logging.getLogger(__name__)

# Bytes are durable only moments before their metadata: what has none after an hour gets none.
ORPHAN_AGE_S: Final = 3600.0
_LOCK: Final = 0x62616173_73776565  # one number for all processes
_PREFIX: Final = "objects/"
_BATCH: Final = 1000
_MAX_REPORTED: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What a sweep did and found."""

    orphans: int  # bytes without metadata, removed
    orphan_bytes: int
    unfinished: int  # uploads that had stopped, removed
    missing: tuple[str, ...]  # keys of objects without bytes (at most 100): data that is lost


def sweep(older_than_s: float = ORPHAN_AGE_S) -> Sweep:
    """Remove bytes older than `older_than_s` that no object names; report objects without bytes.

    Safe at any time and in several processes at once. Raises StoreError.
    """
    store = backends.default()
    limit = datetime.now(UTC) - timedelta(seconds=older_than_s)
    unfinished = store.discard_unfinished(older_than_s)
    orphans = orphan_bytes = present = 0
    for batch in _batches(store.keys(_PREFIX)):
        named = _named([stored.key for stored in batch])
        present += len(named)
        for stored in batch:
            if stored.key not in named and stored.modified_at <= limit:
                store.delete(stored.key)
                orphans += 1
                orphan_bytes += stored.size
    missing = _missing(store) if present < _count() else ()
    ORPHANS.inc(orphans)
    MISSING.set(len(missing))
    if orphans or unfinished:
        logger.info(
            "removed %s orphans (%s bytes), %s unfinished", orphans, orphan_bytes, unfinished
        )
    if missing:
        logger.error("%s objects have no bytes: %s", len(missing), ", ".join(missing))
    return Sweep(
        orphans=orphans, orphan_bytes=orphan_bytes, unfinished=unfinished, missing=tuple(missing)
    )


def start() -> threading.Thread:
    """Sweep in a thread of its own, for schedulers that cannot wait: a large store takes minutes.

    Trouble is logged; the next sweep tries again. Of all processes one sweeps at a time.
    """
    thread = threading.Thread(target=_sweep_alone, name="storage-sweep", daemon=True)
    thread.start()
    return thread


def _sweep_alone() -> None:
    try:
        if db.fetch_one("SELECT pg_try_advisory_lock(%s)", (_LOCK,)) == (True,):
            sweep()
    except (StoreError, psycopg.Error, DatabaseError):
        logger.exception("the sweep of the object store did not end")
    finally:
        connection.close()  # frees the lock


def _batches(keys: Iterable[StoredKey]) -> Iterator[list[StoredKey]]:
    iterator = iter(keys)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _named(keys: list[str]) -> set[str]:
    """Those of the keys that an object names."""
    rows = db.fetch_all(
        "SELECT project_id, version FROM storage_object"
        " JOIN unnest(%s::bigint[], %s::text[]) AS k (project_id, version)"
        " USING (project_id, version)",
        _columns(keys),
    )
    return {object_key(project_id, version) for project_id, version in rows}


def _columns(keys: list[str]) -> tuple[list[int], list[str]]:
    projects, versions = [], []
    for key in keys:
        project, _, version = key.removeprefix(_PREFIX).partition("/")
        if project.isdecimal():  # whatever else lies there names no object
            projects.append(int(project))
            versions.append(version)
    return projects, versions


def _count() -> int:
    row = db.fetch_one("SELECT count(*) FROM storage_object")
    return row[0] if row else 0


def _missing(store: ObjectStore) -> list[str]:
    """Looked for one by one: only when the numbers do not agree, which is rare."""
    found: list[str] = []
    after = (0, "")
    while len(found) < _MAX_REPORTED:
        rows = db.fetch_all(
            "SELECT project_id, version FROM storage_object WHERE (project_id, version) > (%s, %s)"
            " ORDER BY project_id, version LIMIT %s",
            (*after, _BATCH),
        )
        if not rows:
            break
        after = rows[-1]
        for project_id, version in rows:
            key = object_key(project_id, version)
            # An object that was deleted since is not missing: ask again who names the key.
            if not _has(store, key) and _named([key]):
                found.append(key)
    return found[:_MAX_REPORTED]


def _has(store: ObjectStore, key: str) -> bool:
    try:
        store.open(key).close()
    except KeyMissing:
        return False
    return True


def remove_all(prefix: str) -> None:
    """Remove all bytes under a prefix; what resists is left for the sweep."""
    store = backends.default()
    try:
        for stored in store.keys(prefix):
            store.delete(stored.key)
    except StoreError as error:
        logger.warning("bytes under %s are left for the sweep: %s", prefix, error)
