"""Telling a worker that there are indexes to build. The sweep makes up for a hint that is lost."""

import logging
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string
from kombu.exceptions import KombuError

if TYPE_CHECKING:
    from celery import Celery

logger = logging.getLogger(__name__)

TASK: Final = "documents.build_indexes"


def ask() -> None:
    """Send the task once the current transaction has committed."""
    transaction.on_commit(send)


def send() -> None:
    # The wiring owns the Celery application; a room may only ask for it by name.
    app: Celery = import_string(settings.BAAS_CELERY_APP)
    try:
        app.send_task(TASK, ignore_result=True, retry=False)
    except (KombuError, OSError) as error:
        logger.warning("indexes are built later, the broker is out of reach: %s", error)
