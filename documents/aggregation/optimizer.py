"""The same pipeline with what narrows it further in front. Pure.

A `$match` behind a `$lookup` on fields that the lookup does not make comes before it, where an
index may serve it, and where fewer documents are looked up. So do a `$sort` and a `$limit`.
"""

from dataclasses import replace
from typing import Final

from documents import expressions
from documents.aggregation.ast import (
    AddFields,
    Exclude,
    GeoNear,
    Keep,
    Limit,
    Lookup,
    Match,
    Pipeline,
    Project,
    ReplaceRoot,
    Skip,
    SortBy,
    Stage,
    Unwind,
)
from documents.geo.ast import Geo
from documents.query.ast import (
    And,
    Compare,
    ElemMatch,
    Exists,
    Expr,
    In,
    Mod,
    Node,
    Not,
    Or,
    Regex,
    Size,
    Type,
)

# A document in, a document out.
_ONE_TO_ONE: Final = (AddFields, Exclude, Project, Lookup, ReplaceRoot)


def optimized(pipeline: Pipeline) -> Pipeline:
    """Stages that change places with the one in front of them until none does any more."""
    made: list[Stage] = []
    for stage in pipeline:
        place = len(made)
        while place and _may_precede(stage, made[place - 1]):
            place -= 1
        made.insert(place, stage)
    if made and isinstance(made[0], GeoNear):
        made[0] = replace(made[0], enough=_taken(made[1:]))
    return tuple(made)


def _taken(stages: list[Stage]) -> int | None:
    """How many rows the beginning of a pipeline takes at most; None for all."""
    skipped = 0
    for stage in stages:
        match stage:
            case Skip(n):
                skipped += n
            case Limit(n):
                return skipped + n
            case _:
                break
    return None


def _may_precede(stage: Stage, before: Stage) -> bool:
    """Whether it gives the same when it comes before the stage that is in front of it."""
    match stage:
        case Limit() | Skip():
            return isinstance(before, _ONE_TO_ONE)
        case SortBy(sort):
            read = frozenset([field.split(".")[0] for field, _ in sort.fields])
            return isinstance(before, _ONE_TO_ONE) and _keeps(before, read)
        case Match(filter):
            fields = fields_of(filter)
            if fields is None or not isinstance(before, (*_ONE_TO_ONE, Unwind)):
                return False
            return _keeps(before, fields)
    return False


def _keeps(stage: Stage, fields: frozenset[str]) -> bool:
    """Whether the top-level fields are the same before and after the stage."""
    match stage:
        case Project(shape):
            kept = {name for name, below in shape.fields if isinstance(below, Keep)}
            return fields <= kept
        case AddFields(shape) | Exclude(shape):
            return fields.isdisjoint(name for name, _ in shape.fields)
        case Lookup():
            return stage.into[0] not in fields
        case Unwind():
            changed = {stage.path[0], *(stage.index or ())[:1]}
            return fields.isdisjoint(changed)
    return False


def fields_of(filter: Node) -> frozenset[str] | None:
    """The top-level fields that a filter reads; None when it may read others, too."""
    match filter:
        case And(parts) | Or(parts):
            found = [fields_of(part) for part in parts]
            if None in found:
                return None
            return frozenset[str]().union(*[each for each in found if each is not None])
        case Not(part):
            return fields_of(part)
        case Expr(expression):
            paths = expressions.paths(expression)
            return None if "" in paths else frozenset([path.split(".")[0] for path in paths])
        case (
            Compare(path) | In(path) | Exists(path) | Type(path) | Regex(path) | Mod(path)
            | Size(path) | ElemMatch(path) | Geo(path)
        ):  # fmt: skip
            return frozenset(path[:1])
    return None
