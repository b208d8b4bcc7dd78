"""The log itself: appended inside the writer's transaction, read behind the commit-order gate.

`seq` is drawn before the commit, so a reader that remembers the last `seq` it saw would miss the
events of a transaction that commits late. Readers therefore keep a position (xid, seq) and read
only rows whose transaction is older than every transaction still running
(`xid < pg_snapshot_xmin(pg_current_snapshot())`): nothing can appear behind them any more.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

import orjson
from psycopg import sql
from psycopg.types.json import Jsonb

from baas.kernel import context, db
from baas.kernel.events.event import Event, cloudevent
from baas.kernel.events.wake import after_commit


class Position(NamedTuple):
    """A place in the log; everything up to and including it has been read."""

    xid: int
    seq: int

    def encode(self) -> str:
        return f"{self.xid}.{self.seq}"

    @classmethod
    def decode(cls, text: str) -> "Position":
        """Raises ValueError when the text is no position."""
        xid, _, seq = text.partition(".")
        return cls(int(xid), int(seq))


START = Position(0, 0)

INSERT = (
    "INSERT INTO kernel_event (project_id, type, source, subject, data, depth, traceparent,"
    " partition_key, ce_id, extensions, time)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, coalesce(%s, now()))"
)


def emit(event: Event) -> None:
    """Append the event to the log in the caller's transaction; wakes the readers after commit.

    Without a surrounding transaction the event is its own transaction.
    """
    here = context.current()
    data = event.data if isinstance(event.data, bytes) else orjson.dumps(event.data)
    db.execute(
        INSERT,
        (
            event.project_id,
            event.type,
            event.source,
            event.subject,
            data.decode(),
            here.depth,
            here.traceparent or context.new_traceparent(),
            event.partition_key,
            event.id,
            Jsonb(event.extensions) if event.extensions else None,
            event.time,
        ),
    )
    after_commit()


def insert_clause(
    *,
    type: str,
    source: sql.Composable,
    subject: sql.Composable,
    data: sql.Composable,
    project_id: int,
    from_cte: str,
    origin: LiteralString = "%(event_depth)s, %(event_traceparent)s",
) -> sql.Composed:
    """`INSERT INTO kernel_event … SELECT … FROM <cte>`: the event of a row that a CTE wrote.

    For hot paths that write the row and its event in one statement, one round trip. `source`,
    `subject` and `data` are SQL expressions over the CTE's columns (text, text, jsonb). The
    caller calls `after_commit()` once the statement is done.

    The statement then has the parameters of `event_params()`; give it them. Or the CTE has the
    depth and the traceparent of each row: then `origin` names the two columns.
    """
    return sql.SQL(
        "INSERT INTO kernel_event (project_id, type, source, subject, data, depth, traceparent)"
        " SELECT {project}, {type}, {source}, {subject}, {data}, {origin} FROM {cte}"
    ).format(
        project=sql.Literal(project_id),
        type=sql.Literal(type),
        source=source,
        subject=subject,
        data=data,
        origin=sql.SQL(origin),
        cte=sql.Identifier(from_cte),
    )


def event_params() -> dict[str, Any]:
    """The parameters that `insert_clause` refers to."""
    here = context.current()
    return {
        "event_depth": here.depth,
        "event_traceparent": here.traceparent or context.new_traceparent(),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """A row of the log. `data` is JSON text; `id` is the CloudEvents id."""

    position: Position
    project_id: int
    type: str
    source: str
    subject: str
    time: datetime
    data: str
    depth: int
    traceparent: str
    partition_key: str | None = None
    ce_id: str | None = None
    extensions: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.ce_id or str(self.position.seq)

    def as_cloudevent(self, project_slug: str) -> dict[str, Any]:
        return cloudevent(
            id=self.id,
            type=self.type,
            source=self.source,
            subject=self.subject,
            time=self.time,
            data=orjson.loads(self.data),
            project=project_slug,
            depth=self.depth,
            traceparent=self.traceparent,
            partition_key=self.partition_key,
            extensions=self.extensions,
        )


SELECT = (
    "SELECT xid::text::bigint, seq, project_id, type, source, subject, time, data::text, depth,"
    " traceparent, partition_key, ce_id, extensions::text FROM kernel_event"
)
# The gate is in the statement itself: position and visibility come from one snapshot.
READ = (
    SELECT + " WHERE (xid, seq) > (%s::text::xid8, %s)"
    " AND xid < pg_snapshot_xmin(pg_current_snapshot())"
    " ORDER BY xid, seq LIMIT %s"
)
HEAD = "SELECT (pg_snapshot_xmin(pg_current_snapshot())::text::bigint) - 1"
# The largest seq there can be: a head position stands behind every row of its xid.
MAX_SEQ = 2**63 - 1


def from_row(row: db.Row) -> StoredEvent:
    return StoredEvent(
        position=Position(row[0], row[1]),
        project_id=row[2],
        type=row[3],
        source=row[4],
        subject=row[5],
        time=row[6],
        data=row[7],
        depth=row[8],
        traceparent=row[9],
        partition_key=row[10],
        ce_id=row[11],
        extensions=orjson.loads(row[12]) if row[12] else {},
    )


def read(after: Position, limit: int = 500) -> list[StoredEvent]:
    """The next events behind the gate, in commit order; empty when there are none yet."""
    return [from_row(row) for row in db.fetch_all(READ, (str(after.xid), after.seq, limit))]


def head() -> Position:
    """The position behind everything that is already behind the gate: where a new reader starts."""
    row = db.fetch_one(HEAD)
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return Position(row[0], MAX_SEQ)
