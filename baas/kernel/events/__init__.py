"""The events log: what happened, in commit order, read by dispatchers and realtime hubs."""

from baas.kernel.events.event import Event, cloudevent
from baas.kernel.events.log import (
    START,
    Position,
    StoredEvent,
    emit,
    event_params,
    head,
    insert_clause,
    read,
)
from baas.kernel.events.wake import after_commit, wake

__all__ = [
    "START",
    "Event",
    "Position",
    "StoredEvent",
    "after_commit",
    "cloudevent",
    "emit",
    "event_params",
    "head",
    "insert_clause",
    "read",
    "wake",
]
