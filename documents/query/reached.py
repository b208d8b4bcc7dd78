"""Conditions by a test of each value that a path reaches: the general way.

A test makes SQL of a jsonb expression that is NULL for what is missing; it is true or false.
"""

from collections.abc import Callable, Collection
from typing import Any, Final, LiteralString, TypeAlias

from psycopg import sql

from documents import values
from documents.query import columns, order
from documents.query.ast import Operator, Path, TypeName
from documents.query.fragments import FALSE, join, symbol
from documents.query.leaves import Add, Kind
from documents.query.rows import Rows

Test: TypeAlias = Callable[[sql.Composable], sql.Composable]

_OF_TYPE: Final[dict[TypeName, LiteralString]] = {
    "null": "jsonb_typeof({}) = 'null'",
    "number": "jsonb_typeof({}) = 'number'",
    "string": "jsonb_typeof({}) = 'string'",
    "array": "jsonb_typeof({}) = 'array'",
    "boolean": "jsonb_typeof({}) = 'boolean'",
    "date": "(jsonb_typeof({0}) = 'object' AND {0} ? '$date')",
    "binary": "(jsonb_typeof({0}) = 'object' AND {0} ? '$binary')",
    "object": "(jsonb_typeof({0}) = 'object' AND documents_is_plain({0}))",
    "whole": (
        "CASE jsonb_typeof({0}) WHEN 'number' THEN {0}::numeric = trunc({0}::numeric)"
        " ELSE false END"
    ),
}


def any_value(rows: Rows, path: Path, test: Test) -> sql.Composable:
    """Some value that the path reaches passes, or an element of an array there."""
    if not path:
        return test(rows.doc)
    value = _value(rows, path)
    if len(path) == 1:
        return sql.SQL(
            "({whole} OR (jsonb_typeof({value}) IS NOT DISTINCT FROM 'array' AND EXISTS"
            " (SELECT FROM {items} AS i(v) WHERE {one})))"
        ).format(whole=test(value), value=value, items=_items(value), one=test(_column("i")))
    return sql.SQL(
        "CASE WHEN {scalar} THEN {whole} ELSE EXISTS (SELECT FROM"
        " documents_reach({doc}, {path}, true) AS r(x), LATERAL (SELECT r.x UNION ALL"
        " SELECT a.e FROM {items} AS a(e)) AS i(v) WHERE {one}) END"
    ).format(
        scalar=columns.without_array(path, rows.doc),
        whole=test(value),
        doc=rows.doc,
        path=columns.path_array(path),
        items=_items(sql.Identifier("r", "x")),
        one=test(_column("i")),
    )


def some_reached(rows: Rows, path: Path, test: Test) -> sql.Composable:
    """Some value that the path reaches passes, arrays as they are."""
    if not path:
        return test(rows.doc)
    if len(path) == 1:
        return test(_value(rows, path))
    return sql.SQL(
        "EXISTS (SELECT FROM documents_reach({doc}, {path}, true) AS i(v) WHERE {one})"
    ).format(doc=rows.doc, path=columns.path_array(path), one=test(_column("i")))


def some_element(
    rows: Rows, path: Path, alias: str, condition: sql.Composable, of_objects: bool
) -> sql.Composable:
    """An element of an array at the path fulfils the condition on the rows named `alias`."""
    name = sql.Identifier(alias)
    if of_objects:
        found = sql.SQL(
            "{items} AS i(v), LATERAL documents_as_document(i.v) AS {name}(doc)"
            " WHERE {name}.doc IS NOT NULL AND {condition}"
        )
    else:
        found = sql.SQL("{items} AS {name}(doc) WHERE {condition}")
    if len(path) < 2:
        value = _value(rows, path) if path else rows.doc
        return sql.SQL("EXISTS (SELECT FROM {})").format(
            found.format(items=_items(value), name=name, condition=condition)
        )
    return sql.SQL("EXISTS (SELECT FROM documents_reach({}, {}, true) AS r(x), LATERAL {})").format(
        rows.doc,
        columns.path_array(path),
        found.format(items=_items(sql.Identifier("r", "x")), name=name, condition=condition),
    )


def compare(rows: Rows, path: Path, op: Operator, kind: Kind, add: Add) -> sql.Composable:
    return any_value(rows, path, _compares(op, kind, add))


def is_in(rows: Rows, path: Path, kinds: Collection[Kind], add: Add) -> sql.Composable:
    """Some value that the path reaches, or an element of an array there, is one of a leaf's."""
    if not kinds:
        return FALSE
    some = add(_list, "jsonb[]")

    def test(v: sql.Composable) -> sql.Composable:
        found = sql.SQL("coalesce({} = ANY({}), false)").format(v, some)
        if "null" not in kinds:
            return found
        return sql.SQL("({} IS NULL OR {})").format(v, found)

    return any_value(rows, path, test)


def _compares(op: Operator, kind: Kind, add: Add) -> Test:
    if kind == "null":
        return lambda v: sql.SQL("({0} IS NULL OR jsonb_typeof({0}) = 'null')").format(v)
    if op == "eq":
        same = add(_json, "jsonb")
        return lambda v: sql.SQL("coalesce({} = {}, false)").format(v, same)
    of_kind = sql.SQL(_OF_TYPE[kind])
    if kind in ("number", "boolean"):
        # Of the same type jsonb compares as we do.
        bound = add(_json, "jsonb")
        return lambda v: sql.SQL("coalesce({} AND {} {} {}, false)").format(
            of_kind.format(v), v, symbol(op), bound
        )
    bound = add(order.text, "text")
    return lambda v: sql.SQL("coalesce({} AND {} {} {}, false)").format(
        of_kind.format(v), columns.order_key(v), symbol(op), bound
    )


def is_of_type(v: sql.Composable, types: frozenset[TypeName]) -> sql.Composable:
    tests: list[sql.Composable] = [sql.SQL(_OF_TYPE[name]).format(v) for name in sorted(types)]
    if not tests:
        return FALSE
    return sql.SQL("coalesce({}, false)").format(join(" OR ", tests, FALSE))


def matches(v: sql.Composable, pattern: sql.Composable) -> sql.Composable:
    return sql.SQL(
        "coalesce(jsonb_typeof({0}) = 'string' AND ({0} #>> '{{}}') ~ {1}, false)"
    ).format(v, pattern)


def leaves_remainder(
    v: sql.Composable, divisor: sql.Composable, remainder: sql.Composable
) -> sql.Composable:
    return sql.SQL(
        "CASE jsonb_typeof({0}) WHEN 'number' THEN mod(trunc({0}::numeric), {1}) = {2}"
        " ELSE false END"
    ).format(v, divisor, remainder)


def is_of_size(v: sql.Composable, size: sql.Composable) -> sql.Composable:
    return sql.SQL(
        "CASE jsonb_typeof({0}) WHEN 'array' THEN jsonb_array_length({0}) = {1} ELSE false END"
    ).format(v, size)


def is_there(v: sql.Composable) -> sql.Composable:
    return sql.SQL("({} IS NOT NULL)").format(v)


def _value(rows: Rows, path: Path) -> sql.Composable:
    """The jsonb at a path of objects."""
    return rows.field(path[0]) if len(path) == 1 else columns.value(path, rows.doc)


def _items(value: sql.Composable) -> sql.Composable:
    return sql.SQL(
        "jsonb_array_elements(CASE jsonb_typeof({0}) WHEN 'array' THEN {0} ELSE '[]' END)"
    ).format(value)


def _column(alias: str) -> sql.Composable:
    return sql.Identifier(alias, "v")


def _list(candidates: Any) -> list[str]:
    return list(map(_json, candidates))


def _json(value: Any) -> str:
    return values.dumps(value).decode()
