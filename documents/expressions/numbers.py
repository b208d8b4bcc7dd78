"""Expressions as SQL's numeric, without a detour over jsonb where it can be avoided.

Arithmetic on short operands (fields and constants) is done in line when all are numbers; a helper
function decides about everything else.
"""

from decimal import Decimal
from typing import Final, Literal, LiteralString, TypeAlias

from psycopg import sql

from documents.expressions import ast
from documents.expressions.ast import Node
from documents.expressions.code import array, call, flat
from documents.expressions.compiler import Arguments, Compiler
from documents.query import columns

# What becomes of a value that is no number: an error, or NULL (what accumulators leave out).
Reading: TypeAlias = Literal["strict", "lenient"]

_SYMBOLS: Final[dict[str, LiteralString]] = {
    "$add": " + ",
    "$subtract": " - ",
    "$multiply": " * ",
}
_DATES: Final = frozenset({"$add", "$subtract"})  # they may also make a date
INLINE: Final = frozenset({*_SYMBOLS, "$divide", "$mod"})
_NUMERIC_OPERATORS: Final = frozenset({
    "$multiply", "$divide", "$mod", "$abs", "$ceil", "$floor", "$round", "$trunc", "$sqrt",
    "$pow", "$exp", "$ln", "$log", "$log10", "$cmp", "$strLenBytes", "$strLenCP", "$size",
    "$indexOfBytes", "$indexOfCP", "$indexOfArray", "$strcasecmp", "$year", "$month",
    "$dayOfMonth", "$dayOfYear", "$dayOfWeek", "$isoDayOfWeek", "$isoWeek", "$isoWeekYear",
    "$week", "$hour", "$minute", "$second", "$millisecond", "$dateDiff", "$sum", "$avg",
    "$stdDevPop", "$stdDevSamp", "$rand", "$toInt", "$toLong", "$toDouble", "$toDecimal",
})  # fmt: skip


def numeric(compiler: Compiler, node: Node, reading: Reading = "strict") -> sql.Composable:
    """numeric, NULL for null and missing; `reading` says what happens to other values."""
    return flat(_numeric(compiler, node, reading))


def _numeric(compiler: Compiler, node: Node, reading: Reading) -> sql.Composable:
    match node:
        case ast.Constant(value) if is_number(node):
            return literal(value)
        case ast.Constant(None) | ast.Missing():
            return sql.SQL("NULL::numeric")
        case ast.Call(operator, arguments) if operator in INLINE and len(arguments) > 1:
            return arithmetic(compiler, operator, arguments, reading)
        case ast.Switch(branches, default) if default is not None:
            return _switch(compiler, branches, default, reading)
    code = compiler.code(node)
    if code.kind == "number":
        return code.text
    if not code.cheap:
        return call(_reader(reading), code.json)
    otherwise = call(_reader(reading), code.text) if reading == "strict" else sql.SQL("NULL")
    return sql.SQL(
        "CASE jsonb_typeof({value}) WHEN 'number' THEN {number} ELSE {otherwise} END"
    ).format(value=code.text, number=_cast(code.text), otherwise=otherwise)


def arithmetic(
    compiler: Compiler, operator: str, arguments: Arguments, reading: Reading
) -> sql.Composable:
    """An operator of `INLINE` as numeric."""
    short = quick(compiler, operator, arguments)
    if short is not None:
        all_numbers, result = short
        return sql.SQL("CASE WHEN {} THEN {} ELSE {} END").format(
            all_numbers, result, _general_number(compiler, operator, arguments, reading)
        )
    # The helper knows what comes first of a null and a wrong type. In line a wrong type is an error
    # also beside a null: that is the price for the speed of a field beside a computed number.
    known = all(is_numeric(node) or _is_plain(node) for node in arguments)
    may_be_date = operator in _DATES and not all(map(is_numeric, arguments))
    if not known or (reading == "lenient" and may_be_date):
        return _general_number(compiler, operator, arguments, reading)
    operands = [numeric(compiler, argument) for argument in arguments if argument is not None]
    if operator in _SYMBOLS:
        return _infix(operator, operands)
    return call("documents_quotient" if operator == "$divide" else "documents_rest", *operands)


def quick(
    compiler: Compiler, operator: str, arguments: Arguments
) -> tuple[sql.Composable, sql.Composable] | None:
    """(whether all operands are numbers, the result if so) for fields and constants."""
    tests: list[sql.Composable] = []
    operands: list[sql.Composable] = []
    for node in arguments:
        if isinstance(node, ast.Constant) and is_number(node):
            operands.append(literal(node.value))
            continue
        if not isinstance(node, ast.Path):
            return None
        code = compiler.code(node)
        if not code.cheap:
            return None
        tests.append(sql.SQL("jsonb_typeof({}) = 'number'").format(code.text))
        operands.append(_cast(code.text))
    if not tests:
        return None
    if operator in _SYMBOLS:
        result = _infix(operator, operands)
    elif operator == "$mod":
        # No operand is NULL here: what is NULL is the rest of a division by zero.
        result = sql.SQL("coalesce(mod({}, nullif({}, 0)), documents_by_zero('$mod'))").format(
            *operands
        )
    else:
        result = sql.SQL(
            "coalesce(trim_scale({} / nullif({}, 0)), documents_by_zero('$divide'))"
        ).format(*operands)
    return sql.SQL(" AND ").join(tests), result


def general(compiler: Compiler, operator: str, arguments: Arguments) -> sql.Composable:
    """The call that decides about operands of all types: jsonb for what may make dates."""
    operands = compiler.all_json(arguments)
    match operator:
        case "$add":
            return call("documents_add", array(operands))
        case "$multiply":
            return call("documents_multiply", array(operands))
        case "$subtract":
            return call("documents_subtract", *operands)
        case "$divide":
            return call("documents_divide", *operands)
    return call("documents_mod", *operands)


def is_numeric(node: Node | None) -> bool:
    """Whether it is surely a number or null (or an error): never a date, never missing."""
    match node:
        case ast.Constant(value):
            return value is None or is_number(node)
        case ast.Call(operator, arguments):
            return operator in _NUMERIC_OPERATORS or (
                operator in _DATES and all(is_numeric(argument) for argument in arguments)
            )
        case ast.Switch(branches, default):
            return all(is_numeric(value) for _, value in branches) and is_numeric(default)
    return False


def is_number(node: ast.Constant) -> bool:
    return isinstance(node.value, int | Decimal) and not isinstance(node.value, bool)


def literal(value: int | Decimal) -> sql.Composable:
    return sql.SQL("{}::numeric").format(columns.literal(str(value)))


def _is_plain(node: Node | None) -> bool:
    return isinstance(node, ast.Path) or (isinstance(node, ast.Call) and node.operator in INLINE)


def _general_number(
    compiler: Compiler, operator: str, arguments: Arguments, reading: Reading
) -> sql.Composable:
    made = general(compiler, operator, arguments)
    return call(_reader(reading), made) if operator in _DATES else made


def _reader(reading: Reading) -> LiteralString:
    return "documents_number" if reading == "strict" else "documents_number_or_null"


def _cast(value: sql.Composable) -> sql.Composable:
    return sql.SQL("({})::numeric").format(value)


def _infix(operator: str, operands: list[sql.Composable]) -> sql.Composable:
    return sql.SQL("({})").format(sql.SQL(_SYMBOLS[operator]).join(operands))


def _switch(
    compiler: Compiler, branches: tuple[tuple[Node, Node], ...], default: Node, reading: Reading
) -> sql.Composable:
    cases = [
        sql.SQL("WHEN {} THEN {}").format(
            compiler.truth(condition), numeric(compiler, value, reading)
        )
        for condition, value in branches
    ]
    return sql.SQL("CASE {} ELSE {} END").format(
        sql.SQL(" ").join(cases), numeric(compiler, default, reading)
    )
