"""The web process: the data plane's slim door, and Django behind it."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "baas.settings")

from django.core.wsgi import get_wsgi_application

_django = get_wsgi_application()

from baas.kernel.http.dataplane import DataPlane
from baas.routes import data_plane

application = DataPlane(data_plane(), fallback=_django)
