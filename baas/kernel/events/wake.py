"""Wake-up hints: after a commit, tell the log's readers through Redis that there is work.

A hint may be lost at any time (Redis down, FLUSHALL): readers look by themselves every 0.5 s.
Hints are coalesced: a thread of this process publishes at most one every few milliseconds, so a
write pays for setting a flag, not for a round trip.
"""

import logging
import os
import threading
import time
from typing import Final

import redis
from django.conf import settings
from django.db import connection

from baas.kernel import db

logger = logging.getLogger(__name__)

CHANNEL: Final = "baas:wake"
POLL_S: Final = 0.5  # how long a lost hint may delay a reader
# What a hint spoke of may still be behind the gate: a reader that found nothing looks once more.
SECOND_LOOK_S: Final = 0.01
_COALESCE_S: Final = 0.01
# Under load hints come every 10 ms, and a look costs more than what it finds.
_GATHER_S: Final = 0.015
_MANY: Final = 20  # events

_flag = threading.Event()
_starting = threading.Lock()
_thread: threading.Thread | None = None


def after_commit() -> None:
    """Wake the readers once the surrounding transaction has committed (now, when there is none)."""
    if db.in_transaction():
        connection.on_commit(wake, robust=True)
    else:
        wake()


def wake() -> None:
    """Wake the readers now. Never blocks, never raises."""
    if not _flag.is_set():
        _flag.set()
        if _thread is None:
            _start()


def gather_s(events: int) -> float:
    """How long a reader lets events gather before it looks again: the longer the more it found."""
    return _GATHER_S * min(1.0, events / _MANY)


def _start() -> None:
    global _thread
    with _starting:
        if _thread is None:
            _thread = threading.Thread(target=_publish_forever, name="baas-wake", daemon=True)
            _thread.start()


def _forget_thread() -> None:
    """A forked child has our memory, but not our thread: it starts one when it needs it."""
    global _thread, _starting, _flag
    # New locks: the parent's threads may have held the old ones at the fork.
    _thread, _starting, _flag = None, threading.Lock(), threading.Event()


os.register_at_fork(after_in_child=_forget_thread)


def _publish_forever() -> None:
    client = client_from_url(settings.REDIS_URL)
    while True:
        _flag.wait()
        _flag.clear()
        try:
            client.publish(CHANNEL, b"1")
        except redis.RedisError as error:
            # Readers poll: the hint is only lost latency. Say it once in a while, do not spin.
            logger.warning("wake-up hint not sent, readers will poll: %s", error)
            time.sleep(1)
        # The first write is announced at once; those that follow share the next hint.
        time.sleep(_COALESCE_S)


def client_from_url(url: str) -> "redis.Redis":
    """A Redis client with short timeouts; raises RedisError subclasses at use, not here."""
    client: redis.Redis = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2)
    return client


class Waiter:
    """Waits for a hint, for a poll interval at most. One per reader; not thread-safe."""

    def __init__(self) -> None:
        self._client = client_from_url(settings.REDIS_URL)
        self._pubsub: redis.client.PubSub | None = None

    def wait(self, timeout_s: float = POLL_S) -> bool:
        """True when woken, false when the time is over, also while Redis is down."""
        deadline = time.monotonic() + timeout_s
        try:
            if self._pubsub is None:
                self._pubsub = self._client.pubsub(  # type: ignore[no-untyped-call]
                    ignore_subscribe_messages=True
                )
                self._pubsub.subscribe(CHANNEL)
            while (left := deadline - time.monotonic()) > 0:
                if self._pubsub.get_message(timeout=left) is not None:
                    self._drain()
                    return True
        except (redis.RedisError, OSError) as error:
            logger.warning("redis is out of reach, polling: %s", error)
            self._pubsub = None
            time.sleep(max(0.0, deadline - time.monotonic()))
        return False

    def rest(self) -> None:
        """Listen to no hints until the next `wait`."""
        if self._pubsub is not None:
            self._pubsub.close()
            self._pubsub = None

    def _drain(self) -> None:
        while self._pubsub is not None and self._pubsub.get_message(timeout=0) is not None:
            pass
