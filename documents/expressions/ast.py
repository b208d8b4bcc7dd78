"""An aggregation expression as a tree of frozen nodes. Made by `parse`, read by `to_sql`."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from documents import values


@dataclass(frozen=True, slots=True)
class Constant:
    """A value in the form that documents store (dates as canonical `{"$date"}`)."""

    value: Any = field(compare=False)
    # Its JSON: in Python true equals 1, and lists have no hash.
    text: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", values.dumps(self.value).decode())


@dataclass(frozen=True, slots=True)
class Path:
    """`$a.b` has the variable "CURRENT" and the steps ("a", "b"), `$$x` has "x" and none."""

    variable: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """`$$REMOVE`: a field with this value is left out."""


@dataclass(frozen=True, slots=True)
class Object:
    fields: tuple[tuple[str, "Node"], ...]


@dataclass(frozen=True, slots=True)
class Array:
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Call:
    """An operator with its arguments in their places; None for one that was not given."""

    operator: str
    arguments: tuple["Node | None", ...]


@dataclass(frozen=True, slots=True)
class Switch:
    """The first branch whose condition is true: `$cond` and `$switch`. No other is evaluated."""

    branches: tuple[tuple["Node", "Node"], ...]
    default: "Node | None"  # None: it is an error when no branch is true


@dataclass(frozen=True, slots=True)
class Let:
    variables: tuple[tuple[str, "Node"], ...]
    body: "Node"


@dataclass(frozen=True, slots=True)
class Map:
    input: "Node"
    variable: str
    body: "Node"


@dataclass(frozen=True, slots=True)
class Filter:
    input: "Node"
    variable: str
    condition: "Node"
    limit: "Node | None"


@dataclass(frozen=True, slots=True)
class Reduce:
    """`body` reads the variables `value` (made so far) and `this` (the element)."""

    input: "Node"
    initial: "Node"
    body: "Node"


@dataclass(frozen=True, slots=True)
class SortArray:
    """Sorted by the elements themselves when `by` names no fields, which is one direction then."""

    input: "Node"
    by: tuple[tuple[tuple[str, ...], Literal[1, -1]], ...]


Node: TypeAlias = (
    Constant | Path | Missing | Object | Array | Call | Switch | Let | Map | Filter | Reduce
    | SortArray
)  # fmt: skip

ROOT: Final = "ROOT"
CURRENT: Final = "CURRENT"
NULL: Final = Constant(None)
NODES: Final = (
    Constant, Missing, Object, Array, Call, Switch, Let, Map, Filter, Reduce, SortArray
)  # fmt: skip
