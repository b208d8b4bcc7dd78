"""Conditions on the system fields of a table, which are columns."""

from collections.abc import Collection
from typing import Any, Final

from psycopg import sql

from documents.query import columns, regexes
from documents.query.ast import Operator, Path
from documents.query.fragments import FALSE, symbol
from documents.query.leaves import Add, Kind, kind
from documents.query.rows import Rows

_TIMES: Final = frozenset({"_createdAt", "_updatedAt"})
_TEXTS: Final = frozenset({"_id", "_owner"})


def has(rows: Rows, path: Path) -> bool:
    return rows.is_table and len(path) == 1 and path[0] in columns.SYSTEM


def compare(rows: Rows, field: str, op: Operator, kind: Kind, add: Add) -> sql.Composable:
    column = rows.column(columns.SYSTEM[field])
    if field in _TIMES:
        if kind != "date":
            return FALSE
        return sql.SQL("{} {} {}").format(column, symbol(op), add(_date, "timestamptz"))
    if field == "_version":
        if kind != "number":
            return FALSE
        return sql.SQL("{} {} {}").format(column, symbol(op), add(str, "numeric"))
    if field == "_owner" and kind == "null":
        return sql.SQL("{} IS NULL").format(column)
    if kind != "string":
        return FALSE
    text = add(str, "text")
    if field == "_id":
        return sql.SQL("{} {} {}").format(column, symbol(op), text)
    return sql.SQL("({0} IS NOT NULL AND {0} {1} {2})").format(column, symbol(op), text)


def is_in(rows: Rows, field: str, kinds: Collection[Kind], add: Add) -> sql.Composable:
    """The value is one of a leaf's."""
    column = rows.column(columns.SYSTEM[field])
    if field in _TIMES:
        some = add(_dates, "timestamptz[]")
    elif field == "_version":
        some = add(_numbers, "numeric[]")
    else:
        some = add(_strings, "text[]")
    found = sql.SQL("{} = ANY({})").format(column, some)
    if field != "_owner":
        return found
    null = sql.SQL("{} IS NULL").format(column) if "null" in kinds else FALSE
    return sql.SQL("({} OR ({} IS NOT NULL AND {}))").format(null, column, found)


def matches(rows: Rows, field: str, pattern: sql.Composable, add: Add | None) -> sql.Composable:
    """`add` is given when all matches begin with a text that is known."""
    if field not in _TEXTS:
        return FALSE
    column = rows.column(columns.SYSTEM[field])
    found = sql.SQL("coalesce({} ~ {}, false)").format(column, pattern)
    if field != "_id" or add is None:
        return found
    return sql.SQL("({column} >= {low} AND {column} < {high} AND {found})").format(
        column=column,
        low=add(lambda regex: _prefix(regex), "text"),
        high=add(lambda regex: regexes.behind(_prefix(regex)), "text"),
        found=found,
    )


def _prefix(regex: Any) -> str:
    return regexes.prefix(regex.pattern, regex.options)


def _date(value: Any) -> str:
    text: str = value["$date"]
    return text


def _dates(candidates: Any) -> list[str]:
    return [value["$date"] for value in candidates if kind(value) == "date"]


def _numbers(candidates: Any) -> list[str]:
    return [str(value) for value in candidates if kind(value) == "number"]


def _strings(candidates: Any) -> list[str]:
    return [value for value in candidates if isinstance(value, str)]
