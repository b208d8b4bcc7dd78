"""A row of the log as the CloudEvent that a function receives."""

import orjson

from baas.kernel import db
from baas.kernel.events import cloudevent
from baas.kernel.events.log import from_row


def from_log(row: db.Row, project_slug: str) -> bytes:
    """The event in structured mode, as JSON.

    The data is spliced in as the log has it: numbers that no float can hold stay as they were.
    """
    event = from_row(row)
    head = cloudevent(
        id=event.id,
        type=event.type,
        source=event.source,
        subject=event.subject,
        time=event.time,
        data=None,
        project=project_slug,
        depth=event.depth,
        traceparent=event.traceparent,
        partition_key=event.partition_key,
        extensions=event.extensions,
    )
    del head["data"]
    return orjson.dumps(head)[:-1] + b',"data":' + event.data.encode() + b"}"
