"""The limits of a caller: from the environment, per project from its settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from documents.access import Caller

# What a secret key or an operator may read, as a multiple of what an end user may.
PRIVILEGED: Final = 10


@dataclass(frozen=True, slots=True)
class Limits:
    timeout_ms: int
    listed_rows: int  # that a page or a count may read
    aggregated_rows: int  # that a pipeline or distinct values may read


def limits_of(caller: Caller) -> Limits:
    """`query_limits` of the project's settings, the environment's where it says nothing."""
    given: Mapping[str, Any] = caller.project.settings.get("query_limits") or {}
    factor = PRIVILEGED if caller.principal.bypasses_rules else 1
    return Limits(
        given.get("timeout_ms", settings.STATEMENT_TIMEOUT_MS),
        given.get("listed_rows", settings.MAX_LISTED_ROWS) * factor,
        given.get("aggregated_rows", settings.MAX_AGGREGATED_ROWS) * factor,
    )
