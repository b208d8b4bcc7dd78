"""Field paths and variables as SQL. An array on the way gives the array of what lies behind."""

from typing import Final, LiteralString

from psycopg import sql

from documents.expressions import ast
from documents.expressions.code import Code, call
from documents.expressions.scope import Scope
from documents.query import columns

_ROOTS: Final = frozenset({ast.ROOT, ast.CURRENT})
_NOW: Final[LiteralString] = "documents_date(documents_now())"


def path(scope: Scope, node: ast.Path) -> Code:
    if node.variable in _ROOTS:
        return _root(scope, node.steps)
    if node.variable == "NOW" and "NOW" not in scope.variables:
        return _beyond(Code(sql.SQL(_NOW)), node.steps)
    variable = Code(scope.variables[node.variable], cheap=True, optional=True)
    return _beyond(variable, node.steps)


def _root(scope: Scope, steps: tuple[str, ...]) -> Code:
    rows = scope.rows
    if not steps:
        return Code(rows.root, cheap=not rows.is_table)
    column = rows.is_table and steps[0] in columns.SYSTEM
    first = Code(rows.field(steps[0]), cheap=not column, optional=not column)
    if ".".join(steps) in rows.scalars:
        return Code(_chain(first.text, steps[1:]), cheap=True, optional=True)
    return _beyond(first, steps[1:])


def _beyond(base: Code, steps: tuple[str, ...]) -> Code:
    if not steps:
        return base
    general = call("documents_path", base.text, columns.path_array(steps))
    if len(steps) > 1 or not base.cheap:
        return Code(general, optional=True)
    return Code(
        sql.SQL("CASE jsonb_typeof({base}) WHEN 'array' THEN {general} ELSE {direct} END").format(
            base=base.text, general=general, direct=_chain(base.text, steps)
        ),
        cheap=True,
        optional=True,
    )


def _chain(base: sql.Composable, steps: tuple[str, ...]) -> sql.Composable:
    """The value behind objects only."""
    if not steps:
        return base
    return sql.SQL("({} -> {})").format(
        base, sql.SQL(" -> ").join([columns.literal(step) for step in steps])
    )
