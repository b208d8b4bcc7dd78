"""The time that a query may take in the database."""

from collections.abc import Callable
from typing import TypeVar

import psycopg
from django.conf import settings
from django.db import transaction

from baas.kernel import db, fairness
from documents.access import Caller
from documents.costs.hints import Hint
from documents.costs.limits import limits_of
from documents.costs.problems import too_expensive

T = TypeVar("T")


def run(caller: Caller, query: Callable[[], T], hint: Hint) -> T:
    """What the query gives.

    Raises Malformed `query_too_expensive` when it takes too long, or too much memory.

    Costs a round trip only where the project's limit is not the installation's, which every
    connection has from the beginning.
    """
    timeout_ms = limits_of(caller).timeout_ms
    try:
        if timeout_ms == settings.STATEMENT_TIMEOUT_MS:
            return query()
        with transaction.atomic():
            before = _limit(f"{timeout_ms}ms")
            found = query()
            _limit(before)
            return found
    except fairness.Refused:
        raise
    except (psycopg.errors.OutOfMemory, psycopg.errors.ConfigurationLimitExceeded) as error:
        raise too_expensive("The query needs more memory than it may.", hint()) from error
    except psycopg.errors.QueryCanceled as error:
        detail = f"The query took longer than the {timeout_ms} ms that it may."
        raise too_expensive(detail, hint()) from error


def _limit(timeout: str) -> str:
    """Until the transaction ends; what it was before."""
    row = db.fetch_one(
        "SELECT current_setting('statement_timeout'), set_config('statement_timeout', %s, true)",
        (timeout,),
    )
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return str(row[0])
