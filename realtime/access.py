"""What a caller may read of a collection, and which callers are alike in that. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson

from auth.rules import Rule, ast
from documents.access import Caller

_WHOLE: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A `read` rule for one class of callers.

    Callers with the same `key` see the same documents: the rule reads nothing in which they
    differ.
    """

    rule: Rule | None  # None: above the rules
    caller: Caller  # one of the class
    key: str

    @property
    def reads_others(self) -> bool:
        """Whether the rule reads other documents, so that no single event can decide it."""
        return self.rule is not None and "get()" in self.rule.reads

    @property
    def is_volatile(self) -> bool:
        """Whether a document may come or go without an event of its own."""
        return self.rule is not None and not self.rule.reads.isdisjoint(("get()", "now"))

    @property
    def owner(self) -> str | None:
        """The user whose documents alone the rule may show; None when it says no such thing."""
        if self.rule is None or self.caller.principal.uid is None:
            return None
        return self.caller.principal.uid if _is_owners(self.rule) else None

    def allows(self, document: Mapping[str, Any]) -> bool:
        """Whether this class of callers may read the document. Not for rules with get()."""
        return self.rule is None or self.rule.allows(
            auth=self.caller.principal.auth, doc=document, request={"ip": self.caller.ip}
        )


def access(rule: Rule | None, caller: Caller) -> Access:
    """The access of a caller under a `read` rule; None for callers above the rules."""
    if rule is None:
        return Access(rule=None, caller=caller, key="above the rules")
    given: dict[str, Any] = {"rule": rule.source}
    fields = _auth_fields(rule)
    if fields:
        auth = caller.principal.auth
        given["signed_in"] = auth is not None
        if auth is not None:
            given["auth"] = auth if _WHOLE in fields else {f: auth.get(f) for f in fields}
    if "request" in rule.reads:
        given["ip"] = caller.ip
    key = orjson.dumps(given, option=orjson.OPT_SORT_KEYS, default=str).decode()
    return Access(rule=rule, caller=caller, key=key)


@lru_cache(maxsize=4096)
def _auth_fields(rule: Rule) -> frozenset[str]:
    """The fields of `auth` that the rule reads; `*` for the whole, "" for whether there is one."""
    fields: set[str] = set()
    selected = 0
    for node, _ in ast.walk(rule.tree):
        match node:
            case ast.Select(operand=ast.Name(name="auth"), field=name):
                fields.add(name)
                selected += 1
            case ast.Compare(op="==" | "!=", left=ast.Name(name="auth"), right=ast.Literal()):
                fields.add("")
                selected += 1
            case ast.Name(name="auth"):
                selected -= 1
            case _:
                pass
    if selected < 0:
        fields.add(_WHOLE)
    return frozenset(fields)


@lru_cache(maxsize=4096)
def _is_owners(rule: Rule) -> bool:
    """Whether the rule is `doc._owner == auth.uid`, perhaps with more conditions (`&&`)."""
    tree = rule.tree
    parts = tree.operands if isinstance(tree, ast.Logic) and tree.op == "&&" else (tree,)
    return any(
        isinstance(part, ast.Compare) and part.op == "==" and _sides(part) == _OWNER_IS_CALLER
        for part in parts
    )


def _sides(comparison: ast.Compare) -> set[tuple[str, str]]:
    return {
        (side.operand.name, side.field)
        for side in (comparison.left, comparison.right)
        if isinstance(side, ast.Select) and isinstance(side.operand, ast.Name)
    }


_OWNER_IS_CALLER: Final = {("doc", "_owner"), ("auth", "uid")}
