"""From the JSON of a pipeline to its stages. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from documents import expressions, query
from documents.aggregation import groups, names, nearness, shapes
from documents.aggregation.ast import (
    Count,
    Facet,
    Limit,
    Lookup,
    Match,
    Pipeline,
    ReplaceRoot,
    Sample,
    Skip,
    SortBy,
    Stage,
    Unwind,
)
from documents.aggregation.problems import invalid, unsupported
from documents.collections import NAME
from documents.geo.near import without_near
from documents.query import paths, sort
from documents.query.ast import Path

MAX_STAGES: Final = 100  # those of $lookup and $facet included
MAX_LOOKUPS: Final = 5  # one inside the other
MAX_NODES: Final = 10_000  # values of the JSON, all in all
MAX_BRANCHES: Final = 50  # of $facet
MAX_COUNT: Final = 2**31 - 1  # of $limit, $skip, $sample


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pipeline stands."""

    variables: frozenset[str] = frozenset()
    lookups: int = 0
    is_facet: bool = False


def parse(pipeline: Any) -> Pipeline:
    """The stages. Raises Malformed `invalid_query`, or `unsupported_operator` for what is unknown.

    What a small request can ask for is bounded: stages, nested lookups, values all in all.
    """
    if _weigh(pipeline) > MAX_NODES:
        raise invalid(f"it has more than {MAX_NODES} values", "pipeline")
    return _Parser().pipeline(pipeline, _Place())


def _weigh(value: Any) -> int:
    if isinstance(value, Mapping):
        return 1 + sum(map(_weigh, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(_weigh, value))
    return 1


class _Parser:
    def __init__(self) -> None:
        self._stages = 0

    def pipeline(self, spec: Any, place: _Place) -> Pipeline:
        if not isinstance(spec, list):
            raise invalid("a pipeline is an array of stages", "pipeline")
        made: list[Stage] = []
        for number, stage in enumerate(spec):
            if not isinstance(stage, Mapping) or len(stage) != 1:
                raise invalid(f"stage {number} is not an object of one operator", "pipeline")
            self._stages += 1
            if self._stages > MAX_STAGES:
                raise invalid(f"there are more than {MAX_STAGES} stages", "pipeline")
            ((name, argument),) = stage.items()
            if place.is_facet and name == "$facet":
                raise invalid("it cannot stand inside of another", name)
            made += self._stage(name, argument, place, is_first=not made)
        return tuple(made)

    def _stage(
        self, name: str, argument: Any, place: _Place, *, is_first: bool
    ) -> tuple[Stage, ...]:
        known = place.variables
        match name:
            case "$match":
                return (Match(_filter(argument, place)),)
            case "$project":
                return (shapes.parse_project(argument, known),)
            case "$addFields" | "$set":
                return (shapes.parse_add_fields(argument, known, name),)
            case "$unset":
                return (shapes.parse_unset(argument),)
            case "$group":
                return (groups.parse_group(argument, known),)
            case "$sortByCount":
                return groups.parse_sort_by_count(argument, known)
            case "$bucket":
                return groups.parse_bucket(argument, known)
            case "$bucketAuto":
                return (groups.parse_bucket_auto(argument, known),)
            case "$sort":
                if not isinstance(argument, Mapping) or not argument:
                    raise invalid('it takes an object such as {"at": -1}', name)
                return (SortBy(sort.parse(argument)),)
            case "$limit":
                return (Limit(_count(argument, name, at_least=1)),)
            case "$skip":
                return (Skip(_count(argument, name, at_least=0)),)
            case "$count":
                if not isinstance(argument, str) or not names.is_plain(argument):
                    raise invalid("it takes the name of a field", name)
                return (Count(argument),)
            case "$unwind":
                return (_unwind(argument),)
            case "$lookup":
                return (self._lookup(argument, place),)
            case "$facet":
                return (self._facet(argument, place),)
            case "$geoNear":
                if not is_first or place.is_facet:
                    raise invalid("it is the first stage of a pipeline", name)
                return (nearness.parse_geo_near(argument),)
            case "$sample":
                if not isinstance(argument, Mapping) or set(argument) != {"size"}:
                    raise invalid('it takes {"size": n}', name)
                return (Sample(_count(argument["size"], name, at_least=1)),)
            case "$replaceRoot":
                if not isinstance(argument, Mapping) or set(argument) != {"newRoot"}:
                    raise invalid('it takes {"newRoot": expression}', name)
                return (_replace_root(argument["newRoot"], place, name),)
            case "$replaceWith":
                return (_replace_root(argument, place, name),)
        raise unsupported(name)

    def _lookup(self, spec: Any, place: _Place) -> Lookup:
        where = "$lookup"
        members = {"from", "as", "localField", "foreignField", "let", "pipeline"}
        if not isinstance(spec, Mapping) or set(spec) - members:
            raise invalid(f"it takes an object of {', '.join(sorted(members))}", where)
        if not isinstance(spec.get("from"), str) or not isinstance(spec.get("as"), str):
            raise invalid("from (a collection) and as (a field) are texts", where)
        if NAME.fullmatch(spec["from"]) is None:
            raise invalid("from is the name of a collection", where)
        if place.lookups == MAX_LOOKUPS:
            raise invalid(f"there are more than {MAX_LOOKUPS} lookups inside each other", where)
        if ("localField" in spec) != ("foreignField" in spec):
            raise invalid("localField and foreignField come together", where)
        if "pipeline" not in spec and ("let" in spec or "localField" not in spec):
            raise invalid("it takes localField and foreignField, or a pipeline", where)
        given = spec.get("let", {})
        if not isinstance(given, Mapping) or not all(map(expressions.is_variable, given)):
            raise invalid("let takes an object; a variable begins with a lower case letter", where)
        variables = [
            (name, expressions.parse(value, variables=place.variables, where="$lookup.let"))
            for name, value in given.items()
        ]
        inside = _Place(place.variables | frozenset(given), place.lookups + 1)
        return Lookup(
            spec["from"],
            paths.parse(spec["as"]),
            _field(spec["localField"], where) if "localField" in spec else None,
            _field(spec["foreignField"], where) if "foreignField" in spec else None,
            tuple(variables),
            self.pipeline(spec.get("pipeline", []), inside),
        )

    def _facet(self, spec: Any, place: _Place) -> Facet:
        where = "$facet"
        if not isinstance(spec, Mapping) or not 0 < len(spec) <= MAX_BRANCHES:
            raise invalid(f"it takes an object of 1 to {MAX_BRANCHES} pipelines", where)
        if not all(map(names.is_plain, spec)):
            raise invalid("its names are names of fields", where)
        inside = _Place(place.variables, place.lookups, is_facet=True)
        return Facet(tuple([(name, self.pipeline(each, inside)) for name, each in spec.items()]))


def _filter(argument: Any, place: _Place) -> query.Node:
    if not isinstance(argument, dict):
        raise invalid("it takes a filter", "$match")
    return without_near("$match", query.parse(argument, variables=place.variables))


def _field(value: Any, where: str) -> Path:
    if not isinstance(value, str):
        raise invalid("localField and foreignField are texts", where)
    return paths.parse(value)


def _replace_root(value: Any, place: _Place, where: str) -> ReplaceRoot:
    return ReplaceRoot(expressions.parse(value, variables=place.variables, where=where))


def _unwind(spec: Any) -> Unwind:
    where = "$unwind"
    if isinstance(spec, str):
        spec = {"path": spec}
    members = {"path", "includeArrayIndex", "preserveNullAndEmptyArrays"}
    if not isinstance(spec, Mapping) or set(spec) - members:
        raise invalid('it takes "$field" or {"path": "$field", …}', where)
    path, index = spec.get("path"), spec.get("includeArrayIndex")
    keeps_empty = spec.get("preserveNullAndEmptyArrays", False)
    if not isinstance(path, str) or not path.startswith("$"):
        raise invalid("path is a field with a $ in front", where)
    if index is not None and (not isinstance(index, str) or index.startswith("$")):
        raise invalid("includeArrayIndex is the name of a field", where)
    if not isinstance(keeps_empty, bool):
        raise invalid("preserveNullAndEmptyArrays is true or false", where)
    return Unwind(paths.parse(path[1:]), paths.parse(index) if index else None, keeps_empty)


def _count(value: Any, where: str, *, at_least: int) -> int:
    # Not `in range(…)`: of what is no int that looks at one number after the other.
    if (
        isinstance(value, bool)
        or not isinstance(value, int | Decimal)
        or not at_least <= value <= MAX_COUNT
        or value != int(value)
    ):
        raise invalid(f"it takes a whole number from {at_least} to {MAX_COUNT}", where)
    return int(value)
