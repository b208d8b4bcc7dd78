"""`P/rules/test`: what a rule would say, and why, before anybody depends on it."""

from typing import Any, Final

from auth.rules import DOCUMENT_ROOTS, RuleError, compile_rule
from auth.rules.checks import FIELDS
from baas.kernel.problems import FieldError, Invalid
from documents.access import Caller

_FIELDS: Final = ("rule", "auth", "doc", "data")
# A caller of whom nothing more is said.
_SOMEBODY: Final[dict[str, Any]] = {
    **dict.fromkeys(FIELDS["auth"]),
    "claims": {},
    "anonymous": False,
}


def try_rule(caller: Caller, given: dict[str, Any]) -> dict[str, Any]:
    """`{"allowed", "why"}` for the rule, `auth`, `doc` and `data` in `given`.

    Without `doc` but with `data` it is a create. `get()` reads the project's documents. Raises
    Invalid `invalid_rule` for what is no rule.
    """
    for name in given.keys() - set(_FIELDS):
        raise _invalid(name, "unknown", "a test has rule, auth, doc and data")
    auth, doc, data = (_map(given, name) for name in _FIELDS[1:])
    if auth is not None and auth.keys() - FIELDS["auth"]:
        raise _invalid("auth", "unknown", f"auth has {', '.join(sorted(FIELDS['auth']))}")
    creates = doc is None and data is not None
    try:
        rule = compile_rule(
            given.get("rule", ""), DOCUMENT_ROOTS, action="create" if creates else None
        )
    except RuleError as error:
        raise _invalid("rule", "invalid_rule", error.detail) from error
    allowed, why = rule.explain(
        auth=None if auth is None else _SOMEBODY | auth,
        doc=doc,
        data=data,
        request={"ip": caller.ip},
        get=caller.get,
    )
    return {"allowed": allowed, "why": why}


def _map(given: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = given.get(name)
    if value is not None and not isinstance(value, dict):
        raise _invalid(name, "invalid", "it is an object or null")
    return value


def _invalid(field: str, code: str, detail: str) -> Invalid:
    return Invalid(
        f"The rule cannot be tested: {field}: {detail}",
        code="invalid_rule" if code == "invalid_rule" else "invalid",
        errors=[FieldError(field, code, detail)],
    )
