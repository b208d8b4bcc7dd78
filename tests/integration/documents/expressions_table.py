"""Evaluates expressions over given documents in a table of the test's own."""

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from baas.kernel import db
from documents import expressions, values
from documents.query.rows import Rows

SCOPE = expressions.Scope(Rows("d"))


class Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


def evaluate(expression: Any, documents: Sequence[Any] = ({},)) -> list[Any]:
    """The value of the expression for each document, MISSING where it has none."""
    node = expressions.parse(expression)
    statement = sql.SQL(
        "SELECT {}::text FROM unnest(%(docs)s::jsonb[]) WITH ORDINALITY AS d(doc, n) ORDER BY n"
    ).format(expressions.to_sql(node, SCOPE))
    docs = [values.dumps(document).decode() for document in documents]
    with expressions.failures():
        rows = db.fetch_all(statement, {"docs": docs})
    return [MISSING if text is None else values.loads(text) for (text,) in rows]


def value(expression: Any, document: Any = None) -> Any:
    """Its value for one document."""
    (found,) = evaluate(expression, [document or {}])
    return found
