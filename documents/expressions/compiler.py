"""Expressions as SQL: each part of an expression stands once in the text (short ones a few times).

Families of operators (`arithmetic`, `strings` …) give a function for each operator; what needs
more than a line of SQL calls a function that migration 0004 made. Those which can fail are STABLE,
so the planner does not evaluate them ahead in a branch that is never taken.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from psycopg import sql

from documents.expressions import ast, traversal
from documents.expressions.ast import Node
from documents.expressions.code import MISSING, Code, array, constant, flat
from documents.expressions.scope import Scope
from documents.query import columns

Arguments: TypeAlias = tuple[Node | None, ...]
Operator: TypeAlias = Callable[["Compiler", Arguments], Code]


@dataclass(frozen=True, slots=True)
class Compiler:
    scope: Scope
    operators: Mapping[str, Operator]
    nodes: Mapping[type, Callable[["Compiler", Any], Code]]
    names: list[int]  # how many names were given away: shared by all levels

    def code(self, node: Node) -> Code:
        code = self._code(node)
        return replace(code, text=flat(code.text))

    def _code(self, node: Node) -> Code:
        match node:
            case ast.Constant():
                return constant(node.value)
            case ast.Path():
                return traversal.path(self.scope, node)
            case ast.Missing():
                return MISSING
            case ast.Array(items):
                return Code(
                    sql.SQL("to_jsonb({})").format(array([self.json(item) for item in items]))
                )
            case ast.Object(fields):
                return self._object(fields)
            case ast.Call(operator, arguments):
                return self.operators[operator](self, arguments)
        compile = self.nodes[type(node)]
        return compile(self, node)

    def json(self, node: Node | None) -> sql.Composable:
        """jsonb, NULL when missing; an argument that was not given is missing."""
        return MISSING.text if node is None else self.code(node).json

    def all_json(self, nodes: Arguments) -> list[sql.Composable]:
        return [self.json(node) for node in nodes]

    def truth(self, node: Node) -> sql.Composable:
        return self.code(node).truth

    def alias(self) -> str:
        """A name for a row source that no other part of the expression has."""
        self.names[0] += 1
        return f"_x{self.names[0]}"

    def having(self, variables: Mapping[str, sql.Composable]) -> "Compiler":
        """For what also reads these variables."""
        known = {**self.scope.variables, **variables}
        return Compiler(Scope(self.scope.rows, known), self.operators, self.nodes, self.names)

    def _object(self, fields: tuple[tuple[str, Node], ...]) -> Code:
        """Fields that may be missing go through a function which leaves them out."""
        names = [columns.literal(name) for name, _ in fields]
        codes = [self.code(node) for _, node in fields]
        optional = [place for place, code in enumerate(codes) if code.optional]
        whole = _build([(name, code.json) for name, code in zip(names, codes, strict=True)])
        if not optional:
            return Code(whole)
        present = [(names[p], codes[p].json) for p in range(len(codes)) if p not in optional]
        some = sql.SQL("({} || documents_object(ARRAY[{}]::text[], {}))").format(
            _build(present),
            sql.SQL(", ").join([names[place] for place in optional]),
            array([codes[place].json for place in optional]),
        )
        if not all(code.cheap for code in codes):
            return Code(some)
        there = sql.SQL(" OR ").join(
            [sql.SQL("{} IS NULL").format(codes[place].text) for place in optional]
        )
        return Code(sql.SQL("CASE WHEN {} THEN {} ELSE {} END").format(there, some, whole))


def _build(pairs: list[tuple[sql.Composable, sql.Composable]]) -> sql.Composable:
    """A jsonb object. A function of PostgreSQL takes 100 arguments at most."""
    parts = []
    for start in range(0, max(len(pairs), 1), 50):
        members = [member for pair in pairs[start : start + 50] for member in pair]
        parts.append(sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(members)))
    return sql.SQL("({})").format(sql.SQL(" || ").join(parts))
