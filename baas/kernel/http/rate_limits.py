"""Rate limits per IP address and per project, counted together by all web processes.

A sliding window: the requests of the present window, and of the one before it weighted by how much
of it the sliding window still covers. Each process counts in its own memory; a thread adds what was
counted to Redis four times a second and brings back the sum. So a request pays for a look into a
dict, a limit may be overrun by what the processes admit in a quarter of a second, and without Redis
every process holds the limit by itself.
"""

import ipaddress
import logging
import math
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import redis
from django.conf import settings

from baas.kernel.events.wake import client_from_url
from baas.kernel.http.request import Request
from baas.kernel.problems import TooMany

logger = logging.getLogger(__name__)

DEFAULT_WINDOW_S: Final = 60
MAX_KEYS: Final = 50_000  # callers remembered at a time; the oldest window goes first
_SYNC_S: Final = 0.25
_KEPT_WINDOWS: Final = 2

Headers: TypeAlias = tuple[tuple[str, str], ...]
Key: TypeAlias = tuple[str, int, int]  # who, the window's seconds, the window's number


@dataclass(slots=True)
class _Count:
    """What is known of one window of one key."""

    total: int = 0  # in all processes, as far as we know
    unsent: int = 0  # of it, what Redis does not know yet


_lock = threading.Lock()
_counts: dict[Key, _Count] = {}
_unsent: set[Key] = set()
_thread: threading.Thread | None = None


def admit(request: Request) -> Headers:
    """Count a request within a project; the `RateLimit-*` headers of its reply.

    Raises TooMany `rate_limited`, which is not counted. Secret keys and operators are not limited
    unless the project's settings say so; what a function calls back never is.
    """
    given: Mapping[str, Any] = request.project.settings.get("rate_limits") or {}
    principal = request.principal
    if principal.invocation_id is not None:
        return ()
    if principal.is_privileged and not given.get("limit_privileged"):
        return ()
    window_s = given.get("window_s", DEFAULT_WINDOW_S)
    per_ip = given.get("per_ip", settings.RATE_LIMIT_PER_IP)
    per_project = given.get("per_project", settings.RATE_LIMIT_PER_PROJECT)
    found: Headers = ()
    if per_project:
        found = take(f"p{request.project.id}", per_project, window_s)
    if per_ip:
        network = _network(request.client_ip)
        found = take(f"p{request.project.id}:{network}", per_ip, window_s)
    return found


def take(key: str, limit: int, window_s: int) -> Headers:
    """Count one use of `key`. Raises TooMany `rate_limited` over `limit` uses in `window_s`."""
    now = time.time()
    number = int(now // window_s)
    passed = now / window_s - number  # the share of the present window that is over
    with _lock:
        count = _counts.get((key, window_s, number))
        if count is None:
            count = _begin(key, window_s, number)
        before = _counts.get((key, window_s, number - 1))
        used = count.total + (before.total * (1 - passed) if before else 0)
        admitted = used + 1 <= limit
        if admitted:
            count.total += 1
            count.unsent += 1
            _unsent.add((key, window_s, number))
    reset_s = max(1, round(window_s * (1 - passed)))
    remaining = max(0, int(limit - used) - 1)
    headers = (
        ("RateLimit-Limit", str(limit)),
        ("RateLimit-Remaining", str(remaining)),
        ("RateLimit-Reset", str(reset_s)),
    )
    if not admitted:
        problem = TooMany(
            f"More than {limit} requests in {window_s} seconds: slow down, then go on.",
            retry_after_s=_wait_s(limit, count.total, before, passed, window_s),
        )
        problem.headers.update(headers)
        raise problem
    return headers


def _wait_s(limit: int, present: int, before: _Count | None, passed: float, window_s: int) -> int:
    """When the next request is admitted, if no other comes."""
    if before is not None and before.total and present < limit:
        until = 1 - (limit - 1 - present) / before.total
    else:  # what was used in this window has to leave the next one
        until = 2 - (limit - 1) / max(1, present)
    return max(1, math.ceil(window_s * (until - passed)))


def _begin(key: str, window_s: int, number: int) -> _Count:
    if len(_counts) >= MAX_KEYS:
        for old in list(_counts)[: MAX_KEYS // 4]:  # in the order in which they began
            del _counts[old]
            _unsent.discard(old)
    count = _counts[key, window_s, number] = _Count()
    if _thread is None:
        _start()
    return count


def _network(ip: str) -> str:
    """The address; of IPv6 the /64, all of which one subscriber has."""
    if ":" not in ip:
        return ip
    try:
        return str(ipaddress.ip_network(f"{ip}/64", strict=False))
    except ValueError:
        return ip


def _start() -> None:
    global _thread
    _thread = threading.Thread(target=_add_up_forever, name="baas-rate-limits", daemon=True)
    _thread.start()


def _forget() -> None:
    """A forked child has our memory, but not our thread; the lock may be held by nobody."""
    global _thread, _lock
    _thread, _lock = None, threading.Lock()
    for count in _counts.values():
        count.unsent = 0  # the parent sends it
    _unsent.clear()


os.register_at_fork(after_in_child=_forget)


def _add_up_forever() -> None:
    client = client_from_url(settings.REDIS_URL)
    while True:
        time.sleep(_SYNC_S)
        try:
            add_up(client)
        except redis.RedisError as error:
            logger.warning("rate limits are counted by each process alone: %s", error)
            time.sleep(5)


def add_up(client: "redis.Redis") -> None:
    """Send what was counted here, take over what all have counted, forget windows that are over."""
    now = time.time()
    with _lock:
        for old in [k for k in _counts if k[2] + _KEPT_WINDOWS <= now // k[1]]:
            del _counts[old]
            _unsent.discard(old)
        sent = [(key, _counts[key].unsent) for key in _unsent]
        _unsent.clear()
    if not sent:
        return
    pipe = client.pipeline(transaction=False)
    for (who, window_s, number), amount in sent:
        name = f"baas:rate:{who}:{window_s}:{number}"
        pipe.incrby(name, amount)
        pipe.expire(name, window_s * _KEPT_WINDOWS + 1)
    try:
        totals = pipe.execute()[::2]
    except redis.RedisError:
        with _lock:
            _unsent.update(key for key, _ in sent if key in _counts)
        raise
    with _lock:
        for (key, amount), total in zip(sent, totals, strict=True):
            count = _counts.get(key)
            if count is not None:
                count.unsent -= amount
                count.total = int(total) + count.unsent
