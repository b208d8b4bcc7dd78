"""The doors of the compiler: an expression as jsonb, as a truth value, as a number."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from psycopg import sql

from documents.expressions import (
    accumulators,
    arithmetic,
    arrays,
    ast,
    bindings,
    comparison,
    conditional,
    conversion,
    dates,
    numbers,
    objects,
    sets,
    strings,
)
from documents.expressions.ast import Node
from documents.expressions.code import Code
from documents.expressions.compiler import Compiler, Operator
from documents.expressions.scope import Scope

_OPERATORS: Final[Mapping[str, Operator]] = {
    **arithmetic.OPERATORS,
    **comparison.OPERATORS,
    **conditional.OPERATORS,
    **arrays.OPERATORS,
    **sets.OPERATORS,
    **objects.OPERATORS,
    **accumulators.OPERATORS,
    **strings.OPERATORS,
    **conversion.OPERATORS,
    **dates.OPERATORS,
}
_NODES: Final[Mapping[type, Callable[[Compiler, Any], Code]]] = {
    ast.Switch: conditional.switch,
    **bindings.NODES,
}


def to_sql(node: Node, scope: Scope) -> sql.Composable:
    """jsonb, SQL's NULL when missing. Its percent signs are doubled: run it with parameters."""
    return sql.SQL("({})").format(_compiler(scope).code(node).json)


def truth(node: Node, scope: Scope) -> sql.Composable:
    """boolean, never NULL: false, null, 0 and missing are false."""
    return sql.SQL("({})").format(_compiler(scope).truth(node))


def number(node: Node, scope: Scope) -> sql.Composable:
    """numeric, NULL for all that is no number: what `$sum`, `$avg` and `$stdDevPop` take in."""
    return sql.SQL("({})").format(numbers.numeric(_compiler(scope), node, "lenient"))


def _compiler(scope: Scope) -> Compiler:
    return Compiler(scope, _OPERATORS, _NODES, [0])
