"""This process's way to the function host."""

from functools import cache
from typing import Any

from django.conf import settings

from functions.runner import Runner


@cache
def runner() -> Runner:
    """The client of the host that BAAS_FUNCTION_HOST names; one per process, thread-safe."""
    return Runner(settings.FUNCTION_HOST)


def check() -> dict[str, Any]:
    """What `/readyz` shows of the host. Raises when it is out of reach or cannot isolate."""
    status = runner().status()
    if not status.get("ready"):
        raise RuntimeError(str(status.get("problem") or "the host's self-test failed"))
    return {name: status.get(name) for name in ("tier", "layers", "runtimes")}
