"""Syntax tree to source text, for messages and for the round-trip tests."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from auth.rules import ast, literals
from auth.rules.catalog import RECEIVER_FUNCTIONS

# How tightly each construct binds; a looser part inside a tighter one needs parentheses.
_CHOICE, _OR, _AND, _RELATION, _SUM, _PRODUCT, _UNARY, _MEMBER = range(8)
_ARITHMETIC: Final = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "%": _PRODUCT}


def to_text(node: ast.Node) -> str:
    """Source text that parses to a tree equal to `node`."""
    return _write(node, _CHOICE)


def _write(node: ast.Node, at_least: int) -> str:
    text, binding = _render(node)
    return text if binding >= at_least else f"({text})"


def _list(nodes: tuple[ast.Node, ...]) -> str:
    return ", ".join(_write(node, _CHOICE) for node in nodes)


def _render(node: ast.Node) -> tuple[str, int]:
    match node:
        case ast.Literal():
            return _literal(node.value)
        case ast.Name():
            return node.name, _MEMBER
        case ast.Select():
            return f"{_write(node.operand, _MEMBER)}.{node.field}", _MEMBER
        case ast.Index():
            return f"{_write(node.operand, _MEMBER)}[{_write(node.key, _CHOICE)}]", _MEMBER
        case ast.Call(function=name) if name in RECEIVER_FUNCTIONS:
            receiver = _write(node.arguments[0], _MEMBER)
            return f"{receiver}.{name}({_list(node.arguments[1:])})", _MEMBER
        case ast.Call():
            return f"{node.function}({_list(node.arguments)})", _MEMBER
        case ast.Has():
            return f"has({_write(node.operand, _MEMBER)}.{node.field})", _MEMBER
        case ast.Get():
            collection = literals.write_text(node.collection)
            return f"get({collection}, {_write(node.id, _CHOICE)})", _MEMBER
        case ast.Macro():
            parts = [node.variable, _write(node.body, _CHOICE)]
            if node.condition is not None:
                parts.insert(1, _write(node.condition, _CHOICE))
            return f"{_write(node.operand, _MEMBER)}.{node.macro}({', '.join(parts)})", _MEMBER
        case ast.ListOf():
            return f"[{_list(node.items)}]", _MEMBER
        case ast.MapOf():
            entries = (f"{_write(k, _CHOICE)}: {_write(v, _CHOICE)}" for k, v in node.entries)
            return "{" + ", ".join(entries) + "}", _MEMBER
        case ast.Not():
            return "!" + _write(node.operand, _MEMBER), _UNARY
        case ast.Negate():
            return "-" + _write(node.operand, _MEMBER), _UNARY
        case ast.Compare():
            left, right = _write(node.left, _RELATION), _write(node.right, _SUM)
            return f"{left} {node.op} {right}", _RELATION
        case ast.Arithmetic():
            own = _ARITHMETIC[node.op]
            return f"{_write(node.left, own)} {node.op} {_write(node.right, own + 1)}", own
        case ast.Logic():
            own = _AND if node.op == "&&" else _OR
            return f" {node.op} ".join(_write(part, own + 1) for part in node.operands), own
        case ast.Choice():
            condition, then = _write(node.condition, _OR), _write(node.then, _OR)
            return f"{condition} ? {then} : {_write(node.otherwise, _CHOICE)}", _CHOICE
    raise TypeError(f"not a rule's node: {node!r}")


def _literal(value: ast.Scalar) -> tuple[str, int]:
    match value:
        case None:
            return "null", _MEMBER
        case bool():
            return str(value).lower(), _MEMBER
        case str():
            return literals.write_text(value), _MEMBER
        case bytes():
            return literals.write_bytes(value), _MEMBER
        case int():
            return str(value), _MEMBER if value >= 0 else _UNARY
        case Decimal():
            text = str(value)
            text = text if "." in text or "E" in text else text + ".0"
            return text.replace("E+", "e").replace("E", "e"), (
                _UNARY if value.is_signed() else _MEMBER
            )
