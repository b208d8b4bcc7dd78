"""Why a rule allowed or refused: the clauses that decided it, with the values they saw."""

from __future__ import annotations

from auth.rules import ast, values
from auth.rules.errors import BudgetSpent, Fault
from auth.rules.predicate import Environment, compile_predicate
from auth.rules.unparse import to_text


def explain(root: ast.Node, env: Environment) -> tuple[bool, str]:
    """Whether the rule allows, and a sentence that says why."""
    allowed = _value(root, env) is True
    return allowed, "; ".join(_reasons(root, env)) or to_text(root)


def _value(node: ast.Node, env: Environment) -> values.Value:
    env[-1].restart()  # each clause is evaluated anew, the rule as a whole only once
    try:
        return compile_predicate(node)(env)
    except (Fault, BudgetSpent) as error:
        return error


def _reasons(node: ast.Node, env: Environment) -> list[str]:
    """One line for each clause that made `node` what it is."""
    value = _value(node, env)
    if isinstance(node, ast.Logic):
        outcomes = [(part, _value(part, env)) for part in node.operands]
        decisive = node.op == "||"
        if value is decisive:
            return _reasons(next(part for part, found in outcomes if found is decisive), env)
        only_failed = node.op == "&&" and value is not True
        return [
            line
            for part, found in outcomes
            if not (only_failed and found is True)
            for line in _reasons(part, env)
        ]
    if isinstance(node, ast.Choice):
        taken = _value(node.condition, env)
        if isinstance(taken, bool):
            return [
                f"{to_text(node.condition)} is {values.describe(taken)}",
                *_reasons(node.then if taken else node.otherwise, env),
            ]
    return [_line(node, value, env)]


def _line(node: ast.Node, value: values.Value, env: Environment) -> str:
    text = to_text(node)
    if isinstance(value, Exception):
        return f"{text} failed: {value}"
    line = f"{text} is {values.describe(value)}"
    seen = ", ".join(
        f"{to_text(part)} = {values.describe(found)}"
        for part in _operands(node)
        if not isinstance(part, ast.Literal)
        and not isinstance(found := _value(part, env), Exception)
    )
    return f"{line} ({seen})" if seen else line


def _operands(node: ast.Node) -> tuple[ast.Node, ...]:
    match node:
        case ast.Not():
            return _operands(node.operand)
        case ast.Macro():
            return (node.operand,)
        case ast.Compare() | ast.Call() | ast.Arithmetic() | ast.Index():
            return ast.children(node)
        case _:
            return ()
