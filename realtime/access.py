"""What a caller may read of a collection, and which callers are alike in that. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson

from auth.rules import Rule, ast
from documents.access import Caller
from documents.hidden import HiddenField, without

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
    hidden: tuple[HiddenField, ...] = ()  # what those of the class may not see

    @property
    def rules(self) -> tuple[Rule, ...]:
        return _all_rules(self.rule, self.hidden)

    @property
    def reads_others(self) -> bool:
        """Whether a rule reads other documents, so that no single event can decide it."""
        return any("get()" in rule.reads for rule in self.rules)

    @property
    def is_volatile(self) -> bool:
        """Whether a document may come, go or look different without an event of its own."""
        return any(not rule.reads.isdisjoint(("get()", "now")) for rule in self.rules)

    @property
    def owner(self) -> str | None:
        """The user whose documents alone the rule may show; None when it says no such thing."""
        if self.rule is None or self.caller.principal.uid is None:
            return None
        return self.caller.principal.uid if _is_owners(self.rule) else None

    def allows(self, document: Mapping[str, Any]) -> bool:
        """Whether this class of callers may read the document. Not for rules with get()."""
        return self.rule is None or self._is_true(self.rule, document)

    def mask(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document without what this class of callers may not see."""
        paths = [field.path for field in self.hidden if not self._is_true(field.rule, document)]
        return without(document, paths)  # type: ignore[no-any-return]

    def _is_true(self, rule: Rule, document: Mapping[str, Any]) -> bool:
        return rule.allows(
            auth=self.caller.principal.auth, doc=document, request={"ip": self.caller.ip}
        )


def _all_rules(rule: Rule | None, hidden: Iterable[HiddenField]) -> tuple[Rule, ...]:
    return (*([] if rule is None else [rule]), *[field.rule for field in hidden])


def access(rule: Rule | None, caller: Caller, hidden: tuple[HiddenField, ...] = ()) -> Access:
    """The access of a caller under a `read` rule; None for callers above the rules."""
    if rule is None:
        return Access(rule=None, caller=caller, key="above the rules")
    rules = _all_rules(rule, hidden)
    given: dict[str, Any] = {"rule": rule.source}
    if hidden:
        given["hidden"] = {".".join(field.path): field.rule.source for field in hidden}
    fields: frozenset[str] = frozenset().union(*map(_auth_fields, rules))
    if fields:
        auth = caller.principal.auth
        given["signed_in"] = auth is not None
        if auth is not None:
            given["auth"] = auth if _WHOLE in fields else {f: auth.get(f) for f in fields}
    if any("request" in each.reads for each in rules):
        given["ip"] = caller.ip
    key = orjson.dumps(given, option=orjson.OPT_SORT_KEYS, default=str).decode()
    return Access(rule=rule, caller=caller, key=key, hidden=hidden)


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
