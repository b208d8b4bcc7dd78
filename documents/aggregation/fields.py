"""`$project`, `$addFields`, `$unset`, `$replaceRoot` as SQL."""

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from documents import expressions, values
from documents.aggregation.ast import AddFields, Exclude, Keep, Project, ReplaceRoot, Shape
from documents.aggregation.block import (
    Block,
    Context,
    as_values,
    extended,
    flat,
    of_documents,
    replaced,
    with_doc,
)
from documents.aggregation.rows import Column
from documents.expressions import Node, Scope
from documents.expressions.ast import Constant
from documents.query import columns
from documents.query.ast import Path


def scope(context: Context, block: Block) -> Scope:
    return Scope(block.rows, context.variables)


def readable(context: Context, block: Block, nodes: Sequence[Node]) -> Block:
    """The block, with whole documents put together once if an expression reads them whole."""
    if any("" in expressions.paths(node) for node in nodes):
        return as_values(context, flat(context, block))
    return block


def computed(context: Context, block: Block, name: str, node: Node) -> Column:
    """A field that an expression makes. It is not cheap: for `extended` and its like only."""
    return Column(
        name, expressions.to_sql(node, scope(context, block)), not isinstance(node, Constant)
    )


def project(context: Context, stage: Project, block: Block) -> Block:
    """The fields that the shape names, and no others."""
    block = readable(context, block, _expressions(stage.shape))
    return replaced(context, block, _columns(context, block, stage.shape, keeps_others=False))


def add_fields(context: Context, stage: AddFields, block: Block) -> Block:
    block = readable(context, block, _expressions(stage.shape))
    return extended(context, block, _columns(context, block, stage.shape, keeps_others=True))


def exclude(context: Context, stage: Exclude, block: Block) -> Block:
    block = flat(context, block)
    names = [name for name, _ in stage.shape.fields]
    if block.rows.is_table and any(name in columns.SYSTEM for name in names):
        block = as_values(context, block)
    doc = block.rows.doc
    if all(isinstance(below, Keep) for _, below in stage.shape.fields):
        doc = sql.SQL("({} - {})").format(doc, columns.path_array(tuple(names)))
    else:
        spec, _ = _spec(stage.shape)
        doc = sql.SQL("documents_exclude({}, {})").format(doc, _literal(spec))
    return with_doc(context, block, doc, changed=names)


def replace_root(context: Context, stage: ReplaceRoot, block: Block) -> Block:
    """Documents that an expression makes. What is no object fails the statement."""
    block = readable(context, block, [stage.value])
    code = expressions.to_sql(stage.value, scope(context, block))
    return of_documents(context, block, sql.SQL("documents_new_root({})").format(code))


def put(context: Context, block: Block, values: Sequence[tuple[Path, Column]]) -> Block:
    """Fields set (or with a missing value removed), objects made on the way to them."""
    made: dict[str, Column] = {}
    for (head, *rest), value in values:
        if rest:
            whole = made[head].sql if head in made else block.rows.field(head)
            inside = set_inside(whole, tuple(rest), value.sql)
            made[head] = Column(head, inside, may_miss=False)
        else:
            made[head] = Column(head, value.sql, value.may_miss)
    return extended(context, block, list(made.values()))


def set_inside(whole: sql.Composable, path: Path, value: sql.Composable) -> sql.Composable:
    """The value with a field inside of it set; what is no object on the way becomes one."""
    if len(path) > 1:
        below = sql.SQL("({} -> {})").format(whole, columns.literal(path[0]))
        value = set_inside(below, path[1:], value)
    return sql.SQL("jsonb_set_lax(documents_as_object({}), {}, {}, true, 'delete_key')").format(
        whole, columns.path_array(path[:1]), value
    )


def _columns(context: Context, block: Block, shape: Shape, *, keeps_others: bool) -> list[Column]:
    made = []
    for name, below in shape.fields:
        field = block.rows.field(name)
        if isinstance(below, Keep):
            made.append(Column(name, field))
        elif isinstance(below, Shape):
            spec, nodes = _spec(below)
            here = scope(context, block)
            code = sql.SQL("documents_reshape({}, {}, ARRAY[{}]::jsonb[], {})").format(
                field,
                _literal(spec),
                sql.SQL(", ").join([expressions.to_sql(node, here) for node in nodes]),
                sql.Literal(keeps_others),
            )
            made.append(Column(name, code, may_miss=not nodes))
        else:
            made.append(computed(context, block, name, below))
    return made


def _spec(shape: Shape) -> tuple[dict[str, Any], list[Node]]:
    """What `documents_reshape` takes: true for what is kept, the number of what is computed."""
    nodes: list[Node] = []

    def tree(shape: Shape) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, below in shape.fields:
            if isinstance(below, Keep):
                made[name] = True
            elif isinstance(below, Shape):
                made[name] = tree(below)
            else:
                nodes.append(below)
                made[name] = len(nodes)
        return made

    return tree(shape), nodes


def _literal(value: Any) -> sql.Composable:
    return sql.SQL("{}::jsonb").format(columns.literal(values.dumps(value).decode()))


def _expressions(shape: Shape) -> list[Node]:
    found: list[Node] = []
    for _, below in shape.fields:
        if isinstance(below, Shape):
            found += _expressions(below)
        elif not isinstance(below, Keep):
            found.append(below)
    return found
