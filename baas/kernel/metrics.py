"""Prometheus metrics, named by its conventions; shared between the processes of a node.

With PROMETHEUS_MULTIPROC_DIR set (the supervisor and the container images do), every process
writes into that directory and any web process answers `/metrics` for the node.
"""

import os
from functools import lru_cache
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.registry import Collector

_BUCKETS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
HTTP: Final = Histogram(
    "baas_http_request_duration_seconds",
    "Time from the request's arrival to the start of its reply.",
    ["method", "route", "status"],
    buckets=_BUCKETS,
)

# Collectors that read the database when scraped (queue depth, drift), registered by the rooms.
_live: list[Collector] = []


@lru_cache(maxsize=4096)
def http_seconds(method: str, route: str, status: int) -> Histogram:
    return HTTP.labels(method, route, str(status))


def register_live(collector: Collector) -> None:
    """Add a collector that is asked at each scrape, in the process that answers it."""
    _live.append(collector)


def scrape() -> tuple[bytes, str]:
    """(body, content type) of `/metrics`."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        body = generate_latest(registry)
    else:
        body = generate_latest(REGISTRY)
    live = CollectorRegistry()
    for collector in _live:
        live.register(collector)
    return body + generate_latest(live), CONTENT_TYPE_LATEST


__all__ = ["HTTP", "Counter", "Gauge", "Histogram", "http_seconds", "register_live", "scrape"]
