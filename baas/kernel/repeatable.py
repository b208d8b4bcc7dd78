"""The time and the random ids of work that is done more than once and must come out the same.

Interactive transactions carry their calls out again at every step: what a caller was told the
first time (ids that the server made, times) has to be what the last time commits.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(slots=True)
class _Script:
    now: datetime
    seed: bytes
    drawn: int = 0


_script: ContextVar[_Script | None] = ContextVar("baas_repeatable", default=None)


@contextmanager
def repeating(now: datetime, seed: bytes) -> Iterator[None]:
    """Within, `now()` stands still and ids come from the (secret) seed: the same in each run."""
    token = _script.set(_Script(now, seed))
    try:
        yield
    finally:
        _script.reset(token)


def is_repeating() -> bool:
    return _script.get() is not None


def now() -> datetime:
    """The present, or the time of the work that is repeated."""
    script = _script.get()
    return datetime.now(UTC) if script is None else script.now


def draw() -> tuple[int, int] | None:
    """(milliseconds since 1970, 80 bits) for the next id; None outside `repeating`."""
    script = _script.get()
    if script is None:
        return None
    script.drawn += 1
    digest = hashlib.blake2b(b"%d" % script.drawn, key=script.seed, digest_size=10).digest()
    return int(script.now.timestamp() * 1000), int.from_bytes(digest)
