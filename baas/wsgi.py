"""The web process: the data plane's slim door, and Django behind it."""

import os
from typing import TYPE_CHECKING

from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "baas.settings")


def _application() -> "WSGIApplication":
    django = get_wsgi_application()  # sets Django up: the rooms can be imported only now
    from django.conf import settings

    from baas.kernel import db, fairness
    from baas.kernel.http.dataplane import DataPlane
    from baas.routes import data_plane

    db.limit_statements(settings.STATEMENT_TIMEOUT_MS)
    fairness.limit(settings.SLOW_REQUESTS_PER_PROJECT)
    return DataPlane(data_plane(), fallback=django)


application = _application()
