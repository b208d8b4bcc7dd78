"""The build that runs at this moment: seen, and told to give way."""

from typing import Any, Final

from baas.kernel import db
from documents.collections import Collection

# The first half of an advisory lock's key; the second says what is locked: 0 is "the builder",
# any other number the collection whose index is being built.
LOCK: Final = 0x62696478

_INTERRUPT: Final = """
SELECT pg_cancel_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND objsubid = 2
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_PROGRESS: Final = """
SELECT c.relname, p.phase, p.blocks_done, p.blocks_total, p.tuples_done, p.tuples_total
FROM pg_stat_progress_create_index AS p JOIN pg_class AS c ON c.oid = p.index_relid
WHERE p.relid = %s::regclass
"""


def key_of(collection_id: int) -> int:
    """The collection's half of the lock's key (a signed 32-bit number)."""
    return collection_id % 0x7FFFFFFF + 1


def interrupt(collection_id: int) -> None:
    """Stop the build of an index of the collection; it begins anew later."""
    db.execute(_INTERRUPT, (LOCK, key_of(collection_id)))


def progress(collection: Collection) -> dict[str, dict[str, Any]]:
    """How far the indexes have come that are being built now, by their PostgreSQL names."""
    rows = db.fetch_all(_PROGRESS, (collection.table.as_string(None),))
    return {
        name: {"phase": phase, "done": tuples if of_tuples else blocks,
               "total": of_tuples or of_blocks}
        for name, phase, blocks, of_blocks, tuples, of_tuples in rows
    }  # fmt: skip
