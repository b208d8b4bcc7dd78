"""`manage.py dispatcher`: reads the events log and hands deliveries to the workers."""

import signal
import threading
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from functions.events import dispatcher


class Command(BaseCommand):
    help = "Turn events into deliveries and hand them to the workers, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()

        def end(signum: int, frame: FrameType | None) -> None:
            stop.set()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        dispatcher.run_forever(stop)
