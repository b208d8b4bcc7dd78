"""What an expression reads when it is evaluated."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg import sql

from documents.query.rows import Rows


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows of a statement, and variables beyond `$$ROOT`, `$$CURRENT`, `$$NOW`, `$$REMOVE`.

    A variable is a jsonb expression, NULL when it is missing. It may stand many times in what is
    compiled: give a column, not a computation.
    """

    rows: Rows
    variables: Mapping[str, sql.Composable] = field(default_factory=dict)
