"""`$bucketAuto` as SQL."""

from typing import Final, LiteralString

from psycopg import sql

from documents import expressions
from documents.aggregation.accumulators import compile_accumulator
from documents.aggregation.ast import BucketAuto
from documents.aggregation.block import Block, Closing, Context, Term, named, order_by
from documents.aggregation.fields import scope
from documents.aggregation.grouping import prepared
from documents.aggregation.rows import Column, MadeRows
from documents.query import columns

# Rows are numbered in the order of their keys; a bucket is known by the number of its first.
_SOURCE: Final[LiteralString] = """(
WITH {all} AS MATERIALIZED (SELECT {one}.*,
        row_number() OVER (ORDER BY {sort}{ties}) AS place,
        count(*) OVER (ORDER BY {sort}) AS last_equal FROM {rows}),
    {starts} AS MATERIALIZED (SELECT documents_bucket_starts(
        array_agg(last_equal ORDER BY place), {buckets}) AS starts FROM {all})
SELECT jsonb_build_object('min', low,
        'max', coalesce(lead(low) OVER (ORDER BY bucket), high)) AS id,
    made.* FROM (SELECT width_bucket(place, starts) AS bucket,
        (array_agg({key} ORDER BY place))[1] AS low,
        (array_agg({key} ORDER BY place DESC))[1] AS high
        {aggregates} FROM {all} AS {one}, {starts} GROUP BY bucket) AS made OFFSET 0) AS {alias}"""


def bucket_auto(context: Context, stage: BucketAuto, block: Block) -> Block:
    """Buckets of about the same size, equal values never apart, in the order of their bounds.

    As in MongoDB a bucket is filled with n / buckets (rounded) rows and then with what equals the
    last of them; the last bucket takes the rest.
    """
    block = prepared(context, block, [stage.by], stage.fields)
    closing = Closing(context.statement, block)
    one = closing.alias
    code = expressions.to_sql(stage.by, scope(context, block))
    key = closing.add(sql.SQL("coalesce({}, 'null')").format(code))
    sort = closing.add(columns.order_key(sql.SQL("coalesce({}, 'null')").format(code)))
    name = context.statement.name
    alias, starts, whole = name("g"), sql.Identifier(name("w")), sql.Identifier(name("w"))
    place = (Term(sql.Identifier(one, "place")),)
    aggregates, made = [], [Column("_id", sql.Identifier(alias, "id"), may_miss=False)]
    for field, accumulator in stage.fields:
        column = name("f")
        made.append(Column(field, sql.Identifier(alias, column), may_miss=False))
        total = compile_accumulator(context, accumulator, block, closing, place)
        aggregates.append(sql.SQL(", {}").format(named(total, column)))
    ties = sql.SQL(", {}").format(order_by(closing.terms)) if closing.terms else sql.SQL("")
    source = sql.SQL(_SOURCE).format(
        all=whole,
        one=sql.Identifier(one),
        sort=sort,
        ties=ties,
        rows=closing.source,
        starts=starts,
        buckets=sql.Literal(stage.buckets),
        key=key,
        aggregates=sql.SQL("").join(aggregates),
        alias=sql.Identifier(alias),
    )
    return Block(
        source=source,
        rows=MadeRows(alias, made=tuple(made), has_doc=False),
        order=(Term(sql.Identifier(alias, "bucket")),),
    )
