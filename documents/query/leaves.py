"""What of a filter becomes text of a statement, and what its parameters.

Filters of the same `shape` compile to the same text: it is composed once and bound to the values
of each filter. The values are numbered by the leaves that they come from, in the order in which
`leaves` lists them and the compiler meets them.
"""

from collections.abc import Callable, Hashable, Iterator
from decimal import Decimal
from typing import Any, Literal, LiteralString, TypeAlias

from psycopg import sql

from documents.geo import to_sql as geo
from documents.geo.ast import Geo
from documents.query import regexes, text
from documents.query.ast import (
    And,
    Compare,
    ElemMatch,
    Exists,
    Expr,
    Implied,
    In,
    Mod,
    Node,
    Not,
    Or,
    Regex,
    Size,
    Type,
)
from documents.query.text import Text

# Makes a parameter of the value of a leaf.
Make: TypeAlias = Callable[[Any], Any]
# Adds such a parameter for the present leaf; gives its placeholder, cast to the type.
Add: TypeAlias = Callable[[Make, LiteralString], sql.Composable]
Kind: TypeAlias = Literal[
    "null", "boolean", "number", "string", "date", "binary", "object", "array"
]


def kind(value: Any) -> Kind:
    """All that the compiler looks at in a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | Decimal() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict() if "$date" in value:
            return "date"
        case dict() if "$binary" in value:
            return "binary"
    return "object"


def shape(node: Node) -> Hashable:
    """What is the same for all filters that compile to the same text."""
    match node:
        case And(parts):
            return ("&", *[shape(part) for part in parts])
        case Or(parts):
            return ("|", *[shape(part) for part in parts])
        case Not(part):
            return ("!", shape(part))
        case Compare(path, op, value):
            return (path, op, kind(value))
        case In(path, candidates):
            return ("in", path, frozenset(map(kind, candidates)))
        case Exists(path):
            return path
        case Type(path, types):
            return ("type", path, types)
        case Regex(path, pattern, options):
            return ("regex", path, bool(regexes.prefix(pattern, options)))
        case Mod(path) | Size(path):
            return (type(node), path)
        case ElemMatch(path, part, of_objects):
            return ("element", path, of_objects, shape(part))
        case Expr(expression):
            return ("expr", repr(expression))
        case Geo():
            return ("geo", geo.shape(node))
        case Text():
            return ("text", text.shape(node))
        case Implied(index):
            return ("implied", index)


def leaves(node: Node, found: list[Any]) -> None:
    """Add the values of a filter to `found`, in the order in which the compiler meets them."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                leaves(part, found)
        case Not(part) | ElemMatch(_, part, _):
            leaves(part, found)
        case Compare():
            found.append(node.value)
        case In():
            found.append(node.values)
        case Geo():
            found.append(node.test)
        case Regex() | Mod() | Size() | Text():
            found.append(node)
        case Exists() | Type() | Expr() | Implied():
            pass


def conjuncts(node: Node) -> Iterator[Node]:
    """The conditions that all have to hold, in the order of their leaves."""
    if isinstance(node, And):
        for part in node.parts:
            yield from conjuncts(part)
    else:
        yield node


def can_fail(node: Node) -> bool:
    """Whether it depends on the row if evaluating the filter is an error."""
    match node:
        case And(parts) | Or(parts):
            return any(map(can_fail, parts))
        case Not(part) | ElemMatch(_, part, _):
            return can_fail(part)
    return isinstance(node, Expr)
