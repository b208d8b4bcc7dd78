"""What a caller may write, as far as SQL can say it: a write by filter passes over the rest."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from auth.rules import Rule, RuleNotCompilable, ast
from documents import access, row_filter
from documents.access import Caller
from documents.collections import Action, Collection
from documents.row_filter import RowFilter


@dataclass(frozen=True, slots=True)
class Writable:
    text: bytes  # a condition on the rows of the table named `d`; empty when there is none
    parameters: dict[str, Any]
    is_whole: bool  # the text is all that the rule says; otherwise each document is to be asked


EVERYTHING: Final = Writable(b"", {}, True)


def writable(caller: Caller, collection: Collection, action: Action) -> Writable:
    """What the rule of the action lets through.

    Raises Forbidden `rule_denied` when that can be nothing at all.
    """
    if caller.principal.bypasses_rules:
        return EVERYTHING
    rule = collection.rules.get(action)
    if rule is None:
        raise access.denied(caller, collection, action)
    read = collection.rules.get("read")
    if read is not None and read.tree == rule.tree:
        return EVERYTHING  # the rule of reading, which stands in the statement already
    conditions: list[RowFilter] = []
    is_whole = True
    for part in _clauses(rule):
        try:
            rows = row_filter.allowed(caller, part, access.bindings(caller, collection))
        except RuleNotCompilable:
            is_whole = False
            continue
        if rows == row_filter.NO_ROW:
            raise access.denied(caller, collection, action)
        if rows.text:
            conditions.append(rows)
    return Writable(
        b" AND ".join([b"(%b)" % rows.text for rows in conditions]),
        {name: value for rows in conditions for name, value in rows.parameters.items()},
        is_whole,
    )


@lru_cache(maxsize=1024)
def _clauses(rule: Rule) -> tuple[Rule, ...]:
    """The clauses of the rule: it is true only when each of them is."""
    if isinstance(rule.tree, ast.Logic) and rule.tree.op == "&&":
        return tuple([Rule(rule.source, part) for part in rule.tree.operands])
    return (rule,)
