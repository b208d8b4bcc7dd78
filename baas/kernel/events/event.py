"""The event as a value, and its CloudEvents 1.0 form."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a project; `data` is JSON-serialisable or JSON text (bytes)."""

    type: str  # baas.db.document.created, com.acme.order.paid …
    project_id: int
    source: str  # /projects/{slug}/db/{collection} …
    subject: str  # {collection}/{id} or {bucket}/{path}
    data: dict[str, Any] | bytes
    id: str | None = None  # the publisher's own id; ours is the log's sequence number
    time: datetime | None = None  # when it happened; the commit's time when None
    partition_key: str | None = None
    extensions: dict[str, Any] = field(default_factory=dict)


def rfc3339(moment: datetime) -> str:
    """RFC 3339 UTC with milliseconds, as everywhere on the wire."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def cloudevent(
    *,
    id: str,
    type: str,
    source: str,
    subject: str,
    time: datetime,
    data: Any,
    project: str,
    depth: int,
    traceparent: str,
    partition_key: str | None,
    extensions: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The event in CloudEvents structured mode.

    Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
    """
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": id,
        "type": type,
        "source": source,
        **({"subject": subject} if subject else {}),  # it may be absent, but not empty
        "time": rfc3339(time),
        "datacontenttype": "application/json",
        "project": project,
        "depth": depth,
        "traceparent": traceparent,
    }
    if partition_key is not None:
        event["partitionkey"] = partition_key
    event.update(extensions or {})
    event["data"] = data
    return event
