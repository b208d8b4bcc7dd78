"""From the body of PUT collections/{c} to a Declaration: every member checked. Pure."""

from typing import Any, Final

from auth.rules import DOCUMENT_ROOTS, RuleError, compile_rule, document_bindings
from baas.kernel.problems import FieldError, Invalid, Problem
from documents.collections import ACTIONS, Action, Declaration
from documents.query import paths
from documents.query.sort import Direction
from documents.schemas import Validator

MEMBERS: Final = frozenset({"name", "rules", "schema", "indexes", "ttl_field", "max_docs"})
MAX_INDEXES: Final = 64
MAX_INDEX_FIELDS: Final = 8


def parse(body: dict[str, Any]) -> Declaration:
    """Raises Invalid, naming the member: `invalid_rule`, `invalid_schema`, `invalid_index` …"""
    for name in body.keys() - MEMBERS:
        raise _invalid(name, "unknown", "there is no such member")
    for name in ("ttl_field", "max_docs"):
        if body.get(name) is not None:
            raise _invalid(name, "not_supported", "this is not supported yet: leave it out")
    schema = body.get("schema")
    if schema is not None:
        Validator(schema)
    return Declaration(
        rules=_rules(body.get("rules") or {}),
        schema=schema,
        indexes=_indexes(body.get("indexes") or []),
    )


def _rules(given: Any) -> dict[Action, str]:
    if not isinstance(given, dict):
        raise _invalid("rules", "invalid", "it is an object of read, create, update and delete")
    for name in given.keys() - set(ACTIONS):
        raise _invalid(f"rules.{name}", "unknown", "rules are read, create, update and delete")
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


def _indexes(given: Any) -> tuple[tuple[tuple[tuple[str, Direction], ...], bool], ...]:
    if not isinstance(given, list) or len(given) > MAX_INDEXES:
        raise _invalid("indexes", "invalid_index", f"it is an array of at most {MAX_INDEXES}")
    return tuple([_index(index, f"indexes[{place}]") for place, index in enumerate(given)])


def _index(given: Any, where: str) -> tuple[tuple[tuple[str, Direction], ...], bool]:
    if not isinstance(given, dict) or given.keys() - {"fields", "unique", "type"}:
        raise _invalid(where, "invalid_index", "an index has fields, unique and type")
    type, unique = given.get("type", "btree"), given.get("unique", False)
    if type != "btree":
        raise _invalid(
            f"{where}.type", "not_supported", f"{str(type)[:40]!r} is not supported: use btree"
        )
    if not isinstance(unique, bool):
        raise _invalid(f"{where}.unique", "invalid_index", "it is true or false")
    names = given.get("fields")
    if not isinstance(names, list) or not 1 <= len(names) <= MAX_INDEX_FIELDS:
        raise _invalid(
            f"{where}.fields", "invalid_index", f"it is an array of 1 to {MAX_INDEX_FIELDS} names"
        )
    fields: list[tuple[str, Direction]] = []
    for name in names:
        if not isinstance(name, str):
            raise _invalid(f"{where}.fields", "invalid_index", "a field is a text")
        field = name.removeprefix("-")
        try:
            path = paths.parse(field)
        except Problem as error:
            raise _invalid(f"{where}.fields", "invalid_index", error.detail) from error
        if paths.has_index(path) or field in dict(fields):
            raise _invalid(
                f"{where}.fields",
                "invalid_index",
                f"{field[:60]!r} has an array's position in it, or stands twice",
            )
        fields.append((field, -1 if name.startswith("-") else 1))
    return tuple(fields), unique


def _invalid(field: str, code: str, detail: str) -> Invalid:
    return Invalid(
        f"The collection cannot be declared so: {field}: {detail}",
        code=code if code in ("invalid_rule", "invalid_index", "not_supported") else "invalid",
        errors=[FieldError(field, code, detail)],
    )
