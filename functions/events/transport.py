"""Celery, seen from the dispatcher: batches of leases out, or an error at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.utils.module_loading import import_string
from kombu.exceptions import KombuError, OperationalError

from functions.events.ledger import Lease

if TYPE_CHECKING:
    from celery import Celery

TASK: Final = "functions.run_batch"


class BrokerDown(Exception):
    """The broker did not take the message. Trying again later helps."""


def send(leases: Sequence[Lease]) -> None:
    """Hand one batch to the workers. Raises BrokerDown, within seconds."""
    # The wiring owns the Celery application; a room may only ask for it by name.
    app: Celery = import_string(settings.BAAS_CELERY_APP)
    try:
        app.send_task(
            TASK, args=([list(item) for item in leases],), ignore_result=True, retry=False
        )
    except (OperationalError, KombuError, OSError) as error:
        raise BrokerDown(str(error)) from error
