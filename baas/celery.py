"""Celery: the transport between the ledger in Postgres and the workers."""

import os
from typing import Any

import django
from celery import Celery
from celery.signals import import_modules

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "baas.settings")

# Without Celery's Django fix-up: it closes the thread's database connection around every task,
# which costs more than most tasks. Tasks that meet a dead connection replace it themselves.
app = Celery("baas", fixups=[])
app.config_from_object("django.conf:settings", namespace="CELERY")


@import_modules.connect(sender=app)  # type: ignore[untyped-decorator]
def set_up_django(**_: Any) -> None:
    """Before the tasks' modules, which need the models."""
    django.setup()


app.autodiscover_tasks(["documents", "functions"])
