"""What a caller may do with a collection's documents: the rules, asked in the right way.

A document that may not be read is answered like one that is not there; one that may be read but
not written, and a collection that is closed to the caller altogether, with `rule_denied`.
"""

from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from auth.rules import Rule, document_bindings
from auth.rules.bindings import Bindings
from baas.kernel import db
from baas.kernel.principals import Principal
from baas.kernel.problems import Forbidden, NotFound, Problem
from baas.kernel.projects import ProjectConfig
from documents import collections, wire
from documents.collections import Action, Collection

EVERY_ROW: Final = sql.SQL("TRUE")
NO_ROW: Final = sql.SQL("FALSE")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, within which project."""

    project: ProjectConfig
    principal: Principal
    ip: str = ""
    explain: bool = False  # say in a refusal which clause failed (only when acting as a user)

    def get(self, collection: str, id: str) -> dict[str, Any] | None:
        """Another document, for `get()` in a rule: past the `read` rules."""
        found = collections.find(self.project.id, collection)
        row = db.fetch_one(found.statements.get, {"id": id}) if found else None
        return wire.value(row) if row else None

    def table_of(self, collection: str) -> sql.Composable | None:
        found = collections.find(self.project.id, collection)
        return found.table if found else None


def require(
    caller: Caller,
    collection: Collection,
    action: Action,
    *,
    doc: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> None:
    """Raises Forbidden `rule_denied` unless the caller may. `doc` and `data` in the wire form."""
    if not may(caller, collection, action, doc=doc, data=data):
        raise denied(caller, collection, action, doc=doc, data=data)


def may(
    caller: Caller,
    collection: Collection,
    action: Action,
    *,
    doc: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> bool:
    if caller.principal.bypasses_rules:
        return True
    rule = collection.rules.get(action)
    return rule is not None and allows(caller, rule, doc=doc, data=data)


def allows(
    caller: Caller,
    rule: Rule,
    *,
    doc: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> bool:
    return rule.allows(
        auth=caller.principal.auth,
        doc=doc,
        data=data,
        request={"ip": caller.ip},
        get=caller.get,
    )


def readable_rows(caller: Caller, collection: Collection) -> sql.Composable:
    """The condition for the rows (of the table named `d`) that the caller may read.

    Raises Forbidden `rule_denied` when the collection is closed to him altogether.
    """
    if caller.principal.bypasses_rules:
        return EVERY_ROW
    rows = _readable(caller, collection)
    if rows == NO_ROW:
        raise denied(caller, collection, "read")
    return rows


def _readable(caller: Caller, collection: Collection) -> sql.Composable:
    rule = collection.rules.get("read")
    return NO_ROW if rule is None else rows_allowed(caller, rule, bindings(caller, collection))


def bindings(caller: Caller, collection: Collection) -> Bindings:
    """The rows of the collection's source named `d`."""
    return document_bindings("d", caller.table_of, collection.narrow, json_column=collection.whole)


def rows_allowed(
    caller: Caller, rule: Rule, bindings: Bindings, uid: str | None = None
) -> sql.Composable:
    """The condition for the rows that the rule lets the caller have.

    With `uid` for a user of that id who is like the caller otherwise.
    """
    auth = caller.principal.auth
    if uid is not None and auth is not None:
        auth["uid"] = uid
    return rule.to_sql(bindings, auth=auth, request={"ip": caller.ip})


def not_found(
    caller: Caller, collection: Collection, id: str, doc: dict[str, Any] | None = None
) -> Problem:
    """The answer for a document that is missing or may not be read: the same for both."""
    if not caller.principal.bypasses_rules and (_readable(caller, collection) == NO_ROW):
        return denied(caller, collection, "read", doc=doc)
    return no_document(
        collection.name, id, _explanation(caller, collection, "read", doc, None) if doc else None
    )


def no_document(name: str, id: str, members: dict[str, Any] | None = None) -> NotFound:
    return NotFound(
        f"There is no document {id[:128]!r} in {name!r} that you may read.",
        code="document_not_found",
        members=members,
    )


def denied(
    caller: Caller,
    collection: Collection,
    action: Action,
    *,
    doc: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> Forbidden:
    return refusal(collection, action, _explanation(caller, collection, action, doc, data))


def refusal(collection: Collection, action: Action, members: dict[str, Any] | None) -> Forbidden:
    """`members` say why, to whom that may be told."""
    return Forbidden(
        f"The rules of {collection.name!r} do not let you {action} this.",
        code="rule_denied",
        members=members,
    )


def closed(name: str, action: Action) -> Forbidden:
    """For end users a collection that is not there is one without rules."""
    return Forbidden(f"The rules of {name!r} do not let you {action} this.", code="rule_denied")


def _explanation(
    caller: Caller,
    collection: Collection,
    action: Action,
    doc: dict[str, Any] | None,
    data: dict[str, Any] | None,
) -> dict[str, Any] | None:
    return explanation(caller, action, collection.rules.get(action), doc=doc, data=data)


def explanation(
    caller: Caller,
    name: str,
    rule: Rule | None,
    *,
    doc: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> dict[str, Any] | None:
    """What `X-Explain-Rules` adds to a refusal by the rule of this name; None for most callers."""
    # Only to whoever may read everything anyway and acts as a user to try the rules.
    if not (caller.explain and caller.principal.is_acted):
        return None
    if rule is None:
        return {"rule": {"action": name, "source": None, "why": "the collection has no rule"}}
    _, why = rule.explain(
        auth=caller.principal.auth,
        doc=doc,
        data=data,
        request={"ip": caller.ip},
        get=caller.get,
    )
    return {"rule": {"action": name, "source": rule.source, "why": why}}
