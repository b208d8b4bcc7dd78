"""Back end two: a filter as a condition on rows: of a collection's table, or made by a query.

By construction no text of a caller becomes SQL: values are parameters, steps of paths are quoted
by psycopg. Every expression is true or false, never NULL, so `NOT` is exact.

A path of which a declared index knows that no array is on its way (`Rows.scalars`) compiles to the
expressions of that index (`indexed`), an equality on a field that has arrays to those of its
multikey index (`Rows.multikeys`) beside the exact test. System fields of a table are columns
(`system`). Any other path goes through jsonpath where that can say it (`jsonpaths`), otherwise
through a test of each value that it reaches (`reached`).
"""

from collections.abc import Mapping
from typing import Final, LiteralString

from psycopg import sql
from psycopg.sql import Composable

from documents import expressions
from documents.expressions.scope import Scope
from documents.geo import to_sql as geo
from documents.geo.ast import Geo
from documents.query import (
    columns,
    indexed,
    jsonpaths,
    multikey,
    paths,
    reached,
    regexes,
    system,
    text,
)
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
    Operator,
    Or,
    Path,
    Regex,
    Size,
    Type,
)
from documents.query.condition import Condition, Parameters
from documents.query.fragments import FALSE, TRUE, join, placeholder
from documents.query.leaves import (
    Kind,
    Make,
    can_fail,
    conjuncts,
    kind,
    shape,
)
from documents.query.rows import Rows
from documents.query.text import Text

__all__ = ["Condition", "Parameters", "compile_condition", "shape", "to_sql"]

# What jsonpath compares as we do, on any path.
_PLAIN: Final[frozenset[Kind]] = frozenset({"null", "boolean", "number", "string", "date"})
_NO_VARIABLES: Final[Mapping[str, Composable]] = {}


def to_sql(
    node: Node,
    parameters: Parameters,
    rows: Rows,
    *,
    variables: Mapping[str, Composable] = _NO_VARIABLES,
    readable: Composable | None = None,
) -> Composable:
    """The condition that picks rows; its values go into `parameters`.

    `variables` are what `$expr` may read beyond the rows. Where not every row may be read,
    `readable` says which, and stands beside the condition. Raises Malformed.
    """
    first = len(parameters.values)
    complete = node if rows.implied is None else rows.implied(node)
    condition = compile_condition(complete, rows, parameters.prefix, first, variables)
    parameters.values.update(condition.bind(node))
    return condition.sql if readable is None else condition.guarded(readable)


def compile_condition(
    node: Node,
    rows: Rows,
    prefix: str = "q",
    first: int = 0,
    variables: Mapping[str, Composable] = _NO_VARIABLES,
) -> Condition:
    """As `to_sql`, without the values: keep it under `shape(node)`.

    Its parameters are named `prefix` and a number from `first`.
    """
    compiler = _Compiler(variables, prefix, first)
    safe: list[Composable] = []
    risky: list[Composable] = []
    for part in conjuncts(node):
        (risky if can_fail(part) else safe).append(compiler.node(part, rows))
        if isinstance(part, Expr):
            # What finds the rows by an index; the expression itself looks at what was found.
            safe += expressions.implied(part.expression, Scope(rows, variables))
    return Condition(
        join(" AND ", [*safe, *compiler.checks], TRUE),
        join(" AND ", risky, TRUE) if risky else None,
        tuple(compiler.sources),
    )


class _Compiler:
    def __init__(self, variables: Mapping[str, Composable], prefix: str, first: int) -> None:
        self.sources: list[tuple[str, int, Make]] = []
        # True whatever the row is, or an error: PostgreSQL evaluates them before any row.
        self.checks: list[Composable] = []
        self._variables = variables
        self._prefix = prefix
        self._first = first
        self._leaf = -1  # which leaf is being compiled
        self._aliases = 0

    def _add(self, make: Make, cast: LiteralString) -> Composable:
        """A parameter that is made from the value of the present leaf."""
        name = f"{self._prefix}{self._first + len(self.sources)}"
        self.sources.append((name, self._leaf, make))
        return placeholder(name, cast)

    def node(self, node: Node, rows: Rows) -> Composable:
        path: Path = getattr(node, "path", ())
        rows = rows.facing(path)
        match node:
            case And(parts):
                return join(" AND ", [self.node(part, rows) for part in parts], TRUE)
            case Or(parts):
                return join(" OR ", [self.node(part, rows) for part in parts], FALSE)
            case Not(part):
                return sql.SQL("NOT ({})").format(self.node(part, rows))
            case ElemMatch():
                return self._element(node, rows)
            case Exists(path):
                return _exists(path, rows)
            case Type(path, types):
                return reached.any_value(rows, path, lambda v: reached.is_of_type(v, types))
            case Expr(expression):
                return expressions.truth(expression, Scope(rows, self._variables))
            case Implied(_, condition):
                return condition(rows) or TRUE
        self._leaf += 1
        return self._with_value(node, rows)

    def _with_value(
        self, node: Compare | In | Regex | Mod | Size | Geo | Text, rows: Rows
    ) -> Composable:
        match node:
            case Compare(path, op, value):
                exact = self._compare(path, op, kind(value), rows)
                if op == "eq" and ".".join(path) in rows.multikeys:
                    wanted = self._add(multikey.key, "text[]")
                    return multikey.narrowed(rows, path, wanted, exact)
                return exact
            case In(path, candidates):
                exact = self._in(path, frozenset(map(kind, candidates)), rows)
                if ".".join(path) in rows.multikeys:
                    wanted = self._add(multikey.keys, "text[]")
                    return multikey.narrowed(rows, path, wanted, exact)
                return exact
            case Regex():
                return self._regex(node, rows)
            case Mod(path):
                divisor = self._add(lambda mod: str(mod.divisor), "numeric")
                remainder = self._add(lambda mod: str(mod.remainder), "numeric")
                return reached.any_value(
                    rows, path, lambda v: reached.leaves_remainder(v, divisor, remainder)
                )
            case Size(path):
                size = self._add(lambda node: str(node.size), "numeric")
                return reached.some_reached(rows, path, lambda v: reached.is_of_size(v, size))
            case Geo():
                return geo.condition(node, rows, self._add)
            case Text():
                return text.to_sql(node, rows, self._add)

    def _compare(self, path: Path, op: Operator, kind: Kind, rows: Rows) -> Composable:
        if system.has(rows, path):
            return system.compare(rows, path[0], op, kind, self._add)
        if ".".join(path) in rows.scalars and kind != "array":
            return indexed.compare(rows, path, op, kind, self._add)
        if path and kind in _PLAIN and not paths.has_index(path):
            return jsonpaths.compare(rows, path, op, kind, self._add)
        return reached.compare(rows, path, op, kind, self._add)

    def _in(self, path: Path, kinds: frozenset[Kind], rows: Rows) -> Composable:
        if system.has(rows, path):
            return system.is_in(rows, path[0], kinds, self._add)
        if ".".join(path) in rows.scalars:
            return indexed.is_in(rows, path, kinds, self._add)
        return reached.is_in(rows, path, kinds, self._add)

    def _regex(self, node: Regex, rows: Rows) -> Composable:
        pattern = self._add(
            lambda regex: regexes.for_postgres(regex.pattern, regex.options), "text"
        )
        # A pattern that is none is refused, whether or not a row is looked at.
        self.checks.append(sql.SQL("('' ~ {}) IS NOT NULL").format(pattern))
        has_prefix = bool(regexes.prefix(node.pattern, node.options))
        if system.has(rows, node.path):
            return system.matches(rows, node.path[0], pattern, self._add if has_prefix else None)
        exact = reached.any_value(rows, node.path, lambda v: reached.matches(v, pattern))
        if has_prefix and ".".join(node.path) in rows.scalars:
            return sql.SQL("({} AND {})").format(indexed.begins(rows, node.path, self._add), exact)
        return exact

    def _element(self, node: ElemMatch, rows: Rows) -> Composable:
        self._aliases += 1
        alias = f"e{self._aliases}"
        first = self._leaf + 1
        inner = self.node(node.part, Rows(alias))
        found = reached.some_element(rows, node.path, alias, inner, node.of_objects)
        last = self._leaf
        for leaf, path in multikey.equalities(node, first):
            if ".".join(path) in rows.multikeys:
                self._leaf = leaf
                found = multikey.narrowed(rows, path, self._add(multikey.key, "text[]"), found)
        self._leaf = last
        return found


def _exists(path: Path, rows: Rows) -> Composable:
    if not path or system.has(rows, path):
        return TRUE
    if len(path) == 1:
        return sql.SQL("({} ? {})").format(rows.doc, columns.literal(path[0]))
    if paths.has_index(path):
        return reached.some_reached(rows, path, reached.is_there)
    return jsonpaths.exists(rows, path)
