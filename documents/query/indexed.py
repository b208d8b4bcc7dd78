"""Conditions in the terms of a declared index, for fields that have no array on their way."""

from collections.abc import Collection
from typing import Any, Final, LiteralString

from psycopg import sql

from documents.query import columns, order, regexes
from documents.query.ast import Operator, Path
from documents.query.fragments import FALSE, join, symbol
from documents.query.leaves import Add, Kind, kind
from documents.query.rows import Rows

# The first character of documents_sort_text for each type (documents.query.order), and what comes
# after all of its kind.
_BRACKETS: Final[dict[Kind, tuple[LiteralString, LiteralString]]] = {
    "string": ("3", "4"),
    "object": ("4", "5"),
    "binary": ("6", "7"),
    "boolean": ("8", "9"),
    "date": ("9", ":"),
}


def sort_text(value: Any) -> str:
    """What `documents_sort_text` makes of a value that is no array."""
    return order.NUMBER if kind(value) == "number" else order.text(value)


def compare(rows: Rows, path: Path, op: Operator, kind: Kind, add: Add) -> sql.Composable:
    """With a value that is no array."""
    text, number = _keys(rows, path)
    if kind == "null":
        return sql.SQL("({} = '1' AND {} = 0)").format(text, number)
    if kind == "number":
        return sql.SQL("({} = '2' AND {} {} {})").format(
            text, number, symbol(op), add(str, "numeric")
        )
    start, end = _BRACKETS[kind]
    bound = add(sort_text, "text")
    if op == "eq":
        return sql.SQL("({} = {} AND {} = 0)").format(text, bound, number)
    if op in ("gt", "gte"):
        return sql.SQL("({} {} {} AND {} < {})").format(
            text, symbol(op), bound, text, sql.Literal(end)
        )
    return sql.SQL("({} {} {} AND {} >= {})").format(
        text, symbol(op), bound, text, sql.Literal(start)
    )


def is_in(rows: Rows, path: Path, kinds: Collection[Kind], add: Add) -> sql.Composable:
    """The value is one of a leaf's; arrays among them find nothing."""
    text, number = _keys(rows, path)
    parts: list[sql.Composable] = []
    if "number" in kinds:
        some = add(_numbers, "numeric[]")
        parts.append(sql.SQL("({} = '2' AND {} = ANY({}))").format(text, number, some))
    if not {"array", "number"}.issuperset(kinds):
        parts.append(sql.SQL("{} = ANY({})").format(text, add(_sort_texts, "text[]")))
    return join(" OR ", parts, FALSE)


def begins(rows: Rows, path: Path, add: Add) -> sql.Composable:
    """The value is a text that begins as all matches of a leaf's pattern do."""
    text, _ = _keys(rows, path)
    return sql.SQL("({} >= {} AND {} < {})").format(
        text,
        add(lambda regex: sort_text(_prefix(regex)), "text"),
        text,
        add(lambda regex: sort_text(regexes.behind(_prefix(regex))), "text"),
    )


def _prefix(regex: Any) -> str:
    return regexes.prefix(regex.pattern, regex.options)


def _keys(rows: Rows, path: Path) -> list[sql.Composable]:
    return columns.value_keys(columns.value(path, rows.doc))


def _numbers(candidates: Any) -> list[str]:
    return [str(value) for value in candidates if kind(value) == "number"]


def _sort_texts(candidates: Any) -> list[str]:
    return [sort_text(value) for value in candidates if kind(value) not in ("number", "array")]
