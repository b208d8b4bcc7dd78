"""`$lookup` as SQL: for each row the other collection's documents that belong to it."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final, LiteralString

from psycopg import sql

from documents import expressions
from documents.aggregation.ast import Lookup, Match, Pipeline
from documents.aggregation.block import Block, Closing, Context, as_array, carried
from documents.aggregation.fields import computed, put, readable
from documents.aggregation.rows import Column
from documents.aggregation.tables import table
from documents.expressions import Scope
from documents.expressions.ast import Call
from documents.expressions.ast import Path as Variable
from documents.query import Rows, columns
from documents.query.ast import And, Expr, Path

# The values that the local path reaches, elements of arrays one by one; null for nothing at all.
_LOCAL: Final[LiteralString] = "documents_lookup_values({root}, {path})"
_ROOTS: Final = frozenset({"CURRENT", "ROOT", "NOW"})
MAX_NARROWED: Final = 4  # equalities: each may make a map of the collection
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
        whole = foreign
        if local is not None and stage.foreign is not None:
            condition = _belongs(inside, whole, stage.foreign, local)
            foreign = replace(foreign, where=(*foreign.where, condition))
        equalities = dict.fromkeys(_equalities(stage.pipeline, foreign.rows))
        for path, variable in islice(equalities, MAX_NARROWED):
            value = expressions.to_sql(variable, Scope(block.rows, inside.variables))
            values = sql.SQL("ARRAY[coalesce({}, 'null')]").format(value)
            condition = _belongs(inside, whole, path, values)
            foreign = replace(foreign, implied=(*foreign.implied, condition))
        found = as_array(
            inside, context.compile(inside, stage.pipeline, foreign), bounded=stage.local is None
        )
    return put(context, block, [(stage.into, Column("", found, may_miss=False))])


def _local_values(rows: Rows, path: Path) -> sql.Composable:
    """jsonb[]: what the other side is compared with."""
    head = rows.field(path[0])
    return sql.SQL(_LOCAL).format(root=head, path=columns.path_array(path[1:]))


def _equalities(pipeline: Pipeline, rows: Rows) -> Iterator[tuple[Path, expressions.Node]]:
    """What a `$match` in front says with `{"$expr": {"$eq": ["$field", "$$variable"]}}`.

    Said once more as a look into a map it narrows what `$expr` looks at.
    """
    for stage in pipeline:
        if not isinstance(stage, Match):
            return
        parts = stage.filter.parts if isinstance(stage.filter, And) else (stage.filter,)
        for part in parts:
            match part:
                case Expr(Call("$eq", (Variable("CURRENT", steps), Variable(name, _) as variable))):
                    pass
                case Expr(Call("$eq", (Variable(name, _) as variable, Variable("CURRENT", steps)))):
                    pass
                case _:
                    continue
            # An array on the way would make an array of all that lies behind it; and what has an
            # index finds it by itself.
            if name not in _ROOTS and len(steps) == 1 and not _is_indexed(steps, rows):
                yield steps, variable


def _is_indexed(path: Path, rows: Rows) -> bool:
    return path == ("_id",) or ".".join(path) in rows.scalars


def _belongs(context: Context, foreign: Block, path: Path, local: sql.Composable) -> sql.Composable:
    """Whether a foreign row has one of the values at the path, as `$in` finds it."""
    rows = foreign.rows.facing(path)
    if path == ("_id",):
        return sql.SQL("{} = ANY(documents_texts({}))").format(rows.column("_id"), local)
    head, rest = rows.field(path[0]), columns.path_array(path[1:])
    if not _is_indexed(path, rows):
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
