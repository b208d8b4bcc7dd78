"""What can be wrong with a pipeline."""

from baas.kernel.problems import Malformed
from documents.query import problems


def invalid(detail: str, where: str) -> Malformed:
    """Arguments that a stage does not take; `where` is `$group.total`, say."""
    return problems.invalid_query(detail, where)


def unsupported(name: str, where: str = "pipeline") -> Malformed:
    return problems.unsupported(name, where)
