"""Every route of the data plane: each room brings its own list."""

from importlib import import_module
from importlib.util import find_spec

from baas.kernel.http.routes import Route

ROOMS = ("auth", "documents", "storage", "functions")


def data_plane() -> list[Route]:
    found: list[Route] = []
    for room in ROOMS:
        if find_spec(f"{room}.api"):
            found += import_module(f"{room}.api").ROUTES
    return found
