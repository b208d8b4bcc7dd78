"""Sorting: MongoDB's order across types, the same in SQL and as a key in Python.

The order of `documents.query.order`, but what is missing sorts as null, and an array by its lowest
element (the highest in descending order), an empty one before everything. Ties are broken by
`_id`, in the direction of the last field, so one index serves a sort and its reverse.

A key is a text that orders all types and a number, 0 for what is none: numbers are compared as
such rather than by a text.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cmp_to_key
from typing import Any, Final, Literal, TypeAlias

from psycopg import sql

from documents import dates
from documents.query import columns, order, paths
from documents.query.paths import MISSING
from documents.query.problems import invalid_query
from documents.query.rows import Rows
from documents.query.to_sql import Parameters

Direction: TypeAlias = Literal[1, -1]
Key: TypeAlias = tuple[tuple[str, int | Decimal], ...]  # one (text, number) for each sort field

MAX_FIELDS: Final = 8
MAX_NAME: Final = 1000  # characters: a path stands in the statement again and again
_NUMBER: Final = re.compile(r"-?[0-9]{1,20000}(\.[0-9]{1,20000})?([eE][+-]?[0-9]{1,5})?")
# System fields that are never null: a cursor keeps them as they are.
_PLAIN: Final = frozenset({"_id", "_version", "_createdAt", "_updatedAt"})


@dataclass(frozen=True, slots=True)
class Sort:
    """Fields and directions, `_id` always the last."""

    fields: tuple[tuple[str, Direction], ...]


BY_ID: Final = Sort((("_id", 1),))


def parse(spec: Any) -> Sort:
    """From `["-a", "b"]`, `"-a,b"` or `{"a": -1, "b": 1}`. Raises Malformed `invalid_query`."""
    if spec is None or spec in ("", [], {}):
        return BY_ID
    fields: list[tuple[str, Direction]] = []
    if isinstance(spec, str):
        spec = spec.split(",")
    if isinstance(spec, dict):
        for name, direction in spec.items():
            if isinstance(direction, bool) or direction not in (1, -1):
                raise invalid_query("a sort direction is 1 or -1", "sort")
            fields.append((name, 1 if direction > 0 else -1))
    elif isinstance(spec, list) and all(isinstance(name, str) for name in spec):
        fields = [(name[1:], -1) if name.startswith("-") else (name, 1) for name in spec]
    else:
        raise invalid_query('sort is ["-a", "b"] or {"a": -1, "b": 1}', "sort")
    if len(fields) > MAX_FIELDS:
        raise invalid_query(f"sort takes {MAX_FIELDS} fields at most", "sort")
    kept: list[tuple[str, Direction]] = []
    for name, direction in fields:
        if len(name) > MAX_NAME:
            raise invalid_query(f"a field to sort by has at most {MAX_NAME} characters", "sort")
        paths.parse(name)
        if name in dict(kept):
            raise invalid_query(f"sort names {name!r} twice", "sort")
        kept.append((name, direction))
        if name == "_id":
            break  # unique: what comes after it cannot matter
    else:
        kept.append(("_id", kept[-1][1]))
    return Sort(tuple(kept))


# In Python


def key(sort: Sort, document: dict[str, Any]) -> Key:
    """Where a document (wire form) stands: compare two with `compare`, or sort by `sort_key`."""
    return tuple([_field_key(document, field, direction) for field, direction in sort.fields])


def compare(sort: Sort, left: Key, right: Key) -> int:
    """Negative when `left` comes first."""
    for (_, direction), a, b in zip(sort.fields, left, right, strict=True):
        if a != b:
            return -direction if a < b else direction
    return 0


def sort_key(sort: Sort) -> Any:
    """A `key=` function over `key(...)` values, for sorted() and bisect."""
    return cmp_to_key(lambda a, b: compare(sort, a, b))


def _field_key(
    document: dict[str, Any], field: str, direction: Direction
) -> tuple[str, int | Decimal]:
    path = tuple(field.split("."))
    candidates: list[tuple[str, int | Decimal]] = []
    for value in paths.reach(document, path):
        if isinstance(value, list):
            candidates += map(_value_key, value) if value else [(order.LEAST, 0)]
        else:
            candidates.append(_value_key(value))
    if not candidates:
        return (order.NULL, 0)
    return max(candidates) if direction < 0 else min(candidates)


def _value_key(value: Any) -> tuple[str, int | Decimal]:
    if value is None or value is MISSING:
        return (order.NULL, 0)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return (order.NUMBER, value)
    return (order.text(value), 0)


# In SQL


def expressions(field: str, direction: Direction, rows: Rows) -> list[sql.Composable]:
    """What orders the rows by a field: compared one after the other, all in `direction`."""
    if rows.is_table and field in columns.SYSTEM:
        return columns.keys(field, rows.alias)
    path = tuple(field.split("."))
    rows = rows.facing(path)
    if field in rows.scalars:
        return columns.value_keys(columns.value(path, rows.doc))
    lowest_or_highest = sql.SQL("documents_sort_value({}, {}, {})").format(
        rows.doc, columns.path_array(path), sql.SQL("true" if direction < 0 else "false")
    )
    ranks = columns.rank_keys(lowest_or_highest)
    if paths.has_index(path):
        return ranks
    # The planner puts the keys of a plain value in line, which it cannot with a function call.
    plain = columns.value_keys(columns.value(path, rows.doc))
    test = columns.without_array(path, rows.doc)
    return [
        sql.SQL("(CASE WHEN {} THEN {} ELSE {} END)").format(test, key, rank)
        for key, rank in zip(plain, ranks, strict=True)
    ]


def order_by(sort: Sort, rows: Rows) -> sql.Composable:
    """The terms of ORDER BY."""
    return sql.SQL(", ").join(
        [
            sql.SQL("{} {}").format(expression, sql.SQL("DESC" if direction < 0 else "ASC"))
            for field, direction in sort.fields
            for expression in expressions(field, direction, rows)
        ]
    )


def position(sort: Sort, document: dict[str, Any]) -> list[Any]:
    """What a cursor keeps of the last document of a page: JSON-serialisable."""
    kept: list[Any] = []
    for (field, _), (text, number) in zip(sort.fields, key(sort, document), strict=True):
        if field in _PLAIN:
            kept.append(str(document[field]))
        else:
            kept.append([text, str(number)] if text == "2" else text)
    return kept


def after(sort: Sort, position: Any, parameters: Parameters, rows: Rows) -> sql.Composable:
    """The condition for the rows of a table that come behind a position of `position`.

    Raises Malformed for a foreign one.
    """
    if not isinstance(position, list) or len(position) != len(sort.fields):
        raise invalid_query("the cursor belongs to another query", "cursor")
    condition: sql.Composable | None = None
    for (field, direction), place in reversed(list(zip(sort.fields, position, strict=True))):
        behind, same = _behind(field, direction, place, parameters, rows)
        condition = (
            behind
            if condition is None
            else sql.SQL("({} OR ({} AND {}))").format(behind, same, condition)
        )
    assert condition is not None  # noqa: S101 - _id is always there
    return condition


def _behind(
    field: str,
    direction: Direction,
    place: Any,
    parameters: Parameters,
    rows: Rows,
) -> tuple[sql.Composable, sql.Composable]:
    """What comes behind the place, and what stands at it."""
    symbol = sql.SQL("<" if direction < 0 else ">")
    keys = expressions(field, direction, rows)
    if field in _PLAIN:
        if not isinstance(place, str):
            raise invalid_query("the cursor belongs to another query", "cursor")
        bound = (
            parameters.add(place, "text")
            if field == "_id"
            else parameters.add(_number(place), "numeric")
            if field == "_version"
            else parameters.add(_time(place), "timestamptz")
        )
        (column,) = keys
        return (
            sql.SQL("{} {} {}").format(column, symbol, bound),
            sql.SQL("{} = {}").format(column, bound),
        )
    text, number = place if isinstance(place, list) and len(place) == 2 else (place, None)
    if not isinstance(text, str) or "\0" in text:
        raise invalid_query("the cursor belongs to another query", "cursor")
    bound = parameters.add(text, "text")
    behind = sql.SQL("{} {} {}").format(keys[0], symbol, bound)
    same = sql.SQL("{} = {}").format(keys[0], bound)
    if number is not None and len(keys) == 2:
        amount = parameters.add(_number(number), "numeric")
        behind = sql.SQL("({} OR ({} AND {} {} {}))").format(behind, same, keys[1], symbol, amount)
        same = sql.SQL("({} AND {} = {})").format(same, keys[1], amount)
    return behind, same


def _number(text: Any) -> str:
    if not isinstance(text, str) or _NUMBER.fullmatch(text) is None:
        raise invalid_query("the cursor belongs to another query", "cursor")
    return text


def _time(text: str) -> str:
    try:
        return dates.canonical(text)
    except ValueError as error:
        raise invalid_query("the cursor belongs to another query", "cursor") from error
