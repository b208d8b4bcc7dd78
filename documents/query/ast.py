"""A filter as a tree of frozen nodes. Made by `parse`, read by `to_sql` and `compile_predicate`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from psycopg import sql

from documents.geo.ast import Geo
from documents.query.text import Text

if TYPE_CHECKING:  # expressions use parts of this package
    from documents.expressions import ast as expressions

Operator: TypeAlias = Literal["eq", "gt", "gte", "lt", "lte"]
# The steps of a dotted path. Without any: the element itself, in an `ElemMatch` of operators.
Path: TypeAlias = tuple[str, ...]
TypeName: TypeAlias = Literal[
    "null", "number", "whole", "string", "object", "array", "binary", "boolean", "date"
]


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Node"


@dataclass(frozen=True, slots=True)
class Compare:
    """Some value at the path, or an element of an array there, compares with `value`.

    `value` is JSON with exact numbers (dates as `{"$date"}` in their canonical form). Values of
    different kinds are neither equal nor less nor greater; null is only equal.
    """

    path: Path
    op: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class In:
    """Some value at the path, or an element of an array there, equals one of `values`."""

    path: Path
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """The path leads to a value, null included."""

    path: Path


@dataclass(frozen=True, slots=True)
class Type:
    """Some value at the path, or an element of an array there, is of one of the types."""

    path: Path
    types: frozenset[TypeName]


@dataclass(frozen=True, slots=True)
class Regex:
    """Some text at the path, or in an array there, matches. `options` are some of `imsx`."""

    path: Path
    pattern: str
    options: str


@dataclass(frozen=True, slots=True)
class Mod:
    """Some number at the path, cut to a whole one, leaves `remainder` (with its sign)."""

    path: Path
    divisor: int
    remainder: int


@dataclass(frozen=True, slots=True)
class Size:
    """An array at the path has so many elements."""

    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class ElemMatch:
    """One element of an array at the path fulfils all of `part`.

    With `of_objects` the element is the document of `part` (an array as an object whose fields
    are its places); otherwise it is the value that the empty paths of `part` lead to.
    """

    path: Path
    part: "Node"
    of_objects: bool


@dataclass(frozen=True, slots=True)
class Expr:
    """The aggregation expression is true. There is no predicate for one document."""

    expression: "expressions.Node"


@dataclass(frozen=True, slots=True)
class Implied:
    """What the rest of the filter implies, said once more in the words of a partial index."""

    index: str
    condition: Callable[[Any], sql.Composable | None]  # on these `Rows`


Leaf: TypeAlias = (
    Compare | In | Exists | Type | Regex | Mod | Size | ElemMatch | Expr | Geo | Text | Implied
)
Node: TypeAlias = And | Or | Not | Leaf

EVERYTHING = And(())
NOTHING = Or(())
