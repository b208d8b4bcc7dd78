"""What a contender is to the benchmark: an address, and a request for each operation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.load import Target

# In the order of the table.
OPERATIONS = {
    "get": "get",
    "create": "create",
    "patch": "patch",
    "list": "list of 20 (filter, sort)",
    "total": "the same with its total (100)",
    "rule": "list of 20 by rule",
    "bulk": "create of 100 at once",
    "count": "count of a hundredth",
    "aggregate": "aggregate over a tenth",
}


@dataclass(frozen=True, kw_only=True)
class Contender:
    target: Target
    # The n-th request of an operation; an operation that it does not have is not there.
    requests: Mapping[str, Callable[[int], bytes]]
    pids: Mapping[str, int] = field(default_factory=dict)  # whose CPU is counted
