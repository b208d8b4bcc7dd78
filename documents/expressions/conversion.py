"""Types and conversions. Numbers are of one kind: size and fraction say what they are called."""

from collections.abc import Mapping
from typing import Final

from psycopg import sql

from documents.expressions import ast
from documents.expressions.code import Code, Kind, call
from documents.expressions.compiler import Arguments, Compiler, Operator
from documents.expressions.functions import function
from documents.query import columns

_KINDS: Final[dict[str, Kind]] = {
    "int": "number",
    "long": "number",
    "double": "number",
    "decimal": "number",
}


def _type(compiler: Compiler, arguments: Arguments) -> Code:
    return Code(call("documents_type", *compiler.all_json(arguments)), "text")


def _is_number(compiler: Compiler, arguments: Arguments) -> Code:
    (value,) = arguments
    text = sql.SQL("coalesce(jsonb_typeof({}) = 'number', false)").format(compiler.json(value))
    return Code(text, "boolean")


def _to(type: str) -> Operator:
    def compile(compiler: Compiler, arguments: Arguments) -> Code:
        (value,) = arguments
        converted = call("documents_convert", compiler.json(value), columns.literal(type))
        if _KINDS.get(type) == "number":
            return Code(sql.SQL("documents_number({})").format(converted), "number")
        return Code(converted)

    return compile


def _convert(compiler: Compiler, arguments: Arguments) -> Code:
    value, to, on_error, on_null = arguments
    type = call("documents_conversion", compiler.json(to))
    return guarded(compiler, "documents_convert", [compiler.json(value), type], on_error, on_null)


def guarded(
    compiler: Compiler,
    function: str,
    arguments: list[sql.Composable],
    on_error: ast.Node | None,
    on_null: ast.Node | None,
) -> Code:
    """A call whose result is replaced when it is null, or when the arguments are not fit.

    With `on_error` the function's `…_or_null` is called: SQL's NULL says that it failed.
    """
    name = function if on_error is None else f"{function}_or_null"
    made = sql.SQL("{}({})").format(sql.Identifier(name), sql.SQL(", ").join(arguments))
    if on_error is None and on_null is None:
        return Code(made)
    alias = compiler.alias()
    failed = sql.SQL("NULL::jsonb") if on_error is None else compiler.json(on_error)
    null = sql.SQL("'null'::jsonb") if on_null is None else compiler.json(on_null)
    text = sql.SQL(
        "(SELECT CASE WHEN {v} IS NULL THEN {failed} WHEN {v} = 'null' THEN {null} ELSE {v} END"
        " FROM (SELECT {made} AS v OFFSET 0) AS {alias})"
    ).format(
        v=sql.Identifier(alias, "v"),
        failed=failed,
        null=null,
        made=made,
        alias=sql.Identifier(alias),
    )
    return Code(text, optional=True)


OPERATORS: Final[Mapping[str, Operator]] = {
    "$type": _type,
    "$binarySize": function("documents_binary_size", "number"),
    "$isNumber": _is_number,
    "$convert": _convert,
    "$toString": _to("string"),
    "$toInt": _to("int"),
    "$toLong": _to("long"),
    "$toDouble": _to("double"),
    "$toDecimal": _to("decimal"),
    "$toBool": _to("bool"),
    "$toDate": _to("date"),
}
