"""A filter as a tree of frozen nodes. Made by `parse`, read by `to_sql` and `compile_predicate`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from psycopg import sql

from documents.query.text import Text

Operator: TypeAlias = Literal["eq", "gt", "gte", "lt", "lte"]
Path: TypeAlias = tuple[str, ...]


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

    `value` is JSON with exact numbers (dates as `{"$date"}` in their canonical form). Only "eq"
    takes null, arrays and documents.
    """

    path: Path
    op: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class In:
    """Some value at the path equals one of `values`."""

    path: Path
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """The path leads to a value, null included."""

    path: Path


@dataclass(frozen=True, slots=True)
class Implied:
    """What the rest of the filter implies, said once more in the words of a partial index."""

    index: str
    condition: Callable[[str], sql.Composable | None]  # on the rows of this alias


Node: TypeAlias = And | Or | Not | Compare | In | Exists | Implied | Text

EVERYTHING = And(())
NOTHING = Or(())
