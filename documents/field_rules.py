"""`rules.fields` of PUT collections/{c}: which fields are not for everybody. Pure."""

from typing import Any, Final

from auth.rules import RuleError, compile_rule, document_bindings
from baas.kernel.problems import FieldError, Invalid, Problem
from documents import values
from documents.collections import FIELD_ROOTS
from documents.query import paths

MAX_FIELDS: Final = 32


def parse(rules: dict[str, Any]) -> dict[str, str]:
    """The rule of each hidden field. Raises Invalid `invalid_rule`, naming the field."""
    given = rules.get("fields") or {}
    if not isinstance(given, dict) or len(given) > MAX_FIELDS:
        raise _invalid("rules.fields", f"it is an object of at most {MAX_FIELDS} fields")
    for name, source in given.items():
        where = f"rules.fields.{name[:100]}"
        try:
            path = paths.parse(name)
            if path[0] in values.SYSTEM_FIELDS or paths.has_index(path):
                raise _invalid(where, "a system field or a place in an array cannot be hidden")
            rule = compile_rule(source, FIELD_ROOTS)
            rule.require_sql(document_bindings("t", _any_table))
        except RuleError as error:
            raise _invalid(where, str(error)) from error
        except Problem as problem:
            raise _invalid(where, problem.detail) from problem
    _check_nesting(list(given))
    return dict(given)


def _check_nesting(names: list[str]) -> None:
    for name in names:
        for other in names:
            if other.startswith(f"{name}."):
                raise _invalid(f"rules.fields.{other[:100]}", f"{name[:100]!r} hides it already")


def _any_table(_: str) -> None:
    """At definition time the collections that `get()` names need not be there yet."""


def _invalid(field: str, detail: str) -> Invalid:
    return Invalid(
        f"The collection cannot be declared so: {field}: {detail}",
        code="invalid_rule",
        errors=[FieldError(field, "invalid_rule", detail)],
    )
