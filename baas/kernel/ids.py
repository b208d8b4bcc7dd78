"""Identifiers: URL-safe, time-ordered, unguessable enough to be handed out."""

import os
import time

from baas.kernel import repeatable

# Crockford's base 32 in lower case: sorts like the bytes, no letters that look alike.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]


def new_id() -> str:
    """A new id of 26 characters: 48 bits of milliseconds, then 80 random bits (the ULID layout)."""
    drawn = repeatable.draw()
    if drawn is None:
        return _encode((time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10)))
    return _encode(drawn[0] << 80 | drawn[1])


def first_of(time_ms: int) -> str:
    """The smallest id that can be made at a time (milliseconds since 1970): a bound for sweeps."""
    return _encode(time_ms << 80)


def _encode(value: int) -> str:
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])


def new_secret(prefix: str) -> str:
    """A bearer secret with 256 random bits, such as `sk_…`."""
    return prefix + "".join([_PAIRS[b % 1024] for b in _words(26)])


def _words(count: int) -> list[int]:
    data = os.urandom(count * 2)
    return [int.from_bytes(data[i : i + 2]) for i in range(0, len(data), 2)]
