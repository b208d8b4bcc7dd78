"""The SQL of rules, rendered once for all callers for whom it is the same text."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

from psycopg import sql

MAX_ENTRIES: Final = 10_000
MAX_CHARACTERS: Final = 4_000

_texts: Final[dict[Hashable, sql.SQL]] = {}


def get(key: Hashable, compile_: Callable[[], sql.Composable]) -> sql.SQL:
    """The text for `key`, compiled where it is not known yet."""
    found = _texts.get(key)
    if found is None:
        # psycopg has quoted every value in it by now
        text = compile_().as_string()
        found = sql.SQL(text)
        if len(text) <= MAX_CHARACTERS:
            if len(_texts) >= MAX_ENTRIES:
                _texts.clear()  # rare, and cheaper than keeping their order on every use
            _texts[key] = found
    return found
