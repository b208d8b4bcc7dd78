"""The `read` rule as a condition on rows, with the caller's id as a parameter.

`Rule.to_sql` writes what it knows of the caller as constants, so every user's list would be a
statement of its own: PostgreSQL would plan it anew each time, and the hundred prepared statements
of a connection would push each other out (measured: 1.8 ms instead of 0.3 ms). Where a rule only
compares `auth.uid` with something of the document, it is therefore compiled for a stand-in, whose
constants are then exchanged for parameters.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import orjson
from psycopg import sql

from auth.rules import Rule, ast
from auth.rules.bindings import Bindings
from baas.kernel import db
from documents import access
from documents.access import Caller
from documents.collections import Collection

# Random, so that no rule can have it as a constant of its own.
_STAND_IN: Final = f"uid{secrets.token_hex(16)}"
# As text, as text in an index's terms (documents_sort_text), as JSON.
_CONSTANT: Final = re.compile(rb"'(|3|\")" + _STAND_IN.encode() + rb"\"?'")
_NAMES: Final = {b"": b"%(uid)s", b"3": b"%(uid_sort)s", b'"': b"%(uid_json)s"}
_PARAMETERS: Final[dict[str, Callable[[str], str]]] = {
    "uid": lambda uid: uid,
    "uid_sort": lambda uid: "3" + uid,
    "uid_json": lambda uid: orjson.dumps(uid).decode(),
}


@dataclass(frozen=True, slots=True)
class RowFilter:
    """A condition on the rows of the table named `d`; empty when the caller may read all."""

    text: bytes = b""
    parameters: dict[str, Any] = field(default_factory=dict)


EVERY_ROW: Final = RowFilter()
NO_ROW: Final = RowFilter(b"FALSE")
_READABLE: Final = "readable"  # among the texts that a collection keeps


def readable(caller: Caller, collection: Collection) -> RowFilter:
    """What the caller may read, of the rows of the collection's source named `d`.

    For a collection that `hiding.seen` gave it has the parameters of the source too. Raises
    Forbidden `rule_denied` when there can be nothing at all.
    """
    found = EVERY_ROW
    if not caller.principal.bypasses_rules:
        rule = collection.rules.get("read")
        found = NO_ROW if rule is None else _of_collection(caller, collection, rule)
        if found == NO_ROW:
            raise access.denied(caller, collection, "read")
    if collection.view is None:
        return found
    return RowFilter(found.text, found.parameters | of_source(caller, collection))


def of_source(caller: Caller, collection: Collection) -> dict[str, Any]:
    """The parameters of the collection's source, which may be a view of the caller's."""
    if collection.view is None:
        return {}
    return _parameters(caller.principal.uid or "", collection.view.names)


def allowed(caller: Caller, rule: Rule, bindings: Bindings) -> RowFilter:
    """What a rule lets the caller have; NO_ROW when the rows do not matter."""
    shared = _shared(caller, rule, bindings)
    return _filter(access.rows_allowed(caller, rule, bindings)) if shared is None else shared


def _of_collection(caller: Caller, collection: Collection, rule: Rule) -> RowFilter:
    """As `allowed`; what is the same for all users is made once and kept with the collection."""
    uid = caller.principal.uid
    if uid is None or not _knows_uid_only(rule):
        return allowed(caller, rule, access.bindings(caller, collection))
    text: bytes | None = collection.plans.get(_READABLE)
    if text is None:
        bindings = access.bindings(caller, collection)
        found = _shared(caller, rule, bindings)
        if found is None:
            return allowed(caller, rule, bindings)
        collection.plans[_READABLE] = found.text
        return found
    return RowFilter(text, _parameters(uid, names_in(text)))


def _shared(caller: Caller, rule: Rule, bindings: Bindings) -> RowFilter | None:
    """With the caller's id as a parameter, where that is possible."""
    uid = caller.principal.uid
    if uid is None or not _only_compares_uid(rule):
        return None
    return _with_parameters(access.rows_allowed(caller, rule, bindings, _STAND_IN), uid)


def _filter(rows: sql.Composable) -> RowFilter:
    return EVERY_ROW if rows == access.EVERY_ROW else RowFilter(rows.as_bytes(db.raw()))


def _with_parameters(rows: sql.Composable, uid: str) -> RowFilter | None:
    found = _filter(rows)
    text = _CONSTANT.sub(lambda found: _NAMES[found[1]], found.text)
    if _STAND_IN.encode() in text:
        return None  # in a form that we do not know
    return RowFilter(text, _parameters(uid, names_in(text)))


@lru_cache(maxsize=4096)
def names_in(text: bytes) -> frozenset[str]:
    """Which parameters of the caller's a text has."""
    return frozenset([name for name in _PARAMETERS if f"%({name})s".encode() in text])


def _parameters(uid: str, names: Iterable[str]) -> dict[str, Any]:
    return {name: _PARAMETERS[name](uid) for name in names}


@lru_cache(maxsize=4096)
def _knows_uid_only(rule: Rule) -> bool:
    """Whether nothing but the document and the id of a signed-in caller decides."""
    return (
        rule.reads <= {"auth", "doc"}
        and _only_compares_uid(rule)
        and all(_is_uid(node, parent) for node, parent in _with_parents(rule.tree, None))
    )


def _is_uid(node: ast.Node, parent: ast.Node | None) -> bool:
    """False where something of `auth` but its `uid` is read."""
    if node != ast.Name(name="auth"):
        return True
    if isinstance(parent, ast.Select):
        return parent.field == "uid"
    return isinstance(parent, ast.Compare)  # with null: see `_is_harmless`


@lru_cache(maxsize=4096)
def _only_compares_uid(rule: Rule) -> bool:
    """Whether the rule means the same for all users but for which one `auth.uid` names.

    True when `auth.uid` is only compared with what depends on the document, or names the document
    of a `get()`: no part that is evaluated beforehand can then depend on its text.
    """
    return all(_is_harmless(node, parent) for node, parent in _with_parents(rule.tree, None))


def _with_parents(
    node: ast.Node, parent: ast.Node | None
) -> Iterator[tuple[ast.Node, ast.Node | None]]:
    yield node, parent
    for child in ast.children(node):
        yield from _with_parents(child, node)


def _is_harmless(node: ast.Node, parent: ast.Node | None) -> bool:
    if isinstance(node, ast.Name) and node.name == "auth":
        if isinstance(parent, ast.Compare):
            return ast.Literal(value=None) in (parent.left, parent.right)
        return isinstance(parent, ast.Select | ast.Has)
    if isinstance(node, ast.Select) and node.operand == ast.Name(name="auth"):
        if node.field != "uid" or isinstance(parent, ast.Get):
            return True
        if not isinstance(parent, ast.Compare):
            return False
        other = parent.right if node is parent.left else parent.left
        return any(part == ast.Name(name="doc") for part, _ in ast.walk(other))
    return True
