"""What a request carries along: its ids and its place in a chain of events.

Set by the doors (HTTP, Celery, websocket), read by `events.emit` and the log formatter.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    request_id: str = ""
    traceparent: str = ""  # W3C trace context of the caller, or one that we began
    depth: int = 0  # how many events led to this call; an event emitted here gets depth
    project: str = ""
    invocation_id: str = ""


_EMPTY = Context()
_current: ContextVar[Context] = ContextVar("baas_context", default=_EMPTY)


def current() -> Context:
    return _current.get()


def set_current(context: Context) -> None:
    """For doors that own their thread from request to request."""
    _current.set(context)


@contextmanager
def use(context: Context) -> Iterator[None]:
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def new_traceparent() -> str:
    """A fresh W3C traceparent, sampled flag off."""
    data = os.urandom(24).hex()
    return f"00-{data[:32]}-{data[32:]}-00"


def accept_traceparent(value: str | None) -> str:
    """The caller's traceparent when it is well formed, else a new one.

    Source: https://www.w3.org/TR/trace-context/ (version 00).
    """
    if value and len(value) == 55 and value[2] == value[35] == value[52] == "-":
        hexes = value.replace("-", "")
        if (
            len(hexes) == 52
            and not value.startswith("ff")
            and hexes == hexes.lower()
            and all(c in "0123456789abcdef" for c in hexes)
            and hexes[2:34].strip("0")
            and hexes[34:50].strip("0")
        ):
            return value
    return new_traceparent()


def trace_id(traceparent: str) -> str:
    return traceparent[3:35]
