"""Back end two: a filter as the WHERE clause of a collection's table.

By construction no text of a caller becomes SQL: values are parameters, steps of paths are quoted
by psycopg. Every expression is true or false, never NULL, so `NOT` is exact.

A path of which a declared index knows that no array is on its way (`scalars`) compiles to the
expressions of that index. Any other path goes through jsonpath, whose lax mode opens one level of
arrays at each step as MongoDB does; `type()` looks at a value without opening it, which keeps
arrays of arrays apart.
"""

import json
from collections.abc import Collection
from decimal import Decimal
from typing import Any, Final, LiteralString

from psycopg import sql

from documents import values
from documents.query import columns, paths
from documents.query.ast import And, Compare, Exists, In, Node, Not, Operator, Or, Path

TRUE: Final = sql.SQL("true")
FALSE: Final = sql.SQL("false")
_SYMBOLS: Final[dict[Operator, LiteralString]] = {
    "eq": "=",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
}
# The first character of documents_sort_text for each type, and what comes after all of its kind.
_STRING, _STRING_END = "3", "4"
_BOOLEAN, _BOOLEAN_END = "8", "9"
_DATE, _DATE_END = "9", ":"
_TIMES: Final[dict[str, LiteralString]] = {
    "_createdAt": "created_at",
    "_updatedAt": "updated_at",
}


class Parameters:
    """The values of a statement, named as they come; the names never depend on the values."""

    def __init__(self, prefix: LiteralString = "q") -> None:
        self.values: dict[str, Any] = {}
        self._prefix = prefix

    def add(self, value: Any, cast: LiteralString) -> sql.Composable:
        name = f"{self._prefix}{len(self.values)}"
        self.values[name] = value
        return sql.SQL("{}::{}").format(sql.Placeholder(name), sql.SQL(cast))


def to_sql(
    node: Node, parameters: Parameters, scalars: Collection[str] = frozenset()
) -> sql.Composable:
    """The condition over the columns of a collection's table; its values go into `parameters`.

    `scalars` are the fields of which the table makes sure that no array is on their way.
    """
    return _Compiler(parameters, scalars).node(node)


class _Compiler:
    def __init__(self, parameters: Parameters, scalars: Collection[str]) -> None:
        self._parameters = parameters
        self._scalars = scalars

    def node(self, node: Node) -> sql.Composable:
        match node:
            case And(parts):
                return _join(" AND ", [self.node(part) for part in parts], TRUE)
            case Or(parts):
                return _join(" OR ", [self.node(part) for part in parts], FALSE)
            case Not(part):
                return sql.SQL("NOT ({})").format(self.node(part))
            case Compare(path, op, value):
                return self._compare(path, op, value)
            case In(path, candidates):
                return self._in(path, candidates)
            case Exists(path):
                return self._exists(path)

    def _compare(self, path: Path, op: Operator, value: Any) -> sql.Composable:
        if len(path) == 1 and path[0] in columns.SYSTEM:
            return self._system(path[0], op, value)
        plain = not isinstance(value, dict | list) or values.is_date(value)
        if ".".join(path) in self._scalars and plain:
            return self._indexed(path, op, value)
        if paths.has_index(path) or not plain:
            return self._reached(path, op, value)
        if value is None:
            return self._jsonpath("doc", _null_path(path), {})
        return self._jsonpath("doc", _steps(path) + _test(op, value), {"v": _bare(value)})

    # System fields are columns.

    def _system(self, field: str, op: Operator, value: Any) -> sql.Composable:
        symbol = sql.SQL(_SYMBOLS[op])
        if field in _TIMES:
            if not values.is_date(value):
                return FALSE
            moment = self._parameters.add(value["$date"], "timestamptz")
            return sql.SQL("{} {} {}").format(sql.SQL(_TIMES[field]), symbol, moment)
        if field == "_version":
            if isinstance(value, bool) or not isinstance(value, int | Decimal):
                return FALSE
            number = self._parameters.add(str(value), "numeric")
            return sql.SQL("version {} {}").format(symbol, number)
        if field == "_owner" and value is None:
            return sql.SQL("owner IS NULL")
        if not isinstance(value, str):
            return FALSE
        text = self._parameters.add(value, "text")
        if field == "_id":
            return sql.SQL("_id {} {}").format(symbol, text)
        return sql.SQL("(owner IS NOT NULL AND owner {} {})").format(symbol, text)

    # Fields with an index, free of arrays.

    def _indexed(self, path: Path, op: Operator, value: Any) -> sql.Composable:
        text, number = columns.value_keys(columns.value(path))
        if value is None:
            return sql.SQL("({} = '1' AND {} = 0)").format(text, number)
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return sql.SQL("({} = '2' AND {} {} {})").format(
                text, number, sql.SQL(_SYMBOLS[op]), self._parameters.add(str(value), "numeric")
            )
        start, end = _bracket(value)
        bound = self._parameters.add(sort_text(value), "text")
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

    def _reached(self, path: Path, op: Operator, value: Any) -> sql.Composable:
        """The general case: look at each value that the path reaches."""
        return sql.SQL("EXISTS (SELECT FROM documents_reach(doc, {}) AS r(v) WHERE {})").format(
            self._parameters.add(list(path), "text[]"), self._leaf(op, value)
        )

    def _leaf(self, op: Operator, value: Any) -> sql.Composable:
        """A test of the reached value `v`, NULL when missing."""
        if value is None:
            return sql.SQL("(v IS NULL OR jsonb_path_exists(v, '$ ? (@ == null)'))").format()
        if isinstance(value, dict | list) and not values.is_date(value):
            same = self._parameters.add(values.dumps(value).decode(), "jsonb")
            return sql.SQL(
                "(v = {same} OR (jsonb_typeof(v) = 'array' AND EXISTS (SELECT FROM"
                " jsonb_array_elements(CASE jsonb_typeof(v) WHEN 'array' THEN v ELSE '[]' END)"
                " AS e(item) WHERE item = {same})))"
            ).format(same=same)
        return self._jsonpath("v", "$" + _test(op, value), {"v": _bare(value)})

    def _in(self, path: Path, candidates: tuple[Any, ...]) -> sql.Composable:
        if not candidates:
            return FALSE
        if path == ("_id",):
            texts = [value for value in candidates if isinstance(value, str)]
            return sql.SQL("_id = ANY({})").format(self._parameters.add(texts, "text[]"))
        if ".".join(path) in self._scalars:
            return self._indexed_in(path, candidates)
        return _join(" OR ", [self._compare(path, "eq", value) for value in candidates], FALSE)

    def _indexed_in(self, path: Path, candidates: tuple[Any, ...]) -> sql.Composable:
        text, number = columns.value_keys(columns.value(path))
        numbers, texts, rest = [], [], []
        for value in candidates:
            if isinstance(value, dict | list) and not values.is_date(value):
                rest.append(value)
            elif isinstance(value, int | Decimal) and not isinstance(value, bool):
                numbers.append(str(value))
            else:
                texts.append(sort_text(value))
        parts = [self._compare(path, "eq", value) for value in rest]
        if numbers:
            some = self._parameters.add(numbers, "numeric[]")
            parts.append(sql.SQL("({} = '2' AND {} = ANY({}))").format(text, number, some))
        if texts:
            some = self._parameters.add(texts, "text[]")
            parts.append(sql.SQL("{} = ANY({})").format(text, some))
        return _join(" OR ", parts, FALSE)

    def _exists(self, path: Path) -> sql.Composable:
        if len(path) == 1:
            if path[0] in columns.SYSTEM:
                return TRUE
            return sql.SQL("doc ? {}").format(self._parameters.add(path[0], "text"))
        if paths.has_index(path):
            return sql.SQL(
                "EXISTS (SELECT FROM documents_reach(doc, {}) AS r(v) WHERE v IS NOT NULL)"
            ).format(self._parameters.add(list(path), "text[]"))
        return self._jsonpath("doc", _steps(path), {})

    def _jsonpath(
        self, column: LiteralString, path: str, variables: dict[str, Any]
    ) -> sql.Composable:
        # In silent mode errors (a number against a text) are "no", as they should be.
        return sql.SQL("coalesce(jsonb_path_exists({}, {}, {}, true), false)").format(
            sql.SQL(column),
            self._parameters.add(path, "jsonpath"),
            self._parameters.add(values.dumps(variables).decode(), "jsonb"),
        )


def sort_text(value: Any) -> str:
    """What `documents_sort_text` makes of a value."""
    match value:
        case None:
            return "1"
        case bool():
            return _BOOLEAN + ("true" if value else "false")
        case int() | Decimal() | float():
            return "2"
        case str():
            return _STRING + value
        case dict():
            return _DATE + value["$date"] if "$date" in value else "4"
        case list():
            return "5" if value else "0"
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _bracket(value: Any) -> tuple[LiteralString, LiteralString]:
    if isinstance(value, bool):
        return _BOOLEAN, _BOOLEAN_END
    if isinstance(value, str):
        return _STRING, _STRING_END
    return _DATE, _DATE_END


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


def _test(op: Operator, value: Any) -> str:
    """A jsonpath filter: the type is asked first, because comparisons would open arrays."""
    symbol = "==" if op == "eq" else _SYMBOLS[op]
    if values.is_date(value):
        return f' ? (@.type() == "object" && @."$date" {symbol} $v)'
    kind = (
        "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"
    )
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
