"""Indexes of some documents only: sparse ones, and those with a `where`.

PostgreSQL uses such an index only when the query's condition contains the index's. It compares
texts, so the index's own condition is added to a query that is known to imply it:

- `where`: the filter has all its conditions, with the same values, side by side (in an `$and`).
- sparse: the filter asks one of the fields for a value, or that it exists.

A query that implies the condition in any other way does not use the index.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from typing import Any, Final

from psycopg import sql

from documents import values
from documents.indexes.spec import Index
from documents.query import columns
from documents.query.ast import And, Compare, Exists, Implied, In, Node, Not, Or
from documents.query.parser import parse
from documents.query.rows import Rows
from documents.query.to_sql import compile_condition

_PLACEHOLDER: Final = re.compile(r"%(?:%|\((\w+)\)s)")  # or a doubled percent sign


def predicate(index: Index, rows: Rows) -> sql.Composable | None:
    """The condition of the index on the rows; None for all rows, and where it cannot be told
    because something that it is about may be hidden in them."""
    if any(root in rows.masked for root in _roots(index)):
        return None
    rows = rows.facing()
    parts = []
    if index.where is not None:
        plain = Rows(rows.alias, is_table=True, is_whole=rows.is_whole)
        parts.append(_literal(_where(index.where), plain))
    if index.sparse and not any(field in columns.SYSTEM for field in index.names):
        found = [columns.value(tuple(field.split(".")), rows.doc) for field in index.names]
        present = [sql.SQL("{} IS NOT NULL").format(value) for value in found]
        parts.append(sql.SQL("({})").format(sql.SQL(" OR ").join(present)))
    return sql.SQL(" AND ").join(parts) if parts else None


def _roots(index: Index) -> Iterator[str]:
    """The top-level fields that the condition is about."""
    for field in index.names:
        yield field.split(".")[0]
    if index.where is not None:
        yield from _keys(values.loads(index.where))


def _keys(filter: Any) -> Iterator[str]:
    if isinstance(filter, dict):
        for key, inner in filter.items():
            yield key.split(".")[0]
            yield from _keys(inner)
    elif isinstance(filter, list):
        for item in filter:
            yield from _keys(item)


@lru_cache(maxsize=1024)
def _where(text: str) -> Node:
    return parse(values.loads(text))


def _literal(node: Node, rows: Rows) -> sql.Composable:
    """The filter with its values as constants: no parameter may stand in an index."""
    node = _one_by_one(node)
    condition = compile_condition(node, rows)
    given = condition.bind(node)

    def constant(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        return sql.Literal(given[found[1]]).as_string(None).replace("%", "%%")

    return sql.SQL(_PLACEHOLDER.sub(constant, condition.sql.as_string(None)))


def _one_by_one(node: Node) -> Node:
    """The same filter without `$in`: its SQL has a subquery, which no index takes."""
    match node:
        case And(parts):
            return And(tuple(map(_one_by_one, parts)))
        case Or(parts):
            return Or(tuple(map(_one_by_one, parts)))
        case Not(part):
            return Not(_one_by_one(part))
        case In(path, candidates):
            return Or(tuple([Compare(path, "eq", value) for value in candidates]))
    return node


def with_implied(node: Node, indexes: Iterable[Index]) -> Node:
    """The same filter, together with the conditions of the indexes that can answer it."""
    found = [
        Implied(index.name, partial(predicate, index))
        for index in indexes
        if index.is_partial and index.state == "ready" and _implies(node, index)
    ]
    return And((node, *found)) if found else node


def _implies(node: Node, index: Index) -> bool:
    parts = list(_parts(node))
    if index.sparse and (index.multikey or not any(_asks(part, index) for part in parts)):
        return False
    if index.where is None:
        return True
    # Not by ==: to Python 1 is True.
    given = {repr(part) for part in parts}
    return all(repr(part) in given for part in _parts(_where(index.where)))


def _parts(node: Node) -> Iterator[Node]:
    """The conditions that all have to hold."""
    if isinstance(node, And):
        for part in node.parts:
            yield from _parts(part)
    else:
        yield node


def _asks(node: Node, index: Index) -> bool:
    """Whether the condition holds only for documents that have one of the index's fields."""
    match node:
        case Compare(path, _, value):
            return value is not None and ".".join(path) in index.names
        case In(path, candidates):
            return None not in candidates and ".".join(path) in index.names
        case Exists(path):
            return ".".join(path) in index.names
    return False
