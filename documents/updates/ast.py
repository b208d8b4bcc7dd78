"""An update as frozen values. Made by `parser.parse`, carried out by `apply`."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Set:
    path: Path
    value: Any


@dataclass(frozen=True, slots=True)
class Unset:
    path: Path


@dataclass(frozen=True, slots=True)
class Inc:
    path: Path
    amount: int | Decimal


@dataclass(frozen=True, slots=True)
class Push:
    path: Path
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class MergePatch:
    """RFC 7396: members replace or, when null, remove those of the document."""

    members: dict[str, Any]


Operation: TypeAlias = Set | Unset | Inc | Push
Update: TypeAlias = tuple[Operation, ...] | MergePatch
