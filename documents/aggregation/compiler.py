"""Stages as SQL, one after the other: each takes a block and gives one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from documents import query
from documents.aggregation import (
    ast,
    buckets,
    facets,
    fields,
    grouping,
    joining,
    nearness,
    unwinding,
)
from documents.aggregation.ast import Limit, Match, Pipeline, Skip, SortBy
from documents.aggregation.block import Block, Context, Term, flat, with_doc
from documents.aggregation.optimizer import optimized
from documents.query import sort
from documents.query.leaves import can_fail, conjuncts


def compile_stages(context: Context, stages: Pipeline, block: Block) -> Block:
    for stage in optimized(stages):
        block = STAGES[type(stage)](context, stage, block)
    return block


def _match(context: Context, stage: Match, block: Block) -> Block:
    block = flat(context, block)
    guarded = any(map(can_fail, conjuncts(stage.filter)))
    if guarded and block.guarded:
        # Once more would double the text, and so on with each stage.
        block = with_doc(context, block, block.rows.doc)
    condition = query.to_sql(
        stage.filter,
        context.statement.parameters,
        block.rows,
        variables=context.variables,
        # An `$expr` that fails would tell something about a row that the caller may not read.
        readable=block.readable,
    )
    return replace(block, where=(*block.where, condition), guarded=block.guarded or guarded)


def _sort(context: Context, stage: SortBy, block: Block) -> Block:
    block = flat(context, block)
    terms = [
        Term(expression, direction)
        for field, direction in stage.sort.fields
        for expression in sort.expressions(field, direction, block.rows)
    ]
    return replace(block, order=tuple(terms))


def _limit(context: Context, stage: Limit, block: Block) -> Block:
    return replace(block, limit=stage.n if block.limit is None else min(stage.n, block.limit))


def _skip(context: Context, stage: Skip, block: Block) -> Block:
    left = None if block.limit is None else max(0, block.limit - stage.n)
    return replace(block, limit=left, skip=block.skip + stage.n)


_Compile = Callable[[Context, Any, Block], Block]
STAGES: Final[Mapping[type, _Compile]] = {
    ast.Match: _match,
    ast.SortBy: _sort,
    ast.Limit: _limit,
    ast.Skip: _skip,
    ast.Project: fields.project,
    ast.AddFields: fields.add_fields,
    ast.Exclude: fields.exclude,
    ast.ReplaceRoot: fields.replace_root,
    ast.Group: grouping.group,
    ast.Count: grouping.count,
    ast.BucketAuto: buckets.bucket_auto,
    ast.Unwind: unwinding.unwind,
    ast.Lookup: joining.lookup,
    ast.Facet: facets.facet,
    ast.Sample: facets.sample,
    ast.GeoNear: nearness.geo_near,
}
