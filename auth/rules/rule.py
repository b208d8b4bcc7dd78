"""A compiled rule: one tree, a predicate for single documents, SQL for lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from psycopg import sql

from auth.rules import ast, rendered
from auth.rules.bindings import Bindings
from auth.rules.checks import check
from auth.rules.compiler import FAULT, Compiler, free_names, known_parts
from auth.rules.errors import BudgetSpent, Fault, RuleError, RuleNotCompilable
from auth.rules.explain import explain
from auth.rules.parser import parse
from auth.rules.predicate import GetDocument, State, compile_predicate, environment
from auth.rules.presets import preset
from auth.rules.values import Value
from baas.kernel import repeatable

DOCUMENT_ROOTS: Final = frozenset({"auth", "doc", "data", "now", "request"})
OBJECT_ROOTS: Final = frozenset({"auth", "object", "now", "request"})
FUNCTION_ROOTS: Final = frozenset({"auth", "now", "request"})

Action: TypeAlias = Literal["read", "create", "update", "delete"]
Fields: TypeAlias = Mapping[str, Any] | None

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Rule:
    """Immutable and safe to share between threads. Made by `compile_rule`."""

    __slots__ = (
        *("_collections", "_evaluate", "_free", "_known", "_reads", "_stateful", "_timed"),
        *("source", "tree"),
    )

    def __init__(self, source: str, tree: ast.Node) -> None:
        self.source: Final = source
        self.tree: Final = tree
        self._free = free_names(tree)
        self._reads = self._free[id(tree)]
        self._timed = "now" in self._reads
        self._stateful = any(
            isinstance(node, ast.Get | ast.Macro)
            or (isinstance(node, ast.Arithmetic) and node.op == "+")
            for node, _ in ast.walk(tree)
        )
        self._evaluate = compile_predicate(tree)
        self._known = [
            (id(node), compile_predicate(node)) for node in known_parts(tree, self._free)
        ]
        self._collections = tuple(
            node.collection for node, _ in ast.walk(tree) if isinstance(node, ast.Get)
        )

    def __repr__(self) -> str:
        return f"Rule({self.source!r})"

    @property
    def reads(self) -> frozenset[str]:
        """The roots that the rule reads, and "get()" if it reads other documents."""
        return self._reads

    def allows(
        self,
        *,
        auth: Fields = None,
        doc: Fields = None,
        data: Fields = None,
        now: datetime | None = None,
        request: Fields = None,
        object: Fields = None,
        get: GetDocument | None = None,
    ) -> bool:
        """Whether the rule is true. Every error within the rule denies; nothing is raised for it.

        Maps are as on the wire: `doc` and `data` with their system fields, whose times may be
        text or aware datetimes. `now` is the present unless given. What `get` raises is passed on.
        """
        if now is None:
            now = repeatable.now() if self._timed else _EPOCH
        state = State(get) if self._stateful else None
        try:
            return self._evaluate((auth, doc, data, now, request, object, state)) is True
        except (Fault, BudgetSpent):
            return False

    def explain(
        self,
        *,
        auth: Fields = None,
        doc: Fields = None,
        data: Fields = None,
        now: datetime | None = None,
        request: Fields = None,
        object: Fields = None,
        get: GetDocument | None = None,
    ) -> tuple[bool, str]:
        """What `allows` says, and a sentence about the clauses that decided it, with values."""
        state = State(None if get is None else lru_cache(maxsize=None)(get))
        env = environment(
            auth=auth, doc=doc, data=data, now=now, request=request, object=object, state=state
        )
        return explain(self.tree, env)

    def to_sql(
        self,
        bindings: Bindings,
        *,
        auth: Fields = None,
        now: datetime | None = None,
        request: Fields = None,
        data: Fields = None,
    ) -> sql.Composable:
        """A boolean expression for a WHERE clause: TRUE for the rows that `allows` would let pass.

        All values are literals; nothing has to be bound, and no `%` is in the text. If the rows
        do not matter it is the constant TRUE or FALSE. Raises RuleNotCompilable where
        `require_sql` would, and RuleError for a caller's value that PostgreSQL cannot hold.
        """
        self._refuse_data(data)
        state = State(None)
        env = environment(auth=auth, data=data, now=now, request=request, state=state)
        known: list[Value] = []
        for _, part in self._known:
            state.restart()
            try:
                known.append(part(env))
            except (Fault, BudgetSpent):
                known.append(FAULT)
        if self._timed:
            return self._compile(bindings, known)  # another text each time
        # repr, as 1, 1.0 and true are equal in Python
        key = (
            self,
            bindings.alias,
            bindings.root,
            bindings.json_column,
            bindings.narrow,
            self._tables(bindings),
            repr(known),
        )
        return rendered.get(key, lambda: self._compile(bindings, known))

    def _compile(self, bindings: Bindings, known: list[Value]) -> sql.Composable:
        found = {position: value for (position, _), value in zip(self._known, known, strict=True)}
        return Compiler(bindings, self._free, found).where(self.tree)

    def _tables(self, bindings: Bindings) -> tuple[str | None, ...]:
        """The names of the tables of `get()`: one rule's text may stand in many projects."""
        if bindings.table_of is None:
            return ()
        tables = map(bindings.table_of, self._collections)
        return tuple(None if table is None else table.as_string() for table in tables)

    def require_sql(self, bindings: Bindings) -> None:
        """Raises RuleNotCompilable, naming the construct, if the rule cannot filter lists.

        To be called when a `read` rule is defined.
        """
        self._refuse_data(None)
        Compiler(bindings, self._free, None).where(self.tree)

    def _refuse_data(self, data: Fields) -> None:
        if data is None and "data" in self._reads:
            raise RuleNotCompilable("data exists only where something is written, not in a list")


@lru_cache(maxsize=4096)
def _compile(source: str, roots: frozenset[str], action: Action | None) -> Rule:
    text = preset(source, roots, action) or source
    tree = parse(text)
    check(tree, roots)
    return Rule(source, tree)


def compile_rule(source: str, roots: Collection[str], *, action: Action | None = None) -> Rule:
    """The rule of a CEL expression or a preset ("public", "authenticated", "owner", "closed").

    `roots` are the variables that exist where it is used (`DOCUMENT_ROOTS` and its like).
    With `action` "create" the preset "owner" means signed in. Results are cached. Raises RuleError
    (or its RuleSyntaxError) with a sentence for the rule's author.
    """
    if not isinstance(source, str):
        raise RuleError("a rule is text")
    return _compile(source, frozenset(roots), action)
