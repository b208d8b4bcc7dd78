"""Time to live: documents whose `ttl_field` is a date older than `ttl_seconds` are deleted.

As in MongoDB a sweep does it about once a minute, so an expired document may be seen until then.
What holds no date there never expires; of an array of dates the earliest counts.
"""

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
from psycopg import sql

from baas.kernel import db
from baas.kernel.events import after_commit, event_params, insert_clause
from documents import collections, dates, wire
from documents.collections import Collection
from documents.query import Parameters, parse, to_sql

logger = logging.getLogger(__name__)

BATCH: Final = 1000  # documents of one statement: no lock is held for long
# One collection's turn: the others shall not wait for one that has millions to delete.
TURN_S: Final = 10.0


def sweep() -> None:
    """Delete what has expired, with events. Safe in several processes at once."""
    due = db.fetch_all(
        "SELECT project_id, name FROM documents_collection WHERE ttl_field IS NOT NULL ORDER BY id"
    )
    for project_id, name in due:
        collection = collections.find(project_id, name)
        if collection is None or collection.ttl_field is None:
            continue
        try:
            ends_at = time.monotonic() + TURN_S
            while expire(collection) == BATCH and time.monotonic() < ends_at:
                pass
        except (psycopg.errors.UndefinedTable, psycopg.errors.QueryCanceled):
            logger.warning("expired documents of %r are not deleted now", name, exc_info=True)


def expire(collection: Collection) -> int:
    """Delete at most BATCH documents that have expired; returns how many."""
    statement, parameters = _statement(collection, datetime.now(UTC))
    deleted = db.execute(statement, {**parameters, **event_params()}).rowcount
    if deleted:
        after_commit()
    return deleted


def _statement(collection: Collection, now: datetime) -> tuple[sql.Composed, dict[str, object]]:
    assert collection.ttl_field is not None  # noqa: S101 - asked of such collections only
    oldest = now - timedelta(seconds=collection.ttl_seconds)
    expired = parse(
        {collection.ttl_field: {"$lte": {"$date": dates.canonical(oldest.isoformat())}}}
    )
    parameters = Parameters()
    # Rows that somebody is writing to are looked at again in a minute.
    statement = sql.SQL(
        "WITH old AS (SELECT _id FROM {table} AS d WHERE {expired}"
        " LIMIT {batch} FOR UPDATE SKIP LOCKED),"
        " gone AS (DELETE FROM {table} AS t USING old WHERE t._id = old._id RETURNING t.*),"
        " e AS ({event}) SELECT _id FROM gone"
    ).format(
        table=collection.table,
        expired=to_sql(expired, parameters, collection.rows()),
        batch=sql.Literal(BATCH),
        event=insert_clause(
            type="baas.db.document.deleted",
            source=sql.Literal(f"/projects/{collection.project_slug}/db/{collection.name}"),
            subject=sql.SQL("{} || _id").format(sql.Literal(collection.name + "/")),
            data=sql.SQL("jsonb_build_object('before', {})").format(sql.SQL(wire.as_jsonb("gone"))),
            project_id=collection.project_id,
            from_cte="gone",
        ),
    )
    return statement, parameters.values
