"""Arrays."""

from collections.abc import Mapping
from typing import Final

from psycopg import sql

from documents.expressions import ast
from documents.expressions.code import Code, array, call, json_literal
from documents.expressions.compiler import Arguments, Compiler, Operator
from documents.expressions.functions import function, variadic


def _in(compiler: Compiler, arguments: Arguments) -> Code:
    value, items = arguments
    if isinstance(items, ast.Constant) and isinstance(items.value, list):
        listed = array([json_literal(item) for item in items.value])
        text = sql.SQL("coalesce({} = ANY({}), false)").format(compiler.json(value), listed)
        return Code(text, "boolean")
    return Code(call("documents_in", *compiler.all_json(arguments)), "boolean")


def _is_array(compiler: Compiler, arguments: Arguments) -> Code:
    (value,) = arguments
    text = sql.SQL("coalesce(jsonb_typeof({}) = 'array', false)").format(compiler.json(value))
    return Code(text, "boolean")


OPERATORS: Final[Mapping[str, Operator]] = {
    "$arrayElemAt": function("documents_element", optional=True),
    "$first": function("documents_first", optional=True),
    "$last": function("documents_last", optional=True),
    "$slice": function("documents_slice"),
    "$concatArrays": variadic("documents_concat_arrays"),
    "$size": function("documents_size", "number"),
    "$in": _in,
    "$indexOfArray": function("documents_index_of_array", "number", defaults=(0, None)),
    "$isArray": _is_array,
    "$reverseArray": function("documents_reverse"),
    "$range": function("documents_range", defaults=(1,)),
    "$zip": function("documents_zip", defaults=(False, [])),
    "$arrayToObject": function("documents_array_to_object"),
    "$objectToArray": function("documents_object_to_array"),
    "$allElementsTrue": function("documents_all_true", "boolean"),
    "$anyElementTrue": function("documents_any_true", "boolean"),
}
