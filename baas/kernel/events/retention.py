"""Partitions of the events log: made ahead, dropped when old and read."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
from django.conf import settings
from django.db import transaction
from psycopg import sql

from baas.kernel import db

logger = logging.getLogger(__name__)

DAYS_AHEAD: Final = 3
_PREFIX: Final = "kernel_event_d"


def maintain() -> None:
    """Make the partitions of the coming days and drop those past retention. Safe to repeat."""
    today = datetime.now(UTC).date()
    for ahead in range(DAYS_AHEAD + 1):
        day = today + timedelta(days=ahead)
        name = _PREFIX + day.strftime("%Y%m%d")
        if not _exists(name):
            _create(name, str(day), str(day + timedelta(days=1)))
    oldest = _PREFIX + (today - timedelta(days=settings.EVENT_RETENTION_DAYS)).strftime("%Y%m%d")
    rows = db.fetch_all(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'kernel_event'::regclass AND c.relname LIKE %s AND c.relname < %s",
        (_PREFIX + "%", oldest),
    )
    for (name,) in rows:
        _drop_when_read(name)


def _exists(name: str) -> bool:
    return db.fetch_one("SELECT to_regclass(%s)", (name,)) != (None,)


def _create(name: str, start: str, end: str) -> None:
    try:
        with transaction.atomic():
            # Rows that came while no partition was there are in the default one; a writer must
            # not wait for us behind a lock that we wait for.
            db.execute("SELECT set_config('lock_timeout', '2s', true)")
            db.execute(
                sql.SQL(
                    "CREATE TABLE {} PARTITION OF kernel_event FOR VALUES FROM ({}) TO ({})"
                ).format(sql.Identifier(name), sql.Literal(start), sql.Literal(end))
            )
    except psycopg.errors.CheckViolation:
        logger.warning("events of %s stay in the default partition", start)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DuplicateTable) as error:
        logger.info("partition %s not made this time: %s", name, error)


def _drop_when_read(name: str) -> None:
    unread = db.fetch_one(
        sql.SQL(
            "SELECT EXISTS (SELECT 1 FROM {} e, kernel_eventreader r"
            " WHERE (e.xid, e.seq) > (r.xid, r.seq))"
        ).format(sql.Identifier(name))
    )
    if unread == (True,):
        logger.warning("partition %s is past retention but not read yet: kept", name)
        return
    db.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
    logger.info("dropped the events of partition %s", name)
