"""From the body of PUT collections/{c} to a Declaration: every member checked. Pure."""

from typing import Any, Final

from auth.rules import DOCUMENT_ROOTS, RuleError, compile_rule, document_bindings
from baas.kernel.problems import FieldError, Invalid, Problem
from documents import field_rules
from documents.collections import ACTIONS, Action
from documents.configuration import Declaration
from documents.indexes.declaration import parse_indexes
from documents.query import paths
from documents.schemas import Validator

MEMBERS: Final = frozenset({"rules", "schema", "indexes", "ttl_field", "ttl_seconds", "max_docs"})
# What a GET shows beside them may be sent back; it says nothing.
SHOWN: Final = frozenset({"name", "documents", "size_bytes"})
MAX_TTL_S: Final = 2**31 - 1
MAX_DOCS: Final = 2**53


def parse(body: dict[str, Any]) -> Declaration:
    """Raises Invalid, naming the member: `invalid_rule`, `invalid_schema`, `invalid_index` …"""
    for name in body.keys() - MEMBERS - SHOWN:
        raise _invalid(name, "unknown", "there is no such member")
    schema = body.get("schema")
    if schema is not None:
        Validator(schema)
    ttl_field, ttl_seconds = _ttl(body)
    return Declaration(
        rules=_rules(body.get("rules") or {}),
        fields=field_rules.parse(body.get("rules") or {}),
        schema=schema,
        indexes=parse_indexes(body.get("indexes") or []),
        ttl_field=ttl_field,
        ttl_seconds=ttl_seconds,
        max_docs=_max_docs(body.get("max_docs")),
    )


def _rules(given: Any) -> dict[Action, str]:
    if not isinstance(given, dict):
        raise _invalid("rules", "invalid", "it is an object of read, create, update and delete")
    for name in given.keys() - {*ACTIONS, "fields"}:
        raise _invalid(
            f"rules.{name}", "unknown", "rules are read, create, update, delete and fields"
        )
    rules: dict[Action, str] = {}
    for action in ACTIONS:
        source = given.get(action)
        if source is None:
            continue
        try:
            rule = compile_rule(source, DOCUMENT_ROOTS, action=action)
            if action == "read":
                rule.require_sql(document_bindings("d", _any_table))
        except RuleError as error:
            raise _invalid(f"rules.{action}", "invalid_rule", str(error)) from error
        rules[action] = source
    return rules


def _any_table(_: str) -> None:
    """At definition time the collections that `get()` names need not be there yet."""


def _ttl(body: dict[str, Any]) -> tuple[str | None, int]:
    field, seconds = body.get("ttl_field"), body.get("ttl_seconds")
    if field is None:
        if seconds not in (None, 0):
            raise _invalid("ttl_seconds", "invalid", "it goes with `ttl_field`")
        return None, 0
    try:
        path = paths.parse(field) if isinstance(field, str) else ()
    except Problem as error:
        raise _invalid("ttl_field", "invalid", error.detail) from error
    if not path or paths.has_index(path) or field in ("_id", "_owner", "_version"):
        raise _invalid("ttl_field", "invalid", "it is the name of a field of dates")
    if seconds is None:
        seconds = 0
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds <= MAX_TTL_S:
        raise _invalid("ttl_seconds", "invalid", f"it is a whole number from 0 to {MAX_TTL_S}")
    return field, seconds


def _max_docs(given: Any) -> int | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MAX_DOCS:
        raise _invalid("max_docs", "invalid", f"it is a whole number from 1 to {MAX_DOCS}")
    return given


def _invalid(field: str, code: str, detail: str) -> Invalid:
    return Invalid(
        f"The collection cannot be declared so: {field}: {detail}",
        code=code if code == "invalid_rule" else "invalid",
        errors=[FieldError(field, code, detail)],
    )
