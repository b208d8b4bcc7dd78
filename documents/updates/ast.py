"""An update as frozen values. Made by `parser.parse`, carried out by `apply`.

A path is a tuple of steps: names, places in arrays ("0"), and for elements of an array "$" (the
first that the filter matched), "$[]" (all) and "$[x]" (those that the array filter x matches).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias

Path: TypeAlias = tuple[str, ...]
Number: TypeAlias = int | Decimal


@dataclass(frozen=True, slots=True)
class ElementTest:
    """A condition on an element of an array."""

    matches: Callable[[Any], bool]
    cost: int  # of one test, in about the time of one comparison


@dataclass(frozen=True, slots=True)
class Set:
    value: Any


@dataclass(frozen=True, slots=True)
class Unset:
    pass


@dataclass(frozen=True, slots=True)
class Increase:
    amount: Number


@dataclass(frozen=True, slots=True)
class Multiply:
    factor: Number


@dataclass(frozen=True, slots=True)
class Limit:
    """`$min` keeps the lower of the stored value and this one, `$max` the higher."""

    value: Any
    keep: Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Now:
    """`$currentDate`."""


@dataclass(frozen=True, slots=True)
class Rename:
    """The value of `source` moves to the operation's path."""

    source: Path


@dataclass(frozen=True, slots=True)
class Push:
    values: tuple[Any, ...]
    position: int | None = None
    # Fields and directions to sort elements by; the path () is the element itself.
    sort: tuple[tuple[Path, Literal[1, -1]], ...] = ()
    slice: int | None = None


@dataclass(frozen=True, slots=True)
class AddToSet:
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Pop:
    end: Literal[1, -1]  # 1 the last element, -1 the first


@dataclass(frozen=True, slots=True)
class Pull:
    test: ElementTest


@dataclass(frozen=True, slots=True)
class PullAll:
    values: tuple[Any, ...]


Change: TypeAlias = (
    Set | Unset | Increase | Multiply | Limit | Now | Rename
    | Push | AddToSet | Pop | Pull | PullAll
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Operation:
    """One field of an update operator."""

    path: Path
    change: Change
    only_on_insert: bool = False
    weight: int = 0  # characters that it may add at each element it reaches


@dataclass(frozen=True, slots=True)
class Operators:
    operations: tuple[Operation, ...]
    array_filters: Mapping[str, ElementTest] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MergePatch:
    """RFC 7396: members replace or, when null, remove those of the document."""

    members: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Replacement:
    """All of the user's fields."""

    fields: dict[str, Any]


Update: TypeAlias = Operators | MergePatch | Replacement
