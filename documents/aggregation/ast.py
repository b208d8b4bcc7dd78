"""A pipeline as a tuple of frozen stages. Made by `parse`, read by the compilers of this package.

Stages that MongoDB defines by others are those others: `$set` is AddFields, `$unset` is Exclude,
`$replaceWith` is ReplaceRoot, `$sortByCount` and `$bucket` are a Group and a Sort.
"""

from dataclasses import dataclass
from typing import TypeAlias

from documents import query
from documents.expressions.ast import Node as Expression
from documents.geo.ast import Near, NearFlat
from documents.query.ast import Path
from documents.query.sort import Sort


@dataclass(frozen=True, slots=True)
class Keep:
    """The field as it is."""


KEEP = Keep()


@dataclass(frozen=True, slots=True)
class Shape:
    """What becomes of an object's fields: kept, computed, or shaped in turn."""

    fields: tuple[tuple[str, "Keep | Expression | Shape"], ...]


@dataclass(frozen=True, slots=True)
class Match:
    filter: query.Node


@dataclass(frozen=True, slots=True)
class Project:
    """The fields named, and no others."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class AddFields:
    """All fields, with those named computed."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Exclude:
    """All fields but those named (Keep stands for "goes")."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Accumulator:
    """An accumulator of `$group` without its `$`. `n` and `by` for those that take them."""

    name: str
    argument: Expression | None
    n: int | None = None
    by: Sort | None = None


@dataclass(frozen=True, slots=True)
class Group:
    id: Expression
    fields: tuple[tuple[str, Accumulator], ...]


@dataclass(frozen=True, slots=True)
class Count:
    name: str


@dataclass(frozen=True, slots=True)
class BucketAuto:
    by: Expression
    buckets: int
    fields: tuple[tuple[str, Accumulator], ...]


@dataclass(frozen=True, slots=True)
class SortBy:
    sort: Sort


@dataclass(frozen=True, slots=True)
class Limit:
    n: int


@dataclass(frozen=True, slots=True)
class Skip:
    n: int


@dataclass(frozen=True, slots=True)
class Sample:
    n: int


@dataclass(frozen=True, slots=True)
class Unwind:
    path: Path
    index: Path | None  # where the place in the array goes
    keeps_empty: bool


@dataclass(frozen=True, slots=True)
class Lookup:
    collection: str
    into: Path
    local: Path | None
    foreign: Path | None
    variables: tuple[tuple[str, Expression], ...]
    pipeline: tuple["Stage", ...]


@dataclass(frozen=True, slots=True)
class Facet:
    branches: tuple[tuple[str, tuple["Stage", ...]], ...]


@dataclass(frozen=True, slots=True)
class ReplaceRoot:
    value: Expression


@dataclass(frozen=True, slots=True)
class GeoNear:
    """The nearest first. It begins its pipeline."""

    key: Path | None  # without one it is the field of the collection's geo index
    test: Near | NearFlat
    filter: query.Node
    into: Path  # where the distance goes
    multiplier: float
    locations: Path | None  # where the place goes that is nearest
    enough: int | None = None  # how many the stages behind it take at most


Stage: TypeAlias = (
    Match | Project | AddFields | Exclude | Group | Count | BucketAuto | SortBy | Limit | Skip
    | Sample | Unwind | Lookup | Facet | ReplaceRoot | GeoNear
)  # fmt: skip
Pipeline: TypeAlias = tuple[Stage, ...]
