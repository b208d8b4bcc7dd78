"""The ledger's figures, read when they are scraped."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from baas.kernel import db

# One statement, one snapshot. What happened is counted (tallies, written together with the
# change); what is, is counted row by row: a delivery that was lost or done twice shows as drift.
_FIGURES: Final = b"""
SELECT
    (SELECT count(*) FROM functions_delivery WHERE state = 'pending'),
    (SELECT count(*) FROM functions_delivery WHERE state = 'running'),
    (SELECT count(*) FROM functions_delivery WHERE state = 'dead'),
    (SELECT coalesce(sum(delta), 0) FROM functions_tally WHERE name = 'accepted'),
    (SELECT coalesce(sum(delta), 0) FROM functions_tally WHERE name = 'succeeded'),
    (SELECT coalesce(sum(delta), 0) FROM functions_tally WHERE name = 'discarded'),
    (SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0) FROM functions_delivery
        WHERE state = 'pending' AND due_at <= now())
"""


class Ledger(Collector):
    """`baas_deliveries{state}`, the age of the oldest that is due, and the drift."""

    def collect(self) -> Iterator[Metric]:
        row = db.fetch_one(_FIGURES)
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        pending, running, dead, accepted, succeeded, discarded = (int(value) for value in row[:6])
        deliveries = GaugeMetricFamily(
            "baas_deliveries", "Deliveries of events and asynchronous calls.", labels=["state"]
        )
        for state, count in (
            ("pending", pending),
            ("running", running),
            ("succeeded", succeeded),
            ("dead", dead),
        ):
            deliveries.add_metric([state], count)
        yield deliveries
        yield GaugeMetricFamily(
            "baas_deliveries_accepted", "All deliveries ever accepted.", value=accepted
        )
        yield GaugeMetricFamily(
            "baas_deliveries_oldest_due_seconds",
            "How long the oldest due delivery has been waiting.",
            value=float(row[6]),
        )
        yield GaugeMetricFamily(
            "baas_event_drift",
            "accepted - (pending + running + succeeded + dead + purged): must be 0.",
            value=accepted - (pending + running + succeeded + dead + discarded),
        )
