"""The syntax tree of a rule: frozen nodes, a walk over them, and their text.

Back ends read these nodes only; nobody outside the parser knows the grammar.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal as Choices
from typing import TypeAlias

Scalar: TypeAlias = bool | int | Decimal | str | bytes | None
Comparison: TypeAlias = Choices["==", "!=", "<", "<=", ">", ">=", "in"]
Operator: TypeAlias = Choices["+", "-", "*", "/", "%"]
MacroName: TypeAlias = Choices["all", "exists", "exists_one", "map", "filter"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """Any expression. `position` is its offset in the source and no part of its identity."""

    position: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Literal(Node):
    value: Scalar  # an int was written without, a Decimal with a fraction or exponent


@dataclass(frozen=True, kw_only=True, slots=True)
class Name(Node):
    """A root (`doc`) or a macro's variable."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Select(Node):
    operand: Node
    field: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Index(Node):
    operand: Node
    key: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Call(Node):
    """`f(a, b)` or `a.f(b)`: the receiver is the first argument."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Has(Node):
    operand: Node
    field: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Get(Node):
    """`get("collection", id)`: another document, or null."""

    collection: str
    id: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Macro(Node):
    macro: MacroName
    operand: Node
    variable: str
    condition: Node | None = None  # only of `map(x, condition, body)`
    body: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class ListOf(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MapOf(Node):
    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Not(Node):
    operand: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Negate(Node):
    operand: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Compare(Node):
    op: Comparison
    left: Node
    right: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Arithmetic(Node):
    op: Operator
    left: Node
    right: Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Logic(Node):
    """A whole chain of one operator, so that a long chain is not a deep tree."""

    op: Choices["&&", "||"]
    operands: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice(Node):
    """`condition ? then : otherwise`"""

    condition: Node
    then: Node
    otherwise: Node


def children(node: Node) -> tuple[Node, ...]:
    """The direct parts of `node`, in source order."""
    match node:
        case Select() | Has() | Not() | Negate():
            return (node.operand,)
        case Index():
            return (node.operand, node.key)
        case Call():
            return node.arguments
        case Get():
            return (node.id,)
        case Macro():
            if node.condition is None:
                return (node.operand, node.body)
            return (node.operand, node.condition, node.body)
        case ListOf():
            return node.items
        case MapOf():
            return tuple(part for entry in node.entries for part in entry)
        case Compare() | Arithmetic():
            return (node.left, node.right)
        case Logic():
            return node.operands
        case Choice():
            return (node.condition, node.then, node.otherwise)
        case _:
            return ()


def walk(node: Node) -> Iterator[tuple[Node, int]]:
    """Every node below and including `node`, with its depth (the root's is 1).

    Does not recurse, so it can measure a tree that is too deep for what does.
    """
    pending = [(node, 1)]
    while pending:
        current, depth = pending.pop()
        yield current, depth
        pending.extend((child, depth + 1) for child in children(current))
