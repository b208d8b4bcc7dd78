"""`$group` and `$count` as SQL."""

from collections.abc import Sequence

from psycopg import sql

from documents import expressions
from documents.aggregation.accumulators import compile_accumulator
from documents.aggregation.ast import Accumulator, Count, Group
from documents.aggregation.block import Block, Closing, Context, flat, named
from documents.aggregation.fields import readable, scope
from documents.aggregation.rows import Column, MadeRows
from documents.expressions.ast import Constant, Node


def group(context: Context, stage: Group, block: Block) -> Block:
    """One row for each value of the key; what is missing counts as null. In no order."""
    block = prepared(context, block, [stage.id], stage.fields)
    closing = Closing(context.statement, block)
    aggregates = _aggregates(context, block, closing, stage.fields)
    if isinstance(stage.id, Constant):
        key = expressions.to_sql(stage.id, scope(context, block))
        # Nothing is grouped to nothing, not to one empty group.
        behind: sql.Composable = sql.SQL("HAVING count(*) > 0")
    else:
        code = expressions.to_sql(stage.id, scope(context, block))
        key = closing.add(sql.SQL("coalesce({}, 'null')").format(code))
        behind = sql.SQL("GROUP BY {}").format(key)
    return _grouped(context, closing, [("_id", key), *aggregates], behind)


def count(context: Context, stage: Count, block: Block) -> Block:
    closing = Closing(context.statement, block)
    total = (stage.name, sql.SQL("to_jsonb(count(*))"))
    return _grouped(context, closing, [total], sql.SQL("HAVING count(*) > 0"))


def prepared(
    context: Context,
    block: Block,
    nodes: Sequence[Node],
    fields: Sequence[tuple[str, Accumulator]],
) -> Block:
    """The block as the expressions can read it, whole documents put together once."""
    arguments = [each.argument for _, each in fields if each.argument is not None]
    block = readable(context, block, [*nodes, *arguments])
    if any(each.by is not None for _, each in fields):
        block = flat(context, block)  # which sorts read
    return block


def _aggregates(
    context: Context, block: Block, closing: Closing, fields: Sequence[tuple[str, Accumulator]]
) -> list[tuple[str, sql.Composable]]:
    return [
        (name, compile_accumulator(context, accumulator, block, closing, closing.terms))
        for name, accumulator in fields
    ]


def _grouped(
    context: Context,
    closing: Closing,
    fields: Sequence[tuple[str, sql.Composable]],
    behind: sql.Composable,
) -> Block:
    alias = context.statement.name("g")
    wanted, made = [], []
    for name, code in fields:
        column = context.statement.name("f")
        wanted.append(named(code, column))
        made.append(Column(name, sql.Identifier(alias, column), may_miss=False))
    source = sql.SQL("(SELECT {} FROM {} {} OFFSET 0) AS {}").format(
        sql.SQL(", ").join(wanted), closing.source, behind, sql.Identifier(alias)
    )
    return Block(source=source, rows=MadeRows(alias, made=tuple(made), has_doc=False))
