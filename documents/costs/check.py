"""A query's cost before it runs: the planner's estimate against what the caller may read."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from baas.kernel import db
from documents.access import Caller
from documents.collections import Collection
from documents.costs import plans, sizes
from documents.costs.hints import Hint, no_hint
from documents.costs.limits import limits_of
from documents.costs.problems import too_expensive

KEPT_S: Final = 60.0
MAX_KEPT: Final = 1000

# Statements that were found to be cheap, until when: asking costs about what a small query does.
_cheap: dict[tuple[bytes, int], float] = {}


def require_cheap(
    caller: Caller,
    collections: Sequence[Collection],
    statement: bytes,
    values: Mapping[str, Any],
    hint: Hint = no_hint,
    *,
    aggregates: bool = False,
) -> None:
    """Raises Malformed `query_too_expensive` for a statement that would read too many rows.

    `collections` are all that it reads; while they are small nothing is asked. `hint` gives the
    fields that an index would help.
    """
    limits = limits_of(caller)
    most = limits.aggregated_rows if aggregates else limits.listed_rows
    if _at_most(collections) <= most:
        return
    now = time.monotonic()
    if _cheap.get((statement, most), 0.0) > now:
        return
    rows = plans.rows_read(
        explained(statement, values), {each.table_name: sizes.rows_of(each) for each in collections}
    )
    if rows > most:
        # How many they are is nothing that an end user may know.
        about = f" about {rows:,.0f} documents," if caller.principal.bypasses_rules else ""
        raise too_expensive(
            f"The query would read{about} more than the {most:,} that it may.", hint()
        )
    if len(_cheap) >= MAX_KEPT:
        _cheap.clear()
    _cheap[(statement, most)] = now + KEPT_S


def forget() -> None:
    _cheap.clear()


def explained(statement: bytes, values: Mapping[str, Any]) -> plans.Plan:
    """PostgreSQL's plan of a statement; it is not run."""
    row = db.fetch_one(b"EXPLAIN (FORMAT JSON) " + statement, values)
    assert row is not None  # noqa: S101 - EXPLAIN in JSON is one row
    found: plans.Plan = (row[0] if isinstance(row[0], list) else orjson.loads(row[0]))[0]["Plan"]
    return found


def _at_most(collections: Sequence[Collection]) -> float:
    """More rows than a statement over these can read, if each is read once for each row of the
    one before it."""
    product = 1.0
    for collection in collections:
        product *= max(1.0, sizes.rows_of(collection))
    return product
