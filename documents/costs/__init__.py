"""What a query may cost: how long it may run, how many documents it may read.

require_cheap(caller, [collection], statement, values, hint)  # asks the planner, if that is large
costs.run(caller, lambda: db.fetch_all(statement, values), hint)  # within the caller's time

Both refuse with `query_too_expensive`, which names the index that would help.
"""

from documents.costs.check import require_cheap
from documents.costs.hints import fields_for, no_hint
from documents.costs.timing import run

__all__ = ["fields_for", "no_hint", "require_cheap", "run"]
