"""`$facet` and `$sample` as SQL."""

from dataclasses import replace

from psycopg import sql

from documents.aggregation.ast import Facet, Sample
from documents.aggregation.block import (
    Block,
    Closing,
    Context,
    Term,
    as_array,
    carried,
    flat,
    named,
)
from documents.aggregation.rows import Column, MadeRows


def facet(context: Context, stage: Facet, block: Block) -> Block:
    """One document: what each branch makes of the same rows, which are read once."""
    block = flat(context, block)
    closing = Closing(context.statement, block)
    rows = carried(closing, block.rows)
    whole = sql.Identifier(context.statement.name("w"))
    shared = closing.block(rows, sql.SQL("{} AS {}").format(whole, sql.Identifier(closing.alias)))
    wanted, made = [], []
    for name, pipeline in stage.branches:
        branch = context.compile(context, pipeline, shared)
        made.append((name, context.statement.name("f")))
        wanted.append(named(as_array(context, branch), made[-1][1]))
    alias = context.statement.name("g")
    source = sql.SQL("(WITH {} AS MATERIALIZED ({}) SELECT {} OFFSET 0) AS {}").format(
        whole, closing.select, sql.SQL(", ").join(wanted), sql.Identifier(alias)
    )
    fields = tuple(
        [Column(name, sql.Identifier(alias, column), may_miss=False) for name, column in made]
    )
    return Block(source=source, rows=MadeRows(alias, made=fields, has_doc=False))


def sample(context: Context, stage: Sample, block: Block) -> Block:
    """Some of the rows by chance, in an order by chance."""
    block = flat(context, block)
    return replace(block, order=(Term(sql.SQL("random()")),), ties=(), limit=stage.n)
