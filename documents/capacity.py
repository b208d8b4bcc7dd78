"""`max_docs`: how many documents a collection may have.

Counting at every insert, or a counter that all inserts change, would make writers wait for each
other. So a count is trusted for a second while it is far from the limit; near the limit the writers
of this collection count one after the other, and the limit is exact. Far is what leaves a tenth of
the limit, and 1,000 documents: more than that would have to come within a second to go beyond it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import transaction
from psycopg import sql

from baas.kernel import db
from baas.kernel.problems import Conflict
from documents.collections import Collection

MARGIN: Final = 1000  # documents
TRUSTED_S: Final = 1.0
_LOCK: Final = 0x63617063
_MAX_KNOWN: Final = 10_000
# By collection: what was counted, and what this process has added since; until when.
_known: dict[int, tuple[int, float]] = {}


@contextmanager
def room_for(collection: Collection, more: int) -> Iterator[None]:
    """Around an insert of so many documents. Raises Conflict `collection_full`."""
    limit = collection.max_docs
    if limit is None or more == 0:
        yield
        return
    if _is_far(collection, limit, more):
        yield
        return
    with transaction.atomic():
        db.execute("SELECT pg_advisory_xact_lock(%s, %s)", (_LOCK, collection.id % 0x7FFFFFFF))
        if _count(collection, limit) + more > limit:
            raise Conflict(
                f"The collection {collection.name!r} may have {limit} documents: delete some, or"
                " raise its max_docs.",
                code="collection_full",
            )
        yield


def _is_far(collection: Collection, limit: int, more: int) -> bool:
    enough = limit - max(limit // 10, MARGIN)
    if enough <= 0:
        return False
    now = time.monotonic()
    count, until = _known.get(collection.id, (0, 0.0))
    if now >= until:
        count, until = _count(collection, enough), now + TRUSTED_S
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
    _known[collection.id] = (count + more, until)
    return count + more <= enough


def _count(collection: Collection, enough: int) -> int:
    """How many documents there are; more than `enough` are not counted."""
    row = db.fetch_one(
        sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT %s) AS few").format(collection.table),
        (enough + 1,),
    )
    assert row is not None  # noqa: S101 - count(*) has one row
    return int(row[0])
