"""Windows as the database has them. Blocks: runs in the pool."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from psycopg import sql

from baas.kernel import db
from baas.kernel.problems import TooLarge
from documents import access, collections, hiding, listing, row_filter, values, wire
from documents.query.sort import order_by
from documents.query.to_sql import Parameters, to_sql
from realtime import changes
from realtime.queries import MARGIN, LiveQuery
from realtime.tokens import Seen, Token
from realtime.window import Entry

MAX_CHARACTERS: Final = 32 * 1024 * 1024  # of all documents of a window
MAX_MISSED_DOCUMENTS: Final = 1000
# How many events of the whole log a resuming subscription looks through.
MAX_MISSED_EVENTS: Final = 100_000
# A transaction's events carry the time of its beginning, which may be before the token's.
_LONGEST_TRANSACTION: Final = timedelta(hours=1)
_CLOCK_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The first documents of a result in order, as one database snapshot saw them."""

    entries: list[Entry]
    has_more: bool  # there are documents behind the last one
    seen: Seen


def load(query: LiveQuery) -> Snapshot:
    """The window and its margin. Raises TooLarge when its documents are too big together."""
    with transaction.atomic():
        seen = _begin()
        entries = _select(query, query.limit + MARGIN + 1)
    has_more = len(entries) > query.limit + MARGIN
    return Snapshot(entries=entries[: query.limit + MARGIN], has_more=has_more, seen=seen)


def load_past(query: LiveQuery, token: Token) -> list[Entry] | None:
    """The window as it was when the token was issued; None when the log cannot tell any more.

    What changed since then is put back into today's window from the events' `before`.
    """
    if token.fingerprint != query.fingerprint or query.access.is_volatile:
        return None
    if not is_kept(datetime.fromtimestamp(token.issued_at, UTC), datetime.now(UTC)):
        return None
    with transaction.atomic():
        seen = _begin()
        if token.seen.position.xid >= seen.xmax:
            return None  # of another database cluster
        missed = _missed(query, token)
        if missed is None:
            return None
        today = _select(query, query.limit + len(missed))
    past = [entry for entry in today if entry.id not in missed]
    past += [
        # nobody is sent what has changed since
        changes.entry(query.place(query.access.mask(document)), document, "")
        for document in missed.values()
        if document is not None and query.shows(document)
    ]
    past.sort(key=lambda entry: entry.key)
    return past[: query.limit]


def is_kept(issued_at: datetime, now: datetime) -> bool:
    """Whether retention has left all events since then in the log."""
    oldest_day = now.date() - timedelta(days=settings.EVENT_RETENTION_DAYS)
    oldest = datetime(oldest_day.year, oldest_day.month, oldest_day.day, tzinfo=UTC)
    return oldest + _LONGEST_TRANSACTION <= issued_at <= now + _CLOCK_SKEW


def _begin() -> Seen:
    """Fix this transaction's view of the database, and say what it has seen of the log."""
    db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    row = db.fetch_one("SELECT pg_current_snapshot()::text")
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return Seen.of_snapshot(row[0])


def _select(query: LiveQuery, limit: int) -> list[Entry]:
    collection = collections.find(query.project_id, query.collection)
    if collection is None or str(collection.id) != query.collection_key:
        return []  # made by its first write; the hub looks again
    parameters = Parameters()
    caller = query.access.caller
    if query.access.hidden:
        collection = hiding.seen(caller, collection)
        parameters.values.update(row_filter.of_source(caller, collection))
    where = [to_sql(query.filter, parameters, collection.rows())]
    if query.access.rule is not None:
        bindings = access.bindings(caller, collection)
        where.append(access.rows_allowed(caller, query.access.rule, bindings))
    statement = sql.SQL("{} WHERE {} ORDER BY {} LIMIT {}").format(
        collection.statements.select,
        sql.SQL(" AND ").join(where),
        order_by(query.sort, collection.rows()),
        parameters.add(limit, "bigint"),
    )
    entries: list[Entry] = []
    size = 0
    bounded = listing.within(statement.as_bytes(db.raw()), MAX_CHARACTERS)
    for row in db.execute(bounded, parameters.values):
        text = wire.text(row)
        size += len(text)
        if size > MAX_CHARACTERS:
            raise TooLarge(
                "The documents of this subscription are too large together: ask for fewer with"
                " a smaller `limit` or a narrower `filter`.",
                code="window_too_large",
            )
        document = wire.value(row)
        entries.append(changes.entry(query.place(document), document, text))
    return entries


_IS_FAR: Final = (
    "SELECT count(*) > %s FROM (SELECT FROM kernel_event"
    " WHERE (xid, seq) > (%s::text::xid8, %s) LIMIT %s) AS missed"
)
# The first event of each document tells how it was. Events that the token has seen although they
# stand behind its position are left out, as in Seen.has.
_MISSED: Final = (
    "SELECT DISTINCT ON (subject) subject, (data -> 'before')::text FROM kernel_event"
    " WHERE (xid, seq) > (%s::text::xid8, %s) AND (xid >= %s::text::xid8 OR xid = ANY(%s::xid8[]))"
    " AND project_id = %s AND starts_with(subject, %s) AND starts_with(type, %s) AND ce_id IS NULL"
    " ORDER BY subject, xid, seq LIMIT %s"
)


# Since the token documents came without events of their own.
_IMPORTED: Final = (
    "SELECT EXISTS (SELECT FROM kernel_event"
    " WHERE (xid, seq) > (%s::text::xid8, %s) AND (xid >= %s::text::xid8 OR xid = ANY(%s::xid8[]))"
    " AND project_id = %s AND subject = %s AND type = %s AND ce_id IS NULL)"
)


def _missed(query: LiveQuery, token: Token) -> dict[str, dict[str, Any] | None] | None:
    """Documents that changed since the token, as they were then (None: not there); None when
    there are too many, or some came by an import."""
    seen = token.seen
    after = (str(seen.position.xid), seen.position.seq)
    is_far = db.fetch_one(_IS_FAR, (MAX_MISSED_EVENTS, *after, MAX_MISSED_EVENTS + 1))
    if is_far != (False,):
        return None
    unseen = (*after, str(seen.xmax), [str(xid) for xid in seen.running], query.project_id)
    if db.fetch_one(_IMPORTED, (*unseen, query.collection, changes.IMPORTED)) != (False,):
        return None
    rows = db.fetch_all(
        _MISSED,
        (
            *unseen,
            f"{query.collection}/",
            changes.EVENT_TYPES,
            MAX_MISSED_DOCUMENTS + 1,
        ),
    )
    if len(rows) > MAX_MISSED_DOCUMENTS:
        return None
    return {
        subject.partition("/")[2]: values.loads(before) if before is not None else None
        for subject, before in rows
    }
