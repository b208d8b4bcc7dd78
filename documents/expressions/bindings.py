"""Expressions that name values: `$let`, `$map`, `$filter`, `$reduce`; and `$sortArray`.

A named value is a column of a subquery, so it is computed once and stands once in the text.
OFFSET 0 keeps the planner from putting the expression back in the places of the name.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from psycopg import sql

from documents.expressions import ast
from documents.expressions.code import Code, call
from documents.expressions.compiler import Compiler
from documents.query import columns


def let(compiler: Compiler, node: ast.Let) -> Code:
    if not node.variables:
        return compiler.code(node.body)
    alias = compiler.alias()
    made: list[sql.Composable] = []
    names: dict[str, sql.Composable] = {}
    for place, (name, value) in enumerate(node.variables):
        column = f"v{place}"
        made.append(sql.SQL("{} AS {}").format(compiler.json(value), sql.Identifier(column)))
        names[name] = sql.Identifier(alias, column)
    body = compiler.having(names).code(node.body)
    text = sql.SQL("(SELECT {} FROM (SELECT {} OFFSET 0) AS {})").format(
        body.text, sql.SQL(", ").join(made), sql.Identifier(alias)
    )
    return Code(text, body.kind, optional=body.optional)


def map_items(compiler: Compiler, node: ast.Map) -> Code:
    items = _Items(compiler)
    body = compiler.having({node.variable: items.item}).code(node.body)
    order = sql.SQL("ORDER BY {}").format(items.place)
    own = isinstance(node.body, ast.Path) and node.body.variable == node.variable
    if own or body.kind in ("number", "boolean"):
        return items.array_of(node.input, "$map", body.json, order)
    return items.array_of(node.input, "$map", body.json, order, bounded=True)


def filter_items(compiler: Compiler, node: ast.Filter) -> Code:
    items = _Items(compiler)
    condition = compiler.having({node.variable: items.item}).truth(node.condition)
    tail = sql.SQL("WHERE {} ORDER BY {}").format(condition, items.place)
    if node.limit is not None:
        tail = sql.SQL("{} LIMIT {}").format(
            tail, call("documents_limit", compiler.json(node.limit))
        )
    return items.array_of(node.input, "$filter", items.item, tail)


def sort_array(compiler: Compiler, node: ast.SortArray) -> Code:
    items = _Items(compiler)
    keys: list[sql.Composable] = []
    for path, direction in node.by:
        down = direction < 0
        key = (
            call(
                "documents_sort_key",
                items.item,
                columns.path_array(path),
                sql.SQL("true" if down else "false"),
            )
            if path
            else call("documents_order_text", items.item)
        )
        keys.append(sql.SQL('{} COLLATE "C" {}').format(key, sql.SQL("DESC" if down else "ASC")))
    order = sql.SQL("ORDER BY {}").format(sql.SQL(", ").join([*keys, items.place]))
    return items.array_of(node.input, "$sortArray", items.item, order)


class _Items:
    """The elements of an array as rows."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self._whole, self._each = compiler.alias(), compiler.alias()

    @property
    def item(self) -> sql.Composable:
        return sql.Identifier(self._each, "v")

    @property
    def _array(self) -> sql.Composable:
        return sql.Identifier(self._whole, "a")

    @property
    def place(self) -> sql.Composable:
        return sql.Identifier(self._each, "n")

    def array_of(
        self,
        input: ast.Node,
        operator: str,
        made: sql.Composable,
        tail: sql.Composable,
        bounded: bool = False,
    ) -> Code:
        """The array of what is made of each element; null when the input is null or missing.

        `bounded`: what is made may be large, and too much of it fails on the way.
        """
        rows = sql.SQL(
            "SELECT {made} AS v FROM jsonb_array_elements({array}) WITH ORDINALITY AS {each}(v, n)"
            " {tail}"
        ).format(made=made, array=self._array, each=sql.Identifier(self._each), tail=tail)
        collected = sql.SQL("ARRAY({})").format(rows)
        if bounded:
            # Aggregates take in one row after the other: the size fails before memory is full.
            collected = sql.SQL(
                "(SELECT CASE WHEN documents_size_of_all(pg_column_size(v)) >= 0"
                " THEN coalesce(array_agg(v), '{{}}') END FROM ({} OFFSET 0) AS {})"
            ).format(rows, sql.Identifier(self._compiler.alias()))
        text = sql.SQL(
            "(SELECT CASE WHEN {array} IS NULL THEN 'null' ELSE to_jsonb({collected}) END"
            " FROM (SELECT {input} AS a OFFSET 0) AS {whole})"
        ).format(
            array=self._array,
            collected=collected,
            input=_array(self._compiler, input, operator),
            whole=sql.Identifier(self._whole),
        )
        return Code(text)


def reduce_items(compiler: Compiler, node: ast.Reduce) -> Code:
    whole, fold, item = compiler.alias(), compiler.alias(), compiler.alias()
    body = compiler.having(
        {"value": sql.Identifier(fold, "v"), "this": sql.Identifier(item, "v")}
    ).json(node.body)
    text = sql.SQL(
        "(SELECT CASE WHEN {array} IS NULL THEN 'null' ELSE ("
        "WITH RECURSIVE {fold}(n, v, total) AS (SELECT 0, {initial}, 0::bigint UNION ALL"
        " SELECT {n} + 1, documents_bounded({body}, {total}),"
        " {total} + coalesce(pg_column_size({v}), 0)"
        " FROM {fold}, LATERAL (SELECT {array} -> {n} AS v OFFSET 0) AS {item}"
        " WHERE {n} < jsonb_array_length({array}))"
        " SELECT {v} FROM {fold} WHERE {n} = jsonb_array_length({array})) END"
        " FROM (SELECT {input} AS a OFFSET 0) AS {whole})"
    ).format(
        array=sql.Identifier(whole, "a"),
        fold=sql.Identifier(fold),
        initial=compiler.json(node.initial),
        n=sql.Identifier(fold, "n"),
        v=sql.Identifier(fold, "v"),
        total=sql.Identifier(fold, "total"),
        body=body,
        item=sql.Identifier(item),
        input=_array(compiler, node.input, "$reduce"),
        whole=sql.Identifier(whole),
    )
    return Code(text, optional=True)


def _array(compiler: Compiler, node: ast.Node, operator: str) -> sql.Composable:
    """jsonb: an array, or NULL for null and missing; an error for what is none."""
    return call("documents_array", compiler.json(node), columns.literal(operator))


NODES: Final[Mapping[type, Callable[[Compiler, Any], Code]]] = {
    ast.Let: let,
    ast.Map: map_items,
    ast.Filter: filter_items,
    ast.Reduce: reduce_items,
    ast.SortArray: sort_array,
}
