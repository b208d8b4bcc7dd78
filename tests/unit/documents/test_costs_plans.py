"""What PostgreSQL's plans say: which index, how many rows are read."""

from typing import Any

import pytest

from documents.costs import plans

SIZES = {"a": 10_000.0, "b": 500.0}


def node(kind: str, *below: dict[str, Any], rows: float = 1, **more: Any) -> dict[str, Any]:
    return {"Node Type": kind, "Plan Rows": rows, "Total Cost": 1.0, "Plans": list(below), **more}


def seq(table: str = "a", rows: float = 100, **more: Any) -> dict[str, Any]:
    return node("Seq Scan", rows=rows, **{"Relation Name": table, **more})


def index(rows: float = 100, table: str = "a", **more: Any) -> dict[str, Any]:
    return node("Index Scan", rows=rows, **{"Relation Name": table, "Index Name": "i", **more})


READ: list[tuple[dict[str, Any], float]] = [
    (seq(), 10_000),
    (node("Aggregate", seq()), 10_000),
    (index(**{"Index Cond": "x"}), 100),
    (index(), 10_000),  # the whole index, for its order
    (node("Limit", index(rows=10_000), rows=20), 20),
    (node("Limit", seq(rows=100), rows=10), 1000),  # a tenth of what matches
    (node("Limit", node("Sort", seq()), rows=1), 10_000),  # all of it before the first
    (node("Limit", node("Subquery Scan", seq(rows=100), rows=100), rows=10), 1000),
    (index(**{"Index Cond": "x", "Filter": "y", "Total Cost": 1200.0}), 1000),
    (node("Bitmap Heap Scan", node("Bitmap Index Scan", rows=70, **{"Index Name": "i"})), 70),
    (node("Nested Loop", seq("b", rows=500),
          index(rows=2, **{"Index Cond": "x", "Parent Relationship": "Inner"})), 1500),
    (node("Subquery Scan", seq("b", rows=500),
          seq("a", **{"Parent Relationship": "SubPlan"}), rows=500), 500 + 500 * 10_000),
    (node("Subquery Scan", seq("b", rows=500),
          seq("a", **{"Parent Relationship": "InitPlan"}), rows=500), 10_500),
    (node("Result"), 0),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "rows"), READ)
def test_rows_are_counted_where_they_are_read(plan: dict[str, Any], rows: float) -> None:
    assert plans.rows_read(plan, SIZES) == pytest.approx(rows)


def test_indexes_are_named_in_order_and_once() -> None:
    plan = node("Nested Loop", index(), index(**{"Index Name": "j"}), index())
    assert plans.indexes(plan) == ["i", "j"]
    assert plans.scan(plan) == "index"
    assert plans.scan(node("Nested Loop", index(), seq())) == "table"
    assert plans.scan(node("Result")) == "none"
