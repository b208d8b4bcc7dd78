"""What can be wrong with a query."""

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
