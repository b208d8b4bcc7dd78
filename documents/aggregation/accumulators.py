"""The accumulators of `$group` as aggregates of PostgreSQL."""

from decimal import Decimal
from typing import Final, LiteralString

from psycopg import sql

from documents import expressions
from documents.aggregation.ast import Accumulator
from documents.aggregation.block import (
    MAX_GATHERED,
    MAX_KEPT,
    Block,
    Closing,
    Context,
    Term,
    order_by,
)
from documents.aggregation.fields import scope
from documents.expressions.ast import Constant
from documents.query import sort

# Each takes in `{v}`, a column that is numeric: NULL for what is no number.
_OF_NUMBERS: Final[dict[str, LiteralString]] = {
    "sum": "coalesce(to_jsonb(trim_scale(sum({v}))), '0')",
    "avg": "coalesce(to_jsonb(trim_scale(avg({v}))), 'null')",
    "stdDevPop": "coalesce(to_jsonb(trim_scale(stddev_pop({v}))), 'null')",
    "stdDevSamp": "coalesce(to_jsonb(trim_scale(stddev_samp({v}))), 'null')",
}
_FIRST: Final = "coalesce((array_agg({v}{order}))[1], 'null')"
_FIRST_N: Final = "to_jsonb((array_agg(coalesce({v}, 'null'){order}))[1:{n}])"
_LAST_N: Final = (
    "(SELECT jsonb_agg(x ORDER BY place DESC) FROM unnest((array_agg(coalesce({v}, 'null'){order}))"
    "[1:{n}]) WITH ORDINALITY AS last(x, place))"
)
# By type in the order of types: numbers, texts, all others.
_LOWEST_OF: Final[tuple[LiteralString, ...]] = (
    "to_jsonb({m}(CASE jsonb_typeof({v}) WHEN 'number' THEN {v}::numeric END))",
    "to_jsonb({m}(({v} #>> '{{}}') COLLATE \"C\") FILTER (WHERE jsonb_typeof({v}) = 'string'))",
    '({m}(ARRAY[documents_order_text({v}) COLLATE "C", {v}::text])'
    " FILTER (WHERE jsonb_typeof({v}) IN ('object', 'array', 'boolean')))[2]::jsonb",
)
_SOME_N: Final = (
    'coalesce(to_jsonb((array_agg({v} ORDER BY documents_order_text({v}) COLLATE "C" {way})'
    " FILTER (WHERE {v} <> 'null'))[1:{n}]), '[]')"
)
# Each takes in `{v}`, a column of jsonb.
_OF_VALUES: Final[dict[str, LiteralString]] = {
    "min": "coalesce(" + ", ".join(_LOWEST_OF).replace("{m}", "min") + ", 'null')",
    "max": "coalesce(" + ", ".join(_LOWEST_OF[::-1]).replace("{m}", "max") + ", 'null')",
    "minN": _SOME_N.replace("{way}", "ASC"),
    "maxN": _SOME_N.replace("{way}", "DESC"),
    "first": _FIRST,
    "last": _FIRST,  # of the rows in reverse, as the other lasts and bottoms
    "top": _FIRST,
    "bottom": _FIRST,
    "firstN": _FIRST_N,
    "lastN": _LAST_N,
    "topN": _FIRST_N,
    "bottomN": _LAST_N,
    "push": "coalesce(jsonb_agg({v}{order}) FILTER (WHERE {v} IS NOT NULL), '[]')",
    "addToSet": "coalesce(jsonb_agg(DISTINCT {v}) FILTER (WHERE {v} IS NOT NULL), '[]')",
    "mergeObjects": "documents_merged(array_agg({v}{order}) FILTER (WHERE {v} <> 'null'))",
}

# Those that keep one value at a time, and those that keep all to give one.
_SMALL: Final = frozenset({"min", "max"})
_ONE_OF_ALL: Final = frozenset({"first", "last", "top", "bottom"})


def compile_accumulator(
    context: Context,
    accumulator: Accumulator,
    block: Block,
    closing: Closing,
    order: tuple[Term, ...],
) -> sql.Composable:
    """The aggregate, jsonb and never NULL, over the rows of the closed block, in their order.

    What it takes in becomes columns of `closing`.
    """
    name, argument = accumulator.name, accumulator.argument
    if argument is None:
        return sql.SQL("to_jsonb(count(*))")
    here = scope(context, block)
    if name == "sum" and isinstance(argument, Constant):
        return _sum_of_constant(argument)
    if name in _OF_NUMBERS:
        column = closing.add(expressions.number(argument, here))
        return sql.SQL(_OF_NUMBERS[name]).format(v=column)
    code = expressions.to_sql(argument, here)
    if name in _SMALL:
        column = closing.add(code)
    else:
        column = closing.gather(code, MAX_KEPT if name in _ONE_OF_ALL else MAX_GATHERED)
    if accumulator.by is not None:
        own = tuple(
            [
                Term(closing.add(expression), direction)
                for field, direction in accumulator.by.fields
                for expression in sort.expressions(field, direction, block.rows)
            ]
        )
        order = (*own, *order)
    if name.startswith(("last", "bottom")):
        order = tuple([Term(term.sql, 1 if term.direction < 0 else -1) for term in order])
    ordered = sql.SQL(" ORDER BY {}").format(order_by(order)) if order else sql.SQL("")
    return sql.SQL(_OF_VALUES[name]).format(
        v=column, order=ordered, n=sql.Literal(accumulator.n or 1)
    )


def _sum_of_constant(argument: Constant) -> sql.Composable:
    value = argument.value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return sql.SQL("'0'::jsonb")
    if value == 1:
        return sql.SQL("to_jsonb(count(*))")
    return sql.SQL("to_jsonb(trim_scale(count(*) * {}))").format(sql.Literal(value))
