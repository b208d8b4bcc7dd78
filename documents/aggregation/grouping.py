"""`$group` and `$count` as SQL."""

from collections.abc import Sequence

from psycopg import sql

from documents import expressions
from documents.aggregation.accumulators import compile_accumulator
from documents.aggregation.ast import Accumulator, Count, Group
from documents.aggregation.block import Block, Closing, Context, flat, named
from documents.aggregation.fields import computed, readable, scope
from documents.aggregation.rows import Column, MadeRows, put_together
from documents.expressions.ast import Constant, Node, Object


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
        keys = _keys(context, stage.id, block, closing)
        key = keys[0].sql if len(keys) == 1 and not keys[0].name else put_together(None, keys)
        parts = sql.SQL(", ").join([column.sql for column in keys])
        behind = sql.SQL("GROUP BY {}").format(parts)
    return _grouped(context, closing, [("_id", key), *aggregates], behind)


def _keys(context: Context, id: Node, block: Block, closing: Closing) -> list[Column]:
    """What is grouped by: the fields of an object one by one, which is made of them afterwards."""
    if isinstance(id, Object) and id.fields:
        return [closing.column(computed(context, block, name, node)) for name, node in id.fields]
    code = computed(context, block, "", id)
    return [closing.column(Column("", sql.SQL("coalesce({}, 'null')").format(code.sql), False))]


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
