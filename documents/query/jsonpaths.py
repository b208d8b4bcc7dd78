"""Conditions as jsonpath, whose lax mode opens one level of arrays at each step as MongoDB does.

`type()` looks at a value without opening it, which keeps arrays of arrays apart.
"""

import json
from typing import Any

from psycopg import sql

from documents import values
from documents.query import columns
from documents.query.ast import Operator, Path
from documents.query.fragments import SYMBOLS
from documents.query.leaves import Add, Kind
from documents.query.rows import Rows


def compare(rows: Rows, path: Path, op: Operator, kind: Kind, add: Add) -> sql.Composable:
    """With null (only "eq"), a boolean, a number, a text or a date, on a path without indexes."""
    if kind == "null":
        return _exists(rows.doc, _null(path))
    return _exists(rows.doc, _steps(path) + _test(op, kind), add(_variables, "jsonb"))


def exists(rows: Rows, path: Path) -> sql.Composable:
    """On a path without indexes."""
    return _exists(rows.doc, _steps(path))


def _exists(
    doc: sql.Composable, path: str, variables: sql.Composable | None = None
) -> sql.Composable:
    # In silent mode errors (a number against a text) are "no", as they should be.
    return sql.SQL("coalesce(jsonb_path_exists({}, {}::jsonpath, {}, true), false)").format(
        doc, columns.literal(path), variables or sql.SQL("'{}'")
    )


def _steps(path: Path) -> str:
    return "$" + "".join(["." + json.dumps(step) for step in path])


def _test(op: Operator, kind: Kind) -> str:
    """A jsonpath filter: the type is asked first, because comparisons would open arrays."""
    symbol = "==" if op == "eq" else SYMBOLS[op]
    if kind == "date":
        return f' ? (@.type() == "object" && @."$date" {symbol} $v)'
    return f' ? (@.type() == "{kind}" && @ {symbol} $v)'


def _variables(value: Any) -> str:
    bare = value["$date"] if isinstance(value, dict) else value
    return values.dumps({"v": bare}).decode()


def _null(path: Path) -> str:
    """True where the path leads to null, or to nothing: a step is missing in an object, or the
    way ends in something that has no fields (a date is an object to jsonpath only)."""
    tests = [f'exists({_steps(path)} ? (@.type() == "null"))']
    for end in range(len(path)):
        parent = _steps(path[:end])
        step = json.dumps(path[end])
        tests.append(f"exists({parent} ? ({_IS_OBJECT} && !exists(@.{step})))")
        if end:
            tests.append(f'exists({parent}.type() ? (@ != "object" && @ != "array"))')
            # An array at the parent is not opened here: what stands in it does not count.
            last = json.dumps(path[end - 1])
            tests.append(
                f'exists({_steps(path[: end - 1])} ? (@.{last}.type() == "object"'
                f' && (exists(@.{last}."$date") || exists(@.{last}."$binary"))))'
            )
    return f"$ ? ({' || '.join(tests)})"


_IS_OBJECT = '@.type() == "object" && !exists(@."$date") && !exists(@."$binary")'
