"""The web process: the data plane's slim door, and Django behind it."""

import os

from django.core.wsgi import get_wsgi_application

from baas.kernel.http.dataplane import DataPlane

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "baas.settings")


def _application() -> DataPlane:
    django = get_wsgi_application()  # sets Django up: the rooms can be imported only now
    from baas.routes import data_plane

    return DataPlane(data_plane(), fallback=django)


application = _application()
