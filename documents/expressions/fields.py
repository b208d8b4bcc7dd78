"""Which parts of the root an expression reads, so that a query can leave out the others."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from documents.expressions import ast
from documents.expressions.ast import Node, Path


def paths(node: Node) -> frozenset[str]:
    """Dotted field paths of the root, `""` for the whole of it. Variables count by what they are
    made of, which stands elsewhere in the expression."""
    return frozenset(
        ".".join(path.steps) for path in _paths(node) if path.variable in (ast.ROOT, ast.CURRENT)
    )


def _paths(part: Any) -> Iterator[Path]:
    if isinstance(part, Path):
        yield part
    elif isinstance(part, tuple):
        for inner in part:
            yield from _paths(inner)
    elif isinstance(part, ast.NODES) and not isinstance(part, ast.Constant):
        for field in fields(part):
            yield from _paths(getattr(part, field.name))
