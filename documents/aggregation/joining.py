"""`$lookup` as SQL: for each row the other collection's documents that belong to it."""

from dataclasses import replace
from typing import Final, LiteralString

from psycopg import sql

from documents.aggregation.ast import Lookup
from documents.aggregation.block import Block, Closing, Context, as_array, carried
from documents.aggregation.fields import computed, put, readable
from documents.aggregation.rows import Column
from documents.aggregation.tables import table
from documents.query import Rows, columns
from documents.query.ast import Path

# The values that the local path reaches, elements of arrays one by one; null for nothing at all.
_LOCAL: Final[LiteralString] = "documents_lookup_values({root}, {path})"


def lookup(context: Context, stage: Lookup, block: Block) -> Block:
    """The rows with the array of what was found. Only what the caller may read is found.

    Raises Forbidden `rule_denied` when the other collection is closed to the caller.
    """
    block = readable(context, block, [node for _, node in stage.variables])
    closing = Closing(context.statement, block)
    rows = carried(closing, block.rows)
    variables = {
        name: closing.add(computed(context, block, name, node).sql)
        for name, node in stage.variables
    }
    local = closing.add(_local_values(block.rows, stage.local)) if stage.local else None
    block = closing.block(rows)
    inside = replace(context, variables={**context.variables, **variables})
    foreign = table(inside, stage.collection)
    found: sql.Composable = sql.SQL("'[]'::jsonb")
    if foreign is not None:
        if local is not None and stage.foreign is not None:
            condition = _belongs(foreign.rows, stage.foreign, local)
            foreign = replace(foreign, where=(*foreign.where, condition))
        found = as_array(inside, context.compile(inside, stage.pipeline, foreign))
    return put(context, block, [(stage.into, Column("", found, may_miss=False))])


def _local_values(rows: Rows, path: Path) -> sql.Composable:
    """jsonb[]: what the other side is compared with."""
    head = rows.field(path[0])
    return sql.SQL(_LOCAL).format(root=head, path=columns.path_array(path[1:]))


def _belongs(rows: Rows, path: Path, local: sql.Composable) -> sql.Composable:
    """Whether a foreign row has one of the values at the path, as `$in` finds it."""
    if path == ("_id",):
        return sql.SQL("{} = ANY(documents_texts({}))").format(rows.column("_id"), local)
    head = rows.field(path[0])
    exact = sql.SQL("documents_has_one_of({}, {}, {})").format(
        head, columns.path_array(path[1:]), local
    )
    if ".".join(path) not in rows.scalars:
        return exact
    text, number = columns.value_keys(columns.value(path, rows.doc))
    return sql.SQL(
        "(({text} = ANY(documents_sort_texts({local})) AND {number} = 0)"
        " OR ({text} = '2' AND {number} = ANY(documents_sort_numbers({local})))) AND {exact}"
    ).format(text=text, number=number, local=local, exact=exact)
