"""A query that would cost, or has cost, too much."""

from collections.abc import Sequence

from baas.kernel.problems import FieldError, Malformed


def too_expensive(detail: str, fields: Sequence[str] = ()) -> Malformed:
    """`fields` are those that an index would help."""
    if fields:
        named = ", ".join(fields)[:300]
        hint = f" An index on {named} would help: declare it with PUT …/collections/{{collection}}."
    else:
        hint = " Match fewer documents by an indexed field first."
    return Malformed(
        detail + hint,
        code="query_too_expensive",
        errors=[FieldError("filter", "query_too_expensive", "needs an index or fewer documents")],
        members={"hint": {"index": {"fields": list(fields)}}} if fields else None,
    )
