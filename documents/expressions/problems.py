"""What can be wrong with an expression: when it is read, and when the database evaluates it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from baas.kernel.problems import FieldError, Malformed
from documents.query import problems

# The SQLSTATE of documents_fail and of every helper that refuses its arguments.
FAILED: Final = "DQ001"
# Data exceptions of SQL by their state. Their own messages may quote a value.
_DATA: Final = {
    "22003": "a number is out of range",
    "22008": "a date is out of range",
    "22012": "a division by zero",
    "22023": "an argument is not known, such as a time zone",
    "2201B": "an invalid regular expression",
    "54000": "a value becomes too large",
}


def invalid(detail: str, where: str) -> Malformed:
    return problems.invalid_query(detail, where)


def unsupported(operator: str, where: str) -> Malformed:
    return Malformed(
        f"The operator {operator[:60]!r} is not supported in expressions:"
        " see docs/reference/aggregation.md for those that are.",
        code="unsupported_operator",
        errors=[FieldError(where, "unsupported_operator", operator[:60])],
    )


def failure(error: psycopg.Error, where: str = "pipeline") -> Malformed | None:
    """The problem that an evaluation ran into, as 400 `invalid_query`; None for other errors.

    Besides the helpers' own refusals these are the data exceptions of SQL, and values beyond what
    PostgreSQL can hold.
    """
    state = error.diag.sqlstate or ""
    if state == FAILED:
        return invalid(error.diag.message_primary or "an expression failed", where)
    if state.startswith("22") or state in _DATA:
        reason = _DATA.get(state, "a value that an operator does not take")
        return invalid(f"an expression cannot be computed: {reason}", where)
    return None


@contextmanager
def failures(where: str = "pipeline") -> Iterator[None]:
    """Around the running of a statement with expressions: raises Malformed `invalid_query`."""
    try:
        yield
    except psycopg.Error as error:
        problem = failure(error, where)
        if problem is None:
            raise
        raise problem from error
