"""What can be said of a rule before it ever runs: names, variables, patterns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from auth.rules import ast
from auth.rules.bindings import OBJECT_COLUMNS
from auth.rules.errors import RuleError
from auth.rules.patterns import compile_pattern
from auth.rules.predicate import MAX_GETS, ROOTS

# Roots whose fields are fixed, so that a misspelt one is a mistake and not a silent refusal.
FIELDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "auth": frozenset({"uid", "role", "email", "claims", "provider", "anonymous"}),
        "object": frozenset(OBJECT_COLUMNS),
        "request": frozenset({"ip"}),
    }
)


def check(root: ast.Node, roots: Collection[str]) -> None:
    """Raises RuleError, naming the culprit, if the rule reads what it cannot have here."""
    _names(root, frozenset(roots), frozenset())
    gets = sum(isinstance(node, ast.Get) for node, _ in ast.walk(root))
    if gets > MAX_GETS:
        raise RuleError(f"the rule has {gets} get(); {MAX_GETS} are allowed")


def _names(node: ast.Node, roots: frozenset[str], variables: frozenset[str]) -> None:
    match node:
        case ast.Name(name=name) if name not in roots | variables:
            raise RuleError(_unknown_name(name, roots | variables), node.position)
        case (
            ast.Select(operand=ast.Name(name=name), field=field)
            | ast.Has(operand=ast.Name(name=name), field=field)
        ) if name in FIELDS and field not in FIELDS[name]:
            close = [f"{name}.{known}" for known in get_close_matches(field, FIELDS[name], n=1)]
            meant = [field] if field in roots else close  # Firebase has `request.auth`
            raise RuleError(
                f"{name} has no field {field}; it has {', '.join(sorted(FIELDS[name]))}"
                + (f". Did you mean {meant[0]}?" if meant else ""),
                node.position,
            )
        case ast.Call(function="matches", arguments=(_, pattern)):
            _pattern(pattern)
        case ast.Macro():
            if node.variable in variables or node.variable in ROOTS:
                raise RuleError(
                    f"{node.variable} already has a meaning here; name the variable of "
                    f"{node.macro}() otherwise",
                    node.position,
                )
            _names(node.operand, roots, variables)
            inside = variables | {node.variable}
            for part in ast.children(node)[1:]:
                _names(part, roots, inside)
            return
    for part in ast.children(node):
        _names(part, roots, variables)


def _pattern(node: ast.Node) -> None:
    if not isinstance(node, ast.Literal) or not isinstance(node.value, str):
        raise RuleError("the pattern of matches() must be written as text", node.position)
    try:
        compile_pattern(node.value)
    except ValueError as error:
        raise RuleError(str(error), node.position) from error


def _unknown_name(name: str, known: frozenset[str]) -> str:
    if name in ROOTS:
        return f"{name} cannot be read in this rule; it has {', '.join(sorted(known))}"
    close = get_close_matches(name, known, n=1)
    return f"there is no {name}; the rule can read {', '.join(sorted(known))}" + (
        f". Did you mean {close[0]}?" if close else ""
    )
