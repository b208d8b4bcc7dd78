"""Per-process cache of configuration that every request needs: projects, collections, buckets.

Whoever changes a project's configuration calls `changed(project_id)` inside the transaction. At
its commit this process forgets at once, the others within milliseconds, through LISTEN/NOTIFY
(which serialises commits, so it is used for configuration only, never for data). While the
listening connection is down nothing is cached.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Generic, TypeVar

import psycopg
from django.db import connection, transaction

from baas.kernel import db

logger = logging.getLogger(__name__)

CHANNEL: Final = "baas_config"
MAX_ENTRIES: Final = 50_000
# Entries are dropped at this age even without a word: a bound on what a missed message can do.
MAX_AGE_S: Final = 30.0

T = TypeVar("T")

_lock = threading.Lock()
_entries: dict[tuple[int, str, Hashable], tuple[float, Any]] = {}
_by_project: dict[int, set[tuple[int, str, Hashable]]] = {}
_generation = 0
# What a transaction has loaded that keeps it to itself.
_within: ContextVar[dict[tuple[int, str, Hashable], Any] | None] = ContextVar(
    "baas_config", default=None
)
_listening = threading.Event()
_thread: threading.Thread | None = None


class ConfigCache(Generic[T]):
    """A named part of the cache. `load(project_id, key)` returns None for what does not exist."""

    def __init__(self, name: str, load: Callable[[int, Any], T | None]) -> None:
        self._name = name
        self._load = load

    def get(self, project_id: int, key: Hashable) -> T | None:
        """The value as of now or of some milliseconds ago. What is missing is not cached.

        Inside a transaction that is about to change the configuration, load directly instead.
        """
        entry_key = (project_id, self._name, key)
        entry = _entries.get(entry_key)
        if entry is not None and entry[0] > time.monotonic():
            value: T = entry[1]
            return value
        if _thread is None:
            _start_listening()
        within = _within.get()
        if within is not None:
            if entry_key not in within:
                within[entry_key] = self._load(project_id, key)
            found: T | None = within[entry_key]
            return found
        generation = _generation
        loaded = self._load(project_id, key)
        # In a transaction the value may be uncommitted, or old by its snapshot: do not keep it.
        if loaded is not None and _listening.is_set() and not db.in_transaction():
            with _lock:
                if generation == _generation:
                    if len(_entries) >= MAX_ENTRIES:
                        _clear()
                    _entries[entry_key] = (time.monotonic() + MAX_AGE_S, loaded)
                    _by_project.setdefault(project_id, set()).add(entry_key)
        return loaded


@contextmanager
def within_transaction() -> Iterator[None]:
    """Keep what is loaded in this transaction as long as the block, for nobody else.

    For transactions that ask again and again for what is not committed yet.
    """
    token = _within.set({})
    try:
        yield
    finally:
        _within.reset(token)


def forget_within() -> None:
    """A part of the transaction was rolled back, or the configuration changes in it."""
    within = _within.get()
    if within is not None:
        within.clear()


def changed(project_id: int) -> None:
    """Say that the project's configuration changes with the current transaction (or just did)."""
    forget_within()
    db.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(project_id)))
    if connection.in_atomic_block:
        transaction.on_commit(lambda: forget(project_id), robust=True)
    else:
        forget(project_id)


def forget(project_id: int) -> None:
    global _generation
    with _lock:
        _generation += 1
        for key in _by_project.pop(project_id, ()):
            _entries.pop(key, None)


def _clear() -> None:
    _entries.clear()
    _by_project.clear()


def clear() -> None:
    """Forget everything (after a lost listening connection; in tests between databases)."""
    global _generation
    with _lock:
        _generation += 1
        _clear()


def _start_listening() -> None:
    global _thread
    with _lock:
        if _thread is not None:
            return
        _thread = threading.Thread(target=_listen_forever, name="baas-config", daemon=True)
        _thread.start()
    _listening.wait(2)


def _forget_thread() -> None:
    """A forked child has our memory, but not our thread: it begins anew."""
    global _thread, _lock, _listening
    # New locks: the parent's threads may have held the old ones at the fork.
    _thread, _lock, _listening = None, threading.Lock(), threading.Event()
    clear()


os.register_at_fork(after_in_child=_forget_thread)


def _listen_forever() -> None:
    lost = False
    while True:
        try:
            # A connection of its own: the thread's Django connection is for requests.
            params = connection.get_connection_params()
            params = {k: v for k, v in params.items() if k not in ("cursor_factory", "context")}
            with psycopg.Connection.connect(**params, autocommit=True) as listener:
                listener.execute(f"LISTEN {CHANNEL}")
                clear()
                _listening.set()
                lost = False
                for notice in listener.notifies():
                    forget(int(notice.payload))
        except (psycopg.Error, OSError) as error:
            if not lost:  # once for each loss, not for each attempt
                logger.warning("configuration is not cached until the database is back: %s", error)
            lost = True
        finally:
            _listening.clear()
            clear()
        time.sleep(0.5)
