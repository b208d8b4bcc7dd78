"""`$cond`, `$switch`, `$ifNull`: only the chosen branch is evaluated."""

from collections.abc import Mapping
from typing import Final

from psycopg import sql

from documents.expressions import ast
from documents.expressions.code import Code
from documents.expressions.compiler import Arguments, Compiler, Operator
from documents.expressions.numbers import is_numeric, numeric


def switch(compiler: Compiler, node: ast.Switch) -> Code:
    if node.default is not None and is_numeric(node):
        return Code(numeric(compiler, node), "number")
    optional = False
    cases = []
    for condition, value in node.branches:
        code = compiler.code(value)
        optional |= code.optional
        cases.append(sql.SQL("WHEN {} THEN {}").format(compiler.truth(condition), code.json))
    if node.default is None:
        last: sql.Composable = sql.SQL(
            "documents_fail('no branch of $switch is true, and it has no default')"
        )
    else:
        default = compiler.code(node.default)
        optional |= default.optional
        last = default.json
    return Code(
        sql.SQL("CASE {} ELSE {} END").format(sql.SQL(" ").join(cases), last), optional=optional
    )


def _if_null(compiler: Compiler, arguments: Arguments) -> Code:
    *checked, last = [compiler.code(node) for node in arguments if node is not None]
    parts = [sql.SQL("nullif({}, 'null')").format(code.json) for code in checked]
    return Code(
        sql.SQL("coalesce({})").format(sql.SQL(", ").join([*parts, last.json])),
        optional=last.optional,
    )


OPERATORS: Final[Mapping[str, Operator]] = {"$ifNull": _if_null}
