"""Back end two: a filter as a condition on rows: of a collection's table, or made by a query.

By construction no text of a caller becomes SQL: values are parameters, steps of paths are quoted
by psycopg. Every expression is true or false, never NULL, so `NOT` is exact.

A path of which a declared index knows that no array is on its way (`scalars`) compiles to the
expressions of that index. Any other path goes through jsonpath, whose lax mode opens one level of
arrays at each step as MongoDB does; `type()` looks at a value without opening it, which keeps
arrays of arrays apart.
"""

import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final, LiteralString, TypeAlias

from psycopg import sql

from documents import values
from documents.geo import to_sql as geo
from documents.geo.ast import Geo
from documents.query import columns, order, paths, text
from documents.query.ast import And, Compare, Exists, Implied, In, Node, Not, Operator, Or, Path
from documents.query.rows import Rows
from documents.query.text import Text

Make: TypeAlias = Callable[[Any], Any]

TRUE: Final = sql.SQL("true")
FALSE: Final = sql.SQL("false")
_REACHED: Final = sql.SQL("v")
_SYMBOLS: Final[dict[Operator, LiteralString]] = {
    "eq": "=",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
}
# The first character of documents_sort_text for each type (documents.query.order), and what comes
# after all of its kind.
_BRACKETS: Final[dict[str, tuple[LiteralString, LiteralString]]] = {
    "string": ("3", "4"),
    "boolean": ("8", "9"),
    "date": ("9", ":"),
}
_TIMES: Final = frozenset({"_createdAt", "_updatedAt"})


class Parameters:
    """The values of a statement, named as they come; the names never depend on the values."""

    def __init__(self, prefix: LiteralString = "q") -> None:
        self.values: dict[str, Any] = {}
        self.prefix = prefix

    def add(self, value: Any, cast: LiteralString) -> sql.Composable:
        name = f"{self.prefix}{len(self.values)}"
        self.values[name] = value
        return _placeholder(name, cast)


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled filter: good for every filter of the same `shape`."""

    sql: sql.Composable
    # parameter, the number of the leaf whose value it is made of, and how
    sources: tuple[tuple[str, int, Make], ...]

    def bind(self, node: Node) -> dict[str, Any]:
        """The parameters for a filter of that shape."""
        found: list[Any] = []
        _leaves(node, found)
        return {name: make(found[leaf]) for name, leaf, make in self.sources}


def to_sql(node: Node, parameters: Parameters, rows: Rows) -> sql.Composable:
    """The condition that picks rows; its values go into `parameters`."""
    condition = compile_condition(node, rows, parameters.prefix, len(parameters.values))
    parameters.values.update(condition.bind(node))
    return condition.sql


def compile_condition(node: Node, rows: Rows, prefix: str = "q", first: int = 0) -> Condition:
    """As `to_sql`, without the values: keep it under `shape(node)`.

    Its parameters are named `prefix` and a number from `first`.
    """
    compiler = _Compiler(rows, prefix, first)
    composed = compiler.node(node)
    return Condition(composed, tuple(compiler.sources))


def shape(node: Node) -> Hashable:
    """What is the same for all filters that compile to the same text."""
    match node:
        case Compare(path, op, value):
            return (path, op, _kind(value))
        case In(path, candidates):
            return (path, tuple([_kind(value) for value in candidates]))
        case Exists(path):
            return path
        case Implied(index):
            return ("implied", index)
        case Geo():
            return geo.shape(node)
        case Text():
            return text.shape(node)
        case Not(part):
            return ("!", shape(part))
        case And(parts):
            return ("&", *[shape(part) for part in parts])
        case Or(parts):
            return ("|", *[shape(part) for part in parts])


def _kind(value: Any) -> str:
    """All that the compiler looks at in a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | Decimal():
            return "number"
        case str():
            return "string"
        case dict() if "$date" in value:
            return "date"
    return "json"


def _leaves(node: Node, found: list[Any]) -> None:
    """The values of a filter, in the order in which the compiler meets them."""
    match node:
        case Compare():
            found.append(node.value)
        case In():
            found.append(node.values)
        case Geo():
            found.append(node.test)
        case Text():
            found.append(node)
        case Not(part):
            _leaves(part, found)
        case And(parts) | Or(parts):
            for part in parts:
                _leaves(part, found)


def _placeholder(name: str, cast: LiteralString) -> sql.Composable:
    return sql.SQL("{}::{}").format(sql.Placeholder(name), sql.SQL(cast))


# How parameters are made of values.


def _itself(value: Any) -> Any:
    return value


def _after(pick: Make, make: Make) -> Make:
    return make if pick is _itself else lambda value: make(pick(value))


def _strings(candidates: Any) -> list[str]:
    return [value for value in candidates if isinstance(value, str)]


def _numbers(candidates: Any) -> list[str]:
    return [str(value) for value in candidates if _kind(value) == "number"]


def _sort_texts(candidates: Any) -> list[str]:
    return [sort_text(value) for value in candidates if _kind(value) not in ("number", "json")]


def _json(value: Any) -> str:
    return values.dumps(value).decode()


def _variables(value: Any) -> str:
    return _json({"v": _bare(value)})


def _date(value: Any) -> str:
    text: str = value["$date"]
    return text


class _Compiler:
    def __init__(self, rows: Rows, prefix: str, first: int) -> None:
        self.sources: list[tuple[str, int, Make]] = []
        self._rows = rows
        self._prefix = prefix
        self._first = first
        self._leaf = -1  # which leaf is being compiled

    def _add(self, make: Make, cast: LiteralString) -> sql.Composable:
        """A parameter that is made from the value of the present leaf."""
        name = f"{self._prefix}{self._first + len(self.sources)}"
        self.sources.append((name, self._leaf, make))
        return _placeholder(name, cast)

    def node(self, node: Node) -> sql.Composable:
        match node:
            case And(parts):
                return _join(" AND ", [self.node(part) for part in parts], TRUE)
            case Or(parts):
                return _join(" OR ", [self.node(part) for part in parts], FALSE)
            case Not(part):
                return sql.SQL("NOT ({})").format(self.node(part))
            case Compare(path, op, value):
                self._leaf += 1
                return self._compare(path, op, _kind(value), _itself)
            case In(path, candidates):
                self._leaf += 1
                return self._in(path, [_kind(value) for value in candidates])
            case Exists(path):
                return self._exists(path)
            case Implied(_, condition):
                return condition(self._rows.alias) or TRUE
            case Geo():
                self._leaf += 1
                return geo.condition(node, self._rows, self._add)
            case Text():
                self._leaf += 1
                return text.to_sql(node, self._rows, self._add)

    def _compare(self, path: Path, op: Operator, kind: str, pick: Make) -> sql.Composable:
        """`pick` takes the value from the leaf's."""
        if self._is_system(path):
            return self._system(path[0], op, kind, pick)
        if ".".join(path) in self._rows.scalars and kind != "json":
            return self._indexed(path, op, kind, pick)
        if paths.has_index(path) or kind == "json":
            return self._reached(path, op, kind, pick)
        if kind == "null":
            return self._jsonpath(self._rows.doc, _null_path(path))
        return self._jsonpath(
            self._rows.doc, _steps(path) + _test(op, kind), _after(pick, _variables)
        )

    # System fields of a table are columns.

    def _is_system(self, path: Path) -> bool:
        return self._rows.is_table and len(path) == 1 and path[0] in columns.SYSTEM

    def _system(self, field: str, op: Operator, kind: str, pick: Make) -> sql.Composable:
        symbol = sql.SQL(_SYMBOLS[op])
        column = self._rows.column(columns.SYSTEM[field])
        if field in _TIMES:
            if kind != "date":
                return FALSE
            moment = self._add(_after(pick, _date), "timestamptz")
            return sql.SQL("{} {} {}").format(column, symbol, moment)
        if field == "_version":
            if kind != "number":
                return FALSE
            number = self._add(_after(pick, str), "numeric")
            return sql.SQL("{} {} {}").format(column, symbol, number)
        if field == "_owner" and kind == "null":
            return sql.SQL("{} IS NULL").format(column)
        if kind != "string":
            return FALSE
        text = self._add(pick, "text")
        if field == "_id":
            return sql.SQL("{} {} {}").format(column, symbol, text)
        return sql.SQL("({0} IS NOT NULL AND {0} {1} {2})").format(column, symbol, text)

    # Fields with an index, free of arrays.

    def _indexed(self, path: Path, op: Operator, kind: str, pick: Make) -> sql.Composable:
        text, number = columns.value_keys(columns.value(path, self._rows.doc))
        if kind == "null":
            return sql.SQL("({} = '1' AND {} = 0)").format(text, number)
        if kind == "number":
            return sql.SQL("({} = '2' AND {} {} {})").format(
                text, number, sql.SQL(_SYMBOLS[op]), self._add(_after(pick, str), "numeric")
            )
        start, end = _BRACKETS[kind]
        bound = self._add(_after(pick, sort_text), "text")
        if op == "eq":
            return sql.SQL("({} = {} AND {} = 0)").format(text, bound, number)
        if op in ("gt", "gte"):
            return sql.SQL("({} {} {} AND {} < {})").format(
                text, sql.SQL(_SYMBOLS[op]), bound, text, sql.Literal(end)
            )
        return sql.SQL("({} {} {} AND {} >= {})").format(
            text, sql.SQL(_SYMBOLS[op]), bound, text, sql.Literal(start)
        )

    # Everything else.

    def _reached(self, path: Path, op: Operator, kind: str, pick: Make) -> sql.Composable:
        """The general case: look at each value that the path reaches."""
        return sql.SQL("EXISTS (SELECT FROM documents_reach({}, {}) AS r(v) WHERE {})").format(
            self._rows.doc, columns.path_array(path), self._leaf_test(op, kind, pick)
        )

    def _leaf_test(self, op: Operator, kind: str, pick: Make) -> sql.Composable:
        """A test of the reached value `v`, NULL when missing."""
        if kind == "null":
            return sql.SQL("(v IS NULL OR jsonb_path_exists(v, '$ ? (@ == null)'))").format()
        if kind == "json":
            same = self._add(_after(pick, _json), "jsonb")
            return sql.SQL(
                "(v = {same} OR (jsonb_typeof(v) = 'array' AND EXISTS (SELECT FROM"
                " jsonb_array_elements(CASE jsonb_typeof(v) WHEN 'array' THEN v ELSE '[]' END)"
                " AS e(item) WHERE item = {same})))"
            ).format(same=same)
        return self._jsonpath(_REACHED, "$" + _test(op, kind), _after(pick, _variables))

    def _in(self, path: Path, kinds: list[str]) -> sql.Composable:
        if not kinds:
            return FALSE
        if self._is_system(path) and path == ("_id",):
            return sql.SQL("{} = ANY({})").format(
                self._rows.column("_id"), self._add(_strings, "text[]")
            )
        if ".".join(path) in self._rows.scalars:
            return self._indexed_in(path, kinds)
        parts = [
            self._compare(path, "eq", kind, itemgetter(place)) for place, kind in enumerate(kinds)
        ]
        return _join(" OR ", parts, FALSE)

    def _indexed_in(self, path: Path, kinds: list[str]) -> sql.Composable:
        text, number = columns.value_keys(columns.value(path, self._rows.doc))
        parts = [
            self._compare(path, "eq", kind, itemgetter(place))
            for place, kind in enumerate(kinds)
            if kind == "json"
        ]
        if "number" in kinds:
            some = self._add(_numbers, "numeric[]")
            parts.append(sql.SQL("({} = '2' AND {} = ANY({}))").format(text, number, some))
        if any(kind not in ("json", "number") for kind in kinds):
            some = self._add(_sort_texts, "text[]")
            parts.append(sql.SQL("{} = ANY({})").format(text, some))
        return _join(" OR ", parts, FALSE)

    def _exists(self, path: Path) -> sql.Composable:
        if len(path) == 1:
            if self._is_system(path):
                return TRUE
            return sql.SQL("({} ? {})").format(self._rows.doc, columns.literal(path[0]))
        if paths.has_index(path):
            return sql.SQL(
                "EXISTS (SELECT FROM documents_reach({}, {}) AS r(v) WHERE v IS NOT NULL)"
            ).format(self._rows.doc, columns.path_array(path))
        return self._jsonpath(self._rows.doc, _steps(path))

    def _jsonpath(
        self, column: sql.Composable, path: str, variables: Make | None = None
    ) -> sql.Composable:
        # In silent mode errors (a number against a text) are "no", as they should be.
        return sql.SQL("coalesce(jsonb_path_exists({}, {}::jsonpath, {}, true), false)").format(
            column,
            columns.literal(path),
            self._add(variables, "jsonb") if variables else sql.SQL("'{}'"),
        )


def sort_text(value: Any) -> str:
    """What `documents_sort_text` makes of a value that is no array."""
    return order.NUMBER if _kind(value) == "number" else order.text(value)


def _join(
    word: LiteralString, parts: list[sql.Composable], when_empty: sql.Composable
) -> sql.Composable:
    if not parts:
        return when_empty
    if len(parts) == 1:
        return parts[0]
    return sql.SQL("({})").format(sql.SQL(word).join(parts))


def _steps(path: Path) -> str:
    return "$" + "".join(["." + json.dumps(step) for step in path])


def _test(op: Operator, kind: str) -> str:
    """A jsonpath filter: the type is asked first, because comparisons would open arrays."""
    symbol = "==" if op == "eq" else _SYMBOLS[op]
    if kind == "date":
        return f' ? (@.type() == "object" && @."$date" {symbol} $v)'
    return f' ? (@.type() == "{kind}" && @ {symbol} $v)'


def _bare(value: Any) -> Any:
    return value["$date"] if isinstance(value, dict) else value


def _null_path(path: Path) -> str:
    """True where the path leads to null, or to nothing: a step is missing in an object, or the
    way ends in something that is neither an object nor an array."""
    tests = [f'exists({_steps(path)} ? (@.type() == "null"))']
    for end in range(len(path)):
        parent = _steps(path[:end])
        step = json.dumps(path[end])
        tests.append(f'exists({parent} ? (@.type() == "object" && !exists(@.{step})))')
        if end:
            tests.append(f'exists({parent}.type() ? (@ != "object" && @ != "array"))')
    return f"$ ? ({' || '.join(tests)})"
