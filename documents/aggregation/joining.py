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
_IN_MAP: Final[LiteralString] = (
    "{id} = ANY(documents_ids_of((SELECT coalesce(jsonb_object_agg(key, ids), '{{}}') FROM ("
    "SELECT documents_order_text({keys}.v) AS key, jsonb_agg({id}) AS ids FROM {source},"
    " LATERAL documents_lookup_keys({head}, {rest}) AS {keys}(v) WHERE {where} GROUP BY 1)"
    " AS map), {local}))"
)


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
            condition = _belongs(inside, foreign, stage.foreign, local)
            foreign = replace(foreign, where=(*foreign.where, condition))
        found = as_array(inside, context.compile(inside, stage.pipeline, foreign))
    return put(context, block, [(stage.into, Column("", found, may_miss=False))])


def _local_values(rows: Rows, path: Path) -> sql.Composable:
    """jsonb[]: what the other side is compared with."""
    head = rows.field(path[0])
    return sql.SQL(_LOCAL).format(root=head, path=columns.path_array(path[1:]))


def _belongs(context: Context, foreign: Block, path: Path, local: sql.Composable) -> sql.Composable:
    """Whether a foreign row has one of the values at the path, as `$in` finds it."""
    rows = foreign.rows
    if path == ("_id",):
        return sql.SQL("{} = ANY(documents_texts({}))").format(rows.column("_id"), local)
    head, rest = rows.field(path[0]), columns.path_array(path[1:])
    if ".".join(path) not in rows.scalars:
        return _found_in_map(context, foreign, head, rest, local)
    text, number = columns.value_keys(columns.value(path, rows.doc))
    return sql.SQL(
        "(({text} = ANY(documents_sort_texts({local})) AND {number} = 0)"
        " OR ({text} = '2' AND {number} = ANY(documents_sort_numbers({local}))))"
        " AND documents_has_one_of({head}, {rest}, {local})"
    ).format(text=text, number=number, local=local, head=head, rest=rest)


def _found_in_map(
    context: Context,
    foreign: Block,
    head: sql.Composable,
    rest: sql.Composable,
    local: sql.Composable,
) -> sql.Composable:
    """Without an index: a map from values to ids, made once for the statement, is one.

    Looking through the whole collection for each local row would be quadratic.
    """
    return sql.SQL(_IN_MAP).format(
        id=foreign.rows.column("_id"),
        source=foreign.source,
        where=foreign.readable or sql.SQL("true"),
        head=head,
        rest=rest,
        local=local,
        keys=sql.Identifier(context.statement.name("k")),
    )
