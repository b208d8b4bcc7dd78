"""Comparisons in the BSON order of all types, and `$and`, `$or`, `$not`."""

from collections.abc import Mapping
from typing import Final, LiteralString

from psycopg import sql

from documents.expressions import ast, numbers
from documents.expressions.code import Code, call, json_literal
from documents.expressions.compiler import Arguments, Compiler, Operator
from documents.query import columns

_ORDER: Final[dict[str, LiteralString]] = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_MIRRORED: Final = {"$gt": "$lt", "$gte": "$lte", "$lt": "$gt", "$lte": "$gte"}


def _equal(compiler: Compiler, arguments: Arguments) -> Code:
    left, right = arguments
    if isinstance(left, ast.Constant):
        left, right = right, left
    if isinstance(right, ast.Constant):
        return Code(
            sql.SQL("coalesce({} = {}, false)").format(compiler.json(left), compiler.json(right)),
            "boolean",
        )
    return Code(
        sql.SQL("({} IS NOT DISTINCT FROM {})").format(compiler.json(left), compiler.json(right)),
        "boolean",
    )


def _not_equal(compiler: Compiler, arguments: Arguments) -> Code:
    return Code(sql.SQL("(NOT {})").format(_equal(compiler, arguments).text), "boolean")


def _order(operator: str) -> Operator:
    def compile(compiler: Compiler, arguments: Arguments) -> Code:
        left, right = arguments
        name = operator
        if isinstance(left, ast.Constant):
            left, right, name = right, left, _MIRRORED[operator]
        symbol = sql.SQL(_ORDER[name])
        if isinstance(left, ast.Path) and isinstance(right, ast.Constant):
            code = compiler.code(left)
            quick = _against(code.text, symbol, right) if code.cheap else None
            if quick is not None:
                return Code(quick, "boolean")
        compared = call("documents_compare", compiler.json(left), compiler.json(right))
        return Code(sql.SQL("({} {} 0)").format(compared, symbol), "boolean")

    return compile


def _against(
    value: sql.Composable, symbol: sql.Composable, constant: ast.Constant
) -> sql.Composable | None:
    """A short expression against a number or a text, in line when it is one too."""
    if numbers.is_number(constant):
        kind, own = "number", sql.SQL("({})::numeric").format(value)
        other = numbers.literal(constant.value)
    elif isinstance(constant.value, str):
        kind, own = "string", sql.SQL("({} #>> '{{}}') COLLATE \"C\"").format(value)
        other = columns.literal(constant.value)
    else:
        return None
    return sql.SQL(
        "CASE WHEN jsonb_typeof({value}) = {kind} THEN {own} {symbol} {other}"
        " ELSE documents_compare({value}, {json}) {symbol} 0 END"
    ).format(
        value=value,
        kind=sql.Literal(kind),
        own=own,
        symbol=symbol,
        other=other,
        json=json_literal(constant.value),
    )


def _compare(compiler: Compiler, arguments: Arguments) -> Code:
    compared = call("documents_compare", *compiler.all_json(arguments))
    return Code(sql.SQL("{}::numeric").format(compared), "number")


def _all(compiler: Compiler, arguments: Arguments) -> Code:
    return _joined(compiler, arguments, " AND ", "true")


def _any(compiler: Compiler, arguments: Arguments) -> Code:
    return _joined(compiler, arguments, " OR ", "false")


def _joined(
    compiler: Compiler, arguments: Arguments, word: LiteralString, empty: LiteralString
) -> Code:
    """As CASE: what comes after the part that decides is not evaluated, and cannot fail."""
    parts = [compiler.truth(argument) for argument in arguments if argument is not None]
    if not parts:
        return Code(sql.SQL(empty), "boolean")
    if len(parts) == 1:
        return Code(parts[0], "boolean")
    stop, last = ("false", "true") if word == " AND " else ("true", "false")
    shape: LiteralString = "WHEN NOT ({}) THEN {}" if word == " AND " else "WHEN {} THEN {}"
    cases = [sql.SQL(shape).format(part, sql.SQL(stop)) for part in parts]
    return Code(
        sql.SQL("CASE {} ELSE {} END").format(sql.SQL(" ").join(cases), sql.SQL(last)), "boolean"
    )


def _not(compiler: Compiler, arguments: Arguments) -> Code:
    (argument,) = arguments
    assert argument is not None  # noqa: S101 - the signature says so
    return Code(sql.SQL("(NOT {})").format(compiler.truth(argument)), "boolean")


OPERATORS: Final[Mapping[str, Operator]] = {
    "$eq": _equal,
    "$ne": _not_equal,
    "$cmp": _compare,
    **{name: _order(name) for name in _ORDER},
    "$and": _all,
    "$or": _any,
    "$not": _not,
}
