"""Whether the process is up, and whether the parts that it needs are reachable."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Final

from django.conf import settings
from django.db import connection

from baas.kernel import db
from baas.kernel.events.wake import client_from_url

logger = logging.getLogger(__name__)

CHECK_TIMEOUT_S: Final = 3.0

# A check returns facts worth showing (or nothing) and raises when the part is out of reach.
Check = Callable[[], dict[str, Any] | None]
_checks: dict[str, Check] = {}


def register(name: str, check: Check) -> None:
    """Make a part of this installation one that `/readyz` asks for."""
    _checks[name] = check


def _database() -> None:
    try:
        db.fetch_one("SELECT 1")
    finally:
        connection.close()  # the check runs in a thread of its own


def _redis() -> None:
    client = client_from_url(settings.REDIS_URL)
    try:
        client.ping()
    finally:
        client.close()


register("database", _database)
register("redis", _redis)


def readiness() -> tuple[bool, dict[str, Any]]:
    """(all parts answer, a report by part); takes at most CHECK_TIMEOUT_S."""
    report: dict[str, Any] = {}
    pool = ThreadPoolExecutor(max_workers=len(_checks))
    futures = {name: pool.submit(check) for name, check in _checks.items()}
    ready = True
    for name, future in futures.items():
        try:
            report[name] = {"ok": True, **(future.result(timeout=CHECK_TIMEOUT_S) or {})}
        except (FutureTimeout, Exception) as error:  # noqa: BLE001 - whatever it is, the part is down
            ready = False
            detail = "no answer in time" if isinstance(error, FutureTimeout) else str(error)
            report[name] = {"ok": False, "detail": detail or type(error).__name__}
            logger.warning("not ready: %s: %s", name, detail)
    pool.shutdown(wait=False)
    return ready, report
