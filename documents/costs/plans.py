"""Reading PostgreSQL's plans: which indexes, how many rows. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

Plan: TypeAlias = Mapping[str, Any]  # a node of EXPLAIN (FORMAT JSON)

# Those that read all of their input before they give the first row.
_BLOCKING: Final = frozenset({"Sort", "Aggregate", "Hash", "Materialize", "WindowAgg", "Unique"})
_INDEX_SCANS: Final = frozenset({"Index Scan", "Index Only Scan", "Bitmap Index Scan"})
# How many values PostgreSQL thinks an array has whose values it does not know: a $lookup's, of
# which most have one.
_GUESSED: Final = 10
# What reading one row by an index costs at most, in the planner's units.
_COST_OF_ROW: Final = 1.2


def nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def indexes(plan: Plan) -> list[str]:
    """The names of PostgreSQL's indexes that it uses, in the order of the plan."""
    return list(dict.fromkeys([each["Index Name"] for each in nodes(plan) if "Index Name" in each]))


def scan(plan: Plan) -> str:
    """How it finds its rows: `table` when it reads one as a whole, `index`, or `none`."""
    kinds = {each["Node Type"] for each in nodes(plan)}
    if "Seq Scan" in kinds:
        return "table"
    return "index" if kinds & _INDEX_SCANS else "none"


def rows_read(plan: Plan, sizes: Mapping[str, float]) -> float:
    """About how many rows of tables it reads. `sizes` has the rows of each table by its name."""
    return _read(plan, sizes, 1.0)


def _read(plan: Plan, sizes: Mapping[str, float], share: float) -> float:
    """`share` is the part of its rows that is asked for: a LIMIT above may stop it early."""
    kind = plan["Node Type"]
    children = plan.get("Plans", ())
    if kind == "Seq Scan":
        return float(sizes.get(plan["Relation Name"], plan["Plan Rows"])) * share
    if kind in ("Index Scan", "Index Only Scan"):
        return float(_read_by_index(plan, sizes)) * share
    if kind == "Bitmap Heap Scan":
        # What the index below gives is read here.
        below = [each for each in nodes(plan) if each["Node Type"] == "Bitmap Index Scan"]
        return float(sum([each["Plan Rows"] for each in below]))
    if kind == "Limit" and children:
        asked = plan["Plan Rows"] / max(1, children[0]["Plan Rows"])
        share = min(1.0, share * asked)
    elif kind in _BLOCKING:
        share = 1.0
    total = 0.0
    for child in children:
        repeated = 1.0
        relation = child.get("Parent Relationship")
        if relation == "Inner" and kind == "Nested Loop":
            repeated = children[0]["Plan Rows"] * share
        elif relation == "SubPlan":
            repeated = max(1.0, plan["Plan Rows"] * share)
        alone = relation in ("InitPlan", "SubPlan", "Inner")
        total += _read(child, sizes, 1.0 if alone else share) * max(1.0, repeated)
    return total


def _read_by_index(plan: Plan, sizes: Mapping[str, float]) -> float:
    size = sizes.get(plan.get("Relation Name", ""), plan["Plan Rows"])
    if "Index Cond" not in plan and "Order By" not in plan:
        return float(size)  # in the order of the index, from one end to the other
    if "= ANY (documents_" in plan.get("Index Cond", ""):
        return float(max(1, plan["Plan Rows"] / _GUESSED))
    if "Filter" not in plan:
        return float(plan["Plan Rows"])
    return float(min(size, max(plan["Plan Rows"], plan["Total Cost"] / _COST_OF_ROW)))
