"""The realtime process: websockets only."""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "baas.settings")


def _application() -> Any:
    django.setup()  # the room can be imported only now
    from realtime.asgi import application

    return application


application = _application()
