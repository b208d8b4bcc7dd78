"""Back end two: a syntax tree becomes a boolean SQL expression over the rows of a list.

What does not depend on the row is computed first, in Python, by the predicate of that part. The
rest is written so that NULL stands where the predicate has a fault. `loose` marks the places in
which FALSE will do for NULL (the root, and below `&&` and `||` of such a place); there the SQL is
the plain comparison that an index can serve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Final

from psycopg import sql

from auth.rules import ast, functions_sql, predicate, values
from auth.rules.bindings import DOCUMENT_COLUMNS, Bindings, ColumnKind
from auth.rules.errors import RuleNotCompilable
from auth.rules.fragments import (
    ERROR,
    FALSE,
    NULL_BOOL,
    TRUE,
    Fragment,
    as_bool,
    as_json,
    as_text,
    constant,
    let,
    shared,
    start_aliases,
)
from auth.rules.relations import compare, equal, within
from auth.rules.unparse import to_text

MAX_MACRO_DEPTH: Final = 3

_CALLERS_ROOTS: Final = frozenset({"auth", "data", "now", "request"})


class _Fault:
    """Stands for a value whose evaluation failed."""

    def __repr__(self) -> str:
        return "<fault>"


FAULT: Final = _Fault()


class Compiler:
    """Compiles one rule for one caller. Without `known` it only proves that it could.

    `known` has the value, or FAULT, of each of `known_parts`, by the node's id().
    Raises RuleNotCompilable for what has no SQL of the same meaning.
    """

    def __init__(
        self,
        bindings: Bindings,
        free: dict[int, frozenset[str]],
        known: Mapping[int, values.Value] | None,
    ) -> None:
        self.bindings = bindings
        self.free = free  # see free_names
        self.values = known
        self.aliases = count(1)
        self.macro_depth = 0
        self.variables: dict[str, sql.Composable] = {}

    def where(self, root: ast.Node) -> sql.Composable:
        """The expression for a WHERE clause; TRUE or FALSE itself if the rows do not matter."""
        start_aliases()
        part = self.truth(root, loose=True)
        return FALSE if part.kind == "error" else as_bool(part, loose=True)

    # truth values

    def truth(self, node: ast.Node, *, loose: bool) -> Fragment:
        """A fragment of kind bool, or the error."""
        if not self.varies(node):
            return _only_bool(self.known(node))
        match node:
            case ast.Logic():
                return self.logic(node, loose=loose)
            case ast.Not():
                operand = self.truth(node.operand, loose=False)
                if operand.kind == "error":
                    return ERROR
                if operand.constant:
                    return constant(not operand.value)
                return _bool(sql.SQL("(NOT {})").format(as_bool(operand)))
            case ast.Compare():
                return self.comparison(node, loose=loose)
            case ast.Has():
                return self.has(node, loose=loose)
            case ast.Macro(macro="all" | "exists" | "exists_one"):
                return self.quantifier(node, loose=loose)
            case _:
                part = self.fragment(node)
                if part.constant or part.kind not in ("bool", "json"):
                    return _only_bool(part)
                return _bool(as_bool(part, loose=loose))

    def logic(self, node: ast.Logic, *, loose: bool) -> Fragment:
        decisive = node.op == "||"
        parts: list[sql.Composable] = []
        for operand in node.operands:
            part = self.truth(operand, loose=loose)
            if part.kind == "error":
                if loose and not decisive:
                    return constant(False)
                if not loose:
                    parts.append(NULL_BOOL)
            elif not part.constant:
                parts.append(part.code)
            elif part.value is decisive:
                return constant(decisive)
        if not parts:
            # a chain of nothing but faults, in a loose place, is as good as false
            return constant(not decisive)
        joined = sql.SQL(" OR " if decisive else " AND ").join(parts)
        return _bool(sql.SQL("({})").format(joined) if len(parts) > 1 else parts[0])

    def comparison(self, node: ast.Compare, *, loose: bool) -> Fragment:
        for whole, other in ((node.left, node.right), (node.right, node.left)):
            if isinstance(whole, ast.Get):
                return self.get_or_null(whole, other, node.op, loose=loose)
        if node.op == "in" and self.is_row(node.right):
            return self.key_of_row(node)
        left, right = self.fragment(node.left), self.fragment(node.right)
        if "error" in (left.kind, right.kind):
            return ERROR
        if node.op == "==":
            return self.narrowed(node, left, right, equal(left, right, loose=loose), loose=loose)
        if node.op == "!=":
            same = equal(left, right, loose=False)
            if same.constant:
                return same if same.kind == "error" else constant(not same.value)
            return _bool(sql.SQL("(NOT {})").format(same.code))
        if node.op == "in":
            return self.narrowed(node, left, right, within(left, right, loose=loose), loose=loose)
        return compare(node.op, left, right, loose=loose)

    def narrowed(
        self, node: ast.Compare, left: Fragment, right: Fragment, test: Fragment, *, loose: bool
    ) -> Fragment:
        """`test`, with what the table's indexes can add to it."""
        if not loose or test.constant or self.bindings.narrow is None or self.values is None:
            return test
        field, known = (node.left, right) if right.constant else (node.right, left)
        path = self.row_path(field)
        if not path or not known.constant or (node.op == "in" and field is node.right):
            return test
        many = node.op == "in"
        condition = self.bindings.narrow(path, tuple(known.value) if many else (known.value,))
        if condition is None:
            return test
        return _bool(sql.SQL("({} AND {})").format(condition, test.code))

    def row_path(self, node: ast.Node) -> tuple[str, ...]:
        """The names from the document to a field outside of its columns; empty for other nodes."""
        names: list[str] = []
        while isinstance(node, ast.Select):
            names.insert(0, node.field)
            node = node.operand
        return tuple(names) if self.is_row(node) and names[0] not in self.bindings.columns else ()

    def has(self, node: ast.Has, *, loose: bool) -> Fragment:
        if self.is_row(node.operand):
            return self.row_has(node.field)
        if isinstance(node.operand, ast.Get):
            present = node.field in DOCUMENT_COLUMNS
            return _bool(
                self.of_other(
                    node.operand,
                    lambda alias: (
                        TRUE
                        if present
                        else sql.SQL("{} ? {}").format(
                            sql.Identifier(alias, "doc"), sql.Literal(node.field)
                        )
                    ),
                )
            )
        container = self.fragment(node.operand)
        if container.kind != "json":
            return ERROR
        key = sql.Literal(node.field)
        code: sql.Composable
        if loose:
            code = sql.SQL("({} -> {} IS NOT NULL)").format(as_json(container), key)
        else:
            code = shared(
                container,
                lambda v: sql.SQL("CASE jsonb_typeof({0}) WHEN 'object' THEN {0} ? {1} END").format(
                    v, key
                ),
            )
        return _bool(code)

    # values

    def fragment(self, node: ast.Node) -> Fragment:
        """A typed piece of SQL for any expression."""
        if not self.varies(node):
            return self.known(node)
        match node:
            case ast.Name():
                if node.name in self.variables:
                    return Fragment(kind="json", code=self.variables[node.name], simple=True)
                raise RuleNotCompilable(
                    f"a list cannot be filtered by the whole of `{node.name}`; name its fields",
                    node.position,
                )
            case ast.Select():
                return self.field(node.operand, constant(node.field), node)
            case ast.Index():
                return self.field(node.operand, self.fragment(node.key), node)
            case ast.Call():
                parts = tuple(map(self.fragment, node.arguments))
                if any(part.kind == "error" for part in parts):
                    return ERROR
                return functions_sql.call(node.function, parts, node.position)
            case ast.Arithmetic():
                left, right = self.fragment(node.left), self.fragment(node.right)
                if "error" in (left.kind, right.kind):
                    return ERROR
                fractional = predicate.is_fractional(node)
                return functions_sql.arithmetic(node.op, left, right, fractional=fractional)
            case ast.Negate():
                return functions_sql.negate(self.fragment(node.operand))
            case ast.Choice():
                return self.choice(node)
            case ast.ListOf():
                return self.list_of(node)
            case ast.MapOf():
                return self.map_of(node)
            case ast.Macro(macro="map" | "filter"):
                return self.transformation(node)
            case ast.Get():
                raise RuleNotCompilable(
                    "where a rule filters a list, the result of get() can be compared with null "
                    "or asked for a field, nothing else",
                    node.position,
                )
            case _:
                return self.truth(node, loose=False)

    def field(self, operand: ast.Node, key: Fragment, node: ast.Node) -> Fragment:
        """`operand.key` or `operand[key]`"""
        if key.kind == "error":
            return ERROR
        whole = self.is_row(operand) or isinstance(operand, ast.Get)
        if whole and not key.constant:
            if self.values is None and isinstance(node, ast.Index) and not self.varies(node.key):
                return Fragment(kind="json")  # known when there is a caller
            raise RuleNotCompilable(
                f"the field of {to_text(operand)} must not depend on the document", node.position
            )
        if whole and key.kind != "text":
            return ERROR
        if isinstance(operand, ast.Get):
            return self.field_of_other(operand, key.value)
        if whole:
            return self.row_field(key.value)
        container = self.fragment(operand)
        if container.kind != "json":
            return ERROR
        return functions_sql.item(container, key)

    def row_field(self, name: str) -> Fragment:
        alias = self.bindings.alias
        if name in self.bindings.columns:
            column, kind = self.bindings.columns[name]
            return Fragment(kind=kind, code=sql.Identifier(alias, column), simple=True)
        if self.bindings.json_column is None:
            return ERROR
        column_code = sql.Identifier(alias, self.bindings.json_column)
        return functions_sql.item(
            Fragment(kind="json", code=column_code, simple=True), constant(name)
        )

    def row_has(self, name: str) -> Fragment:
        if name in self.bindings.columns:
            return constant(True)
        if self.bindings.json_column is None:
            return constant(False)
        column = sql.Identifier(self.bindings.alias, self.bindings.json_column)
        return _bool(sql.SQL("({} ? {})").format(column, as_text(constant(name))))

    def key_of_row(self, node: ast.Compare) -> Fragment:
        key = self.fragment(node.left)
        if key.kind == "error":
            return ERROR
        if key.constant:
            return self.row_has(key.value) if key.kind == "text" else constant(False)
        if self.values is None and not self.varies(node.left):
            return _bool(NULL_BOOL)
        raise RuleNotCompilable(
            f"what is looked for in {to_text(node.right)} must not depend on the document",
            node.position,
        )

    def choice(self, node: ast.Choice) -> Fragment:
        condition = self.truth(node.condition, loose=False)
        if condition.kind == "error":
            return ERROR
        if condition.constant:
            return self.fragment(node.then if condition.value else node.otherwise)
        then, otherwise = self.fragment(node.then), self.fragment(node.otherwise)
        known = {part.kind for part in (then, otherwise)} - {"error"}
        if not known:
            return ERROR
        # of kind owner, NULL could be nobody or an error: JSON can tell them apart
        kind = known.pop() if len(known) == 1 and known != {"owner"} else "json"
        code = sql.SQL("CASE {} WHEN TRUE THEN {} WHEN FALSE THEN {} END").format(
            as_bool(condition),
            functions_sql.convert(then, kind),
            functions_sql.convert(otherwise, kind),
        )
        return Fragment(kind=kind, code=code)

    def list_of(self, node: ast.ListOf) -> Fragment:
        parts = tuple(map(self.fragment, node.items))
        if any(part.kind == "error" for part in parts):
            return ERROR
        rows = sql.SQL(", ").join(
            sql.SQL("({}, {})").format(sql.Literal(position), as_json(part))
            for position, part in enumerate(parts)
        )
        # a fault in one item is a fault of the list
        code = sql.SQL(
            "(SELECT CASE WHEN count(items.v) = count(*) THEN jsonb_agg(items.v ORDER BY items.n) "
            "END FROM (SELECT * FROM (VALUES {}) AS listed OFFSET 0) AS items(n, v))"
        ).format(rows)
        return Fragment(kind="json", code=code)

    def map_of(self, node: ast.MapOf) -> Fragment:
        keys = [self.fragment(key) for key, _ in node.entries]
        parts = [self.fragment(value) for _, value in node.entries]
        if any(part.kind == "error" for part in (*keys, *parts)):
            return ERROR
        names = [key.value for key in keys]
        if self.values is None:
            names = [str(position) for position in range(len(keys))]
        if any(self.varies(key) for key, _ in node.entries):
            raise RuleNotCompilable("the keys of a map must not depend on the document", 0)
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            return ERROR
        rows = sql.SQL(", ").join(
            sql.SQL("({}, {})").format(as_text(constant(name)), as_json(part))
            for name, part in zip(names, parts, strict=True)
        )
        code = sql.SQL(
            "(SELECT CASE WHEN count(items.v) = count(*) THEN jsonb_object_agg(items.k, items.v) "
            "END FROM (SELECT * FROM (VALUES {}) AS listed OFFSET 0) AS items(k, v))"
        ).format(rows)
        return Fragment(kind="json", code=code)

    # macros

    def quantifier(self, node: ast.Macro, *, loose: bool) -> Fragment:
        container = self.fragment(node.operand)
        if container.kind != "json":
            return ERROR
        source = _Items(f"item{next(self.aliases)}")
        loose = loose and node.macro != "exists_one"  # one fault is a fault of the whole there
        hit = self.in_macro(node, source, lambda: self.truth(node.body, loose=loose))
        code = as_bool(hit, loose=loose) if hit.kind != "error" else NULL_BOOL
        if loose and node.macro == "exists":
            exists = sql.SQL("EXISTS (SELECT FROM {} WHERE {})")
            return _bool(source.of(container, lambda rows: exists.format(rows, code)))
        body = {
            "exists": "CASE WHEN bool_or(hits.hit) THEN TRUE "
            "WHEN count(hits.hit) = count(*) THEN FALSE END",
            "all": "CASE WHEN NOT bool_and(hits.hit) THEN FALSE "
            "WHEN count(hits.hit) = count(*) THEN TRUE END",
            "exists_one": "CASE WHEN count(hits.hit) = count(*) "
            "THEN count(*) FILTER (WHERE hits.hit) = 1 END",
        }[node.macro]
        tested = sql.SQL("(SELECT {} FROM (SELECT {} AS hit FROM {} OFFSET 0) AS hits)")
        return _bool(
            source.checked(container, lambda rows: tested.format(sql.SQL(body), code, rows))
        )

    def transformation(self, node: ast.Macro) -> Fragment:
        container = self.fragment(node.operand)
        if container.kind != "json":
            return ERROR
        source = _Items(f"item{next(self.aliases)}")
        test = node.body if node.macro == "filter" else node.condition
        hit: sql.Composable = TRUE
        if test is not None:
            hit = as_bool(self.in_macro(node, source, lambda: self.truth(test, loose=False)))
        made: sql.Composable = source.item
        if node.macro == "map":
            made = as_json(self.in_macro(node, source, lambda: self.fragment(node.body)))
        code = sql.SQL(
            "(SELECT CASE WHEN count(made.hit) = count(*) "
            "AND count(made.v) FILTER (WHERE made.hit) = count(*) FILTER (WHERE made.hit) "
            "THEN coalesce(jsonb_agg(made.v ORDER BY made.n) FILTER (WHERE made.hit), '[]') END "
            "FROM (SELECT {} AS hit, {} AS v, {} AS n FROM {} OFFSET 0) AS made)"
        )
        return Fragment(
            kind="json",
            code=source.checked(
                container, lambda rows: code.format(hit, made, source.position, rows)
            ),
        )

    def in_macro(
        self, node: ast.Macro, source: _Items, compile_: Callable[[], Fragment]
    ) -> Fragment:
        if any(isinstance(part, ast.Get) for part, _ in ast.walk(node.body)):
            raise RuleNotCompilable(
                f"get() inside of {node.macro}() cannot filter a list", node.position
            )
        self.macro_depth += 1
        if self.macro_depth > MAX_MACRO_DEPTH:
            raise RuleNotCompilable(
                f"more than {MAX_MACRO_DEPTH} macros inside of each other", node.position
            )
        self.variables[node.variable] = source.item
        try:
            return compile_()
        finally:
            del self.variables[node.variable]
            self.macro_depth -= 1

    # get()

    def get_or_null(
        self, node: ast.Get, other: ast.Node, op: ast.Comparison, *, loose: bool
    ) -> Fragment:
        if op not in ("==", "!=") or other != ast.Literal(value=None):
            raise RuleNotCompilable(
                "where a rule filters a list, the result of get() can be compared with null "
                "or asked for a field, nothing else",
                node.position,
            )
        id_ = self.fragment(node.id)
        if id_.kind == "error":
            return ERROR
        table = self.table(node)
        alias = f"other{next(self.aliases)}"

        def test(key: sql.Composable) -> sql.Composable:
            exists: sql.Composable = FALSE
            if table is not None:
                exists = sql.SQL("EXISTS (SELECT FROM {} AS {} WHERE {} = {})").format(
                    table, sql.Identifier(alias), sql.Identifier(alias, "_id"), key
                )
            found = exists if op == "!=" else sql.SQL("(NOT {})").format(exists)
            return sql.SQL("CASE WHEN {} IS NOT NULL THEN {} END").format(key, found)

        return _bool(test(as_text(id_)) if id_.simple else let((as_text(id_),), test))

    def field_of_other(self, node: ast.Get, name: str) -> Fragment:
        if name in DOCUMENT_COLUMNS:
            column, kind = DOCUMENT_COLUMNS[name]
            return self.column_of_other(node, column, kind)
        return Fragment(
            kind="json",
            code=self.of_other(
                node,
                lambda alias: sql.SQL("{} -> {}").format(
                    sql.Identifier(alias, "doc"), as_text(constant(name))
                ),
            ),
        )

    def column_of_other(self, node: ast.Get, column: str, kind: ColumnKind) -> Fragment:
        if kind != "owner":
            return Fragment(
                kind=kind, code=self.of_other(node, lambda alias: sql.Identifier(alias, column))
            )
        # no such document is a fault, a document of nobody is not: JSON can tell them apart
        return Fragment(
            kind="json",
            code=self.of_other(
                node,
                lambda alias: sql.SQL("coalesce(to_jsonb({}), 'null')").format(
                    sql.Identifier(alias, column)
                ),
            ),
        )

    def of_other(self, node: ast.Get, what: Callable[[str], sql.Composable]) -> sql.Composable:
        """A subquery for `what` of the other document; NULL if there is none."""
        id_ = self.fragment(node.id)
        table = self.table(node)
        alias = f"other{next(self.aliases)}"
        if table is None:
            table = sql.SQL(
                "(SELECT NULL::text AS _id, NULL::jsonb AS doc, NULL::text AS owner, "
                "NULL::bigint AS version, NULL::timestamptz AS created_at, "
                "NULL::timestamptz AS updated_at)"
            )
        return sql.SQL("(SELECT {} FROM {} AS {} WHERE {} = {})").format(
            what(alias),
            table,
            sql.Identifier(alias),
            sql.Identifier(alias, "_id"),
            as_text(id_),
        )

    def table(self, node: ast.Get) -> sql.Composable | None:
        if self.bindings.table_of is None:
            raise RuleNotCompilable("get() is not available here", node.position)
        return self.bindings.table_of(node.collection)

    # what is known before the rows are

    def is_row(self, node: ast.Node) -> bool:
        return isinstance(node, ast.Name) and node.name == self.bindings.root

    def varies(self, node: ast.Node) -> bool:
        return not self.free[id(node)] <= _CALLERS_ROOTS

    def known(self, node: ast.Node) -> Fragment:
        if self.values is None:
            return _of_some_caller(node)
        value = self.values[id(node)]
        return ERROR if value is FAULT else constant(value)


class _Items:
    """The rows that a macro ranges over."""

    def __init__(self, alias: str) -> None:
        self.alias = sql.Identifier(alias)
        self.item = sql.Identifier(alias, "v")
        self.position = sql.Identifier(alias, "n")

    def of(
        self, container: Fragment, body: Callable[[sql.Composable], sql.Composable]
    ) -> sql.Composable:
        """`body` of the rows; none where the container is neither a list nor a map."""
        if container.constant and isinstance(container.value, list | tuple):
            return body(self.rows(as_json(container)))
        return shared(container, lambda v: body(self.rows(_list_items(v))))

    def checked(
        self, container: Fragment, body: Callable[[sql.Composable], sql.Composable]
    ) -> sql.Composable:
        """`body` of the rows; NULL where the container is neither a list nor a map."""
        return shared(
            container,
            lambda v: sql.SQL(
                "CASE WHEN jsonb_typeof({}) IN ('array', 'object') THEN {} END"
            ).format(v, body(self.rows(_list_items(v)))),
        )

    def rows(self, listed: sql.Composable) -> sql.Composable:
        return sql.SQL("jsonb_array_elements({}) WITH ORDINALITY AS {}(v, n)").format(
            listed, self.alias
        )


def _list_items(container: sql.Composable) -> sql.Composable:
    """The items of a list, the keys of a map, and nothing of anything else, as a list."""
    return sql.SQL(
        "CASE jsonb_typeof({0}) WHEN 'array' THEN {0} WHEN 'object' THEN "
        "(SELECT coalesce(jsonb_agg(key ORDER BY key COLLATE \"C\"), '[]') FROM "
        "jsonb_object_keys(CASE jsonb_typeof({0}) WHEN 'object' THEN {0} ELSE '{{}}' END) AS key) "
        "ELSE '[]' END"
    ).format(container)


def free_names(root: ast.Node) -> dict[int, frozenset[str]]:
    """For the id() of each node the roots and variables that it reads; "get()" if it does."""
    found: dict[int, frozenset[str]] = {}

    def visit(node: ast.Node) -> frozenset[str]:
        below = frozenset[str]().union(*map(visit, ast.children(node)))
        match node:
            case ast.Name():
                below = frozenset({node.name})
            case ast.Get():
                below |= {"get()"}
            case ast.Macro():
                inside = found[id(node.body)]
                if node.condition is not None:
                    inside |= found[id(node.condition)]
                below = found[id(node.operand)] | (inside - {node.variable})
        found[id(node)] = below
        return below

    visit(root)
    return found


def known_parts(root: ast.Node, free: Mapping[int, frozenset[str]]) -> Iterator[ast.Node]:
    """The largest parts of a rule that do not depend on the row."""
    if free[id(root)] <= _CALLERS_ROOTS:
        yield root
        return
    for part in ast.children(root):
        yield from known_parts(part, free)


def _of_some_caller(node: ast.Node) -> Fragment:
    """What is known of a caller's value when there is no caller yet: at most its kind."""
    match node:
        case ast.Literal():
            return constant(node.value)
        case ast.Name(name="now") | ast.Call(function="timestamp"):
            return Fragment(kind="time", code=NULL_BOOL, simple=True)
        case ast.Call(function="duration"):
            return Fragment(kind="span", code=NULL_BOOL, simple=True)
        case ast.Call(function="bytes"):
            return Fragment(kind="bytes", code=NULL_BOOL, simple=True)
        case ast.Arithmetic():
            kinds = {_of_some_caller(part).kind for part in (node.left, node.right)}
            if kinds == {"time"}:
                return Fragment(kind="span", code=NULL_BOOL, simple=True)
            for kind in ("time", "span", "bytes"):
                if kind in kinds:
                    return Fragment(kind=kind, code=NULL_BOOL, simple=True)
            return Fragment(kind="json", code=NULL_BOOL, simple=True)
        case ast.Compare() | ast.Logic() | ast.Not() | ast.Has():
            return _bool(NULL_BOOL)
        case ast.Macro(macro="all" | "exists" | "exists_one"):
            return _bool(NULL_BOOL)
        case ast.Call(function="dyn"):
            return _of_some_caller(node.arguments[0])
        case ast.Call():
            return Fragment(kind="json", code=NULL_BOOL, simple=True)
    parts = [_of_some_caller(part) for part in ast.children(node)]
    if isinstance(node, ast.Choice) and parts[1].kind == parts[2].kind:
        return Fragment(kind=parts[1].kind, code=NULL_BOOL, simple=True)
    for part in parts:
        as_json(part)  # refuses what a list, a map or a mixed choice cannot hold
    return Fragment(kind="json", code=NULL_BOOL, simple=True)


def _bool(code: sql.Composable) -> Fragment:
    return Fragment(kind="bool", code=code)


def _only_bool(part: Fragment) -> Fragment:
    if part.kind == "bool":
        return part
    if part.kind == "json" and not part.constant:
        return _bool(as_bool(part))
    return ERROR
