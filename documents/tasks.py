"""The worker's door."""

from celery import shared_task

from documents.indexes import builder, hints


@shared_task(name=hints.TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def build_indexes() -> None:
    """Build and remove indexes until there is nothing left to do."""
    builder.run()
