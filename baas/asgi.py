"""The realtime process: websockets only."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "baas.settings")

import django

django.setup()

from realtime.asgi import application

__all__ = ["application"]
