"""What the truth of an expression implies about fields with an index, in the index's own terms.

`{"$expr": {"$eq": ["$customer", "$$id"]}}` is true for few rows; beside the conditions given here
PostgreSQL finds them by the index. They are no substitute for the expression, and never fail.
"""

from collections.abc import Iterator

from psycopg import sql

from documents.expressions import ast, traversal
from documents.expressions.ast import Node
from documents.expressions.code import constant
from documents.expressions.scope import Scope
from documents.query import columns


def implied(node: Node, scope: Scope) -> list[sql.Composable]:
    """Conditions that hold for every row for which the expression is true."""
    return [
        condition for left, right in _equalities(node) for condition in _same(left, right, scope)
    ]


def _equalities(node: Node | None) -> Iterator[tuple[Node | None, Node | None]]:
    match node:
        case ast.Call("$and", arguments):
            for argument in arguments:
                yield from _equalities(argument)
        case ast.Call("$eq", (left, right)):
            yield left, right
            yield right, left


def _same(field: Node | None, other: Node | None, scope: Scope) -> list[sql.Composable]:
    if not isinstance(field, ast.Path) or field.variable not in (ast.ROOT, ast.CURRENT):
        return []
    if isinstance(other, ast.Constant):
        value = constant(other.value)
    elif isinstance(other, ast.Path) and other.variable in scope.variables:
        value = traversal.path(scope, other)
    else:
        return []
    if not value.cheap:
        return []
    rows = scope.rows
    if rows.is_table and field.steps == ("_id",):
        return [sql.SQL("{} = ({} #>> '{{}}')").format(rows.column("_id"), value.text)]
    if ".".join(field.steps) not in rows.scalars:
        return []
    # Equal values have equal keys.
    keys = zip(
        columns.value_keys(columns.value(field.steps, rows.doc)),
        columns.value_keys(value.text),
        strict=True,
    )
    return [sql.SQL("{} = {}").format(own, others) for own, others in keys]
