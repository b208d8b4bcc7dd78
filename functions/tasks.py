"""The worker's door."""

from celery import shared_task

from functions.events import execution, transport
from functions.events.ledger import Lease


@shared_task(name=transport.TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def run_batch(leases: list[tuple[str, int]]) -> None:
    """Run a batch of leased deliveries and settle each."""
    execution.run_batch([Lease(*item) for item in leases])
