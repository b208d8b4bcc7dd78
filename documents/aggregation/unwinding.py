"""`$unwind` as SQL: one row for each element of an array."""

from dataclasses import replace
from typing import Final, LiteralString

from psycopg import sql

from documents.aggregation.ast import Unwind
from documents.aggregation.block import Block, Closing, Context, Term, as_values, carried
from documents.aggregation.fields import put, set_inside
from documents.aggregation.rows import Column, over
from documents.query import columns

# What is no array counts as an array of itself.
_ELEMENTS: Final[LiteralString] = (
    "CASE WHEN jsonb_typeof({array}) = 'array' THEN {array}"
    " WHEN coalesce({array}, 'null') = 'null' THEN '[]' ELSE jsonb_build_array({array}) END"
)
_ELEMENTS_AND_NULL: Final[LiteralString] = (
    "CASE WHEN jsonb_typeof({array}) = 'array' THEN {array}"
    " WHEN {array} IS NULL THEN '[]' ELSE jsonb_build_array({array}) END"
)
_INDEX: Final[LiteralString] = (
    "CASE WHEN jsonb_typeof({array}) = 'array' AND {place} IS NOT NULL"
    " THEN to_jsonb({place} - 1) ELSE 'null' END"
)
_IN_PLACE: Final[LiteralString] = (
    "CASE WHEN jsonb_typeof({array}) = 'array' THEN {inside} ELSE {whole} END"
)
_JOIN: Final[LiteralString] = (
    "{source} {kind} JOIN LATERAL jsonb_array_elements({elements}) WITH ORDINALITY AS {alias}(v, n)"
    " ON true"
)


def unwind(context: Context, stage: Unwind, block: Block) -> Block:
    """Rows with an element in the array's place; the field is missing in rows kept without one."""
    head, *rest = stage.path
    if block.rows.is_table and head in columns.SYSTEM:
        block = as_values(context, block)
    array = block.rows.field(head)
    for step in rest:
        array = sql.SQL("({} -> {})").format(array, columns.literal(step))
    # Closed, so that the array is read once and nothing is unwound that a limit cuts off.
    closing = Closing(context.statement, block)
    rows = carried(closing, block.rows)
    array = closing.add(array)
    block = closing.block(rows)
    alias = context.statement.name("u")
    value, place = sql.Identifier(alias, "v"), sql.Identifier(alias, "n")
    source = sql.SQL(_JOIN).format(
        source=block.source,
        kind=sql.SQL("LEFT" if stage.keeps_empty else "INNER"),
        elements=sql.SQL(_ELEMENTS_AND_NULL if stage.keeps_empty else _ELEMENTS).format(
            array=array
        ),
        alias=sql.Identifier(alias),
    )
    block = replace(block, source=source, ties=(*block.ties, Term(place)))
    element = Column(head, value, may_miss=stage.keeps_empty)
    if rest:
        # What is no array stays where it is, and what is missing makes no objects on its way.
        whole = block.rows.field(head)
        inside = sql.SQL(_IN_PLACE).format(
            array=array, whole=whole, inside=set_inside(whole, tuple(rest), value)
        )
        element = Column(head, inside)
    if stage.index is None and not rest:
        return replace(block, rows=over(block.rows, [element]))
    fields = [(stage.path[:1], element)]
    if stage.index is not None:
        index = sql.SQL(_INDEX).format(array=array, place=place)
        fields.append((stage.index, Column("", index, may_miss=False)))
    return put(context, block, fields)
