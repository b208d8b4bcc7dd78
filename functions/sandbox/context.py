"""The second argument of every handler."""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from functions.sandbox.client import Baas


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a handler may know about its invocation."""

    invocation_id: str
    function: str
    version: int
    attempt: int  # 1 for the first
    deadline: str  # RFC 3339; the sandbox is killed at this moment
    auth: dict[str, Any] | None  # the caller as rules see it, None when anonymous
    trace_id: str
    logger: logging.Logger
    baas: Baas
    _ends: float  # time.monotonic() at the deadline

    def remaining_ms(self) -> int:
        """Milliseconds until the deadline, never negative."""
        return max(0, int((self._ends - time.monotonic()) * 1000))


def deadline_text(moment: float) -> str:
    """A time.time() value as RFC 3339 in UTC with milliseconds."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
