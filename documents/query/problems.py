"""What can be wrong with a query."""

from typing import Final

import psycopg

from baas.kernel.problems import FieldError, Malformed


def invalid_query(detail: str, field: str = "filter") -> Malformed:
    """Arguments that an operator does not take."""
    return Malformed(
        f"The query is not valid: {detail}.",
        code="invalid_query",
        errors=[FieldError(field, "invalid_query", detail)],
    )


def unsupported(operator: str, where: str = "filter") -> Malformed:
    """An operator that is not known (here): never ignored."""
    return Malformed(
        f"The operator {operator[:60]!r} is not supported here ({where}):"
        " see docs/reference/documents.md for those that are.",
        code="unsupported_operator",
        errors=[FieldError(where, "unsupported_operator", operator[:60])],
    )


# By SQLSTATE; PostgreSQL's own messages may quote a value of a document.
_FAILURES: Final = {
    "2201B": "a pattern of $regex is no regular expression",
    "22003": "a number is out of range in an expression",
    "22008": "a date is out of range in an expression",
    "22012": "a division by zero in an expression",
}
# What the expressions' own helpers raise (migration 0004), with a message for the caller.
_REFUSED: Final = "DQ001"


def evaluation_failed(error: psycopg.Error) -> Malformed | None:
    """The problem of a filter that the database could not evaluate; None for other errors."""
    state = error.diag.sqlstate or ""
    if state == _REFUSED:
        return invalid_query(error.diag.message_primary or "an expression failed")
    detail = _FAILURES.get(state)
    return None if detail is None else invalid_query(detail)
