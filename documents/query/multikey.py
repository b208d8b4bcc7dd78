"""What a field that has arrays is found by: an index of all values that its path reaches.

An entry is the hash of a value's order text, for each reached value and each element of an array
there; what is missing is entered as null. Different values may share a hash, so the condition on
the index stands beside the exact test.
"""

from collections.abc import Iterator
from typing import Any

from psycopg import sql

from documents.query import columns, order, paths
from documents.query.ast import Compare, ElemMatch, Node, Path
from documents.query.leaves import conjuncts, leaves
from documents.query.rows import Rows


def key(value: Any) -> list[str]:
    return [order.text(value)]


def keys(candidates: Any) -> list[str]:
    return list(map(order.text, candidates))


def narrowed(
    rows: Rows, path: Path, wanted: sql.Composable, exact: sql.Composable
) -> sql.Composable:
    """The exact test, only for rows that have an entry for one of the `wanted` texts (text[])."""
    return sql.SQL("({} && documents_hashes({}) AND {})").format(
        columns.multikey(path, rows.doc), wanted, exact
    )


def equalities(node: ElemMatch, first: int) -> Iterator[tuple[int, Path]]:
    """What a matching element must equal: the numbers of the leaves, and the paths of their values
    in the document. `first` is the number of the first leaf of the condition."""
    for part in conjuncts(node.part):
        match part:
            case Compare(path, "eq", value) if value is not None and not paths.has_index(path):
                yield first, node.path + path
        first += _count(part)


def _count(node: Node) -> int:
    found: list[Any] = []
    leaves(node, found)
    return len(found)
