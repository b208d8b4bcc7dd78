"""Events, queries and snapshots as tests need them."""

import json
from datetime import UTC, datetime
from typing import Any

from auth.rules import DOCUMENT_ROOTS, compile_rule
from baas.kernel.events import Position, StoredEvent
from baas.kernel.principals import Principal
from baas.kernel.projects import ProjectConfig
from documents.access import Caller
from documents.query import parser, sort
from realtime import changes
from realtime.access import access
from realtime.queries import LiveQuery, filter_key
from realtime.snapshots import Snapshot
from realtime.tokens import Seen

PROJECT = ProjectConfig(id=1, slug="p")


def caller(uid: str | None = None, ip: str = "10.0.0.1", **fields: Any) -> Caller:
    kind = "user" if uid else "anonymous"
    return Caller(PROJECT, Principal(kind=kind, uid=uid, **fields), ip)  # type: ignore[arg-type]


def query(
    *,
    filter: Any = None,
    order: Any = None,
    limit: int = 10,
    rule: str | None = None,
    by: Caller | None = None,
) -> LiveQuery:
    return LiveQuery(
        project_id=1,
        collection="notes",
        collection_key="1",
        filter=parser.parse(filter),
        sort=sort.parse(order),
        limit=limit,
        access=access(compile_rule(rule, DOCUMENT_ROOTS) if rule else None, by or caller()),
        filter_key=filter_key(filter),
    )


def document(id: str, version: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "_id": id,
        "_version": version,
        "_owner": None,
        "_createdAt": "2026-01-01T00:00:00.000Z",
        "_updatedAt": "2026-01-01T00:00:00.000Z",
        **fields,
    }


def event(xid: int, id: str, after: dict[str, Any] | None, **given: Any) -> StoredEvent:
    kind = "updated" if after else "deleted"
    return StoredEvent(
        **{
            "position": Position(xid, xid),
            "project_id": 1,
            "type": f"baas.db.document.{kind}",
            "source": "/projects/p/db/notes",
            "subject": f"notes/{id}",
            "time": datetime.now(UTC),
            "data": json.dumps({"document": after} if after else {"before": {}}),
            "depth": 0,
            "traceparent": "",
            **given,
        }
    )


def change(xid: int, id: str, after: dict[str, Any] | None) -> changes.DocumentChange:
    return changes.DocumentChange(event(xid, id, after))


def snapshot(
    of: LiveQuery, *documents: dict[str, Any], seen: str = "1:1:", has_more: bool = False
) -> Snapshot:
    """What the database would answer; `seen` as of pg_current_snapshot()."""
    entries = [changes.entry(of.place(d), d, json.dumps(d)) for d in documents]
    return Snapshot(
        entries=sorted(entries, key=lambda entry: entry.key),
        has_more=has_more,
        seen=Seen.of_snapshot(seen),
    )
