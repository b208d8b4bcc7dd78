"""Aggregation expressions, for pipelines and `$expr`: parsed once, compiled to SQL.

node = parse({"$multiply": ["$price", "$qty"]}, where="$project.total")
to_sql(node, Scope(rows))        # jsonb, SQL's NULL is missing
truth(node, Scope(rows))         # boolean, never NULL
number(node, Scope(rows))        # numeric, NULL for all that is no number: for sums and averages
implied(node, Scope(rows))       # conditions in terms of indexes that its truth implies
is_variable("item")              # whether a variable may have this name
paths(node)                      # the fields of the root that it reads

Evaluating can fail (a text in `$add`, a division by zero): run the statement within `failures()`,
which makes 400 `invalid_query` of it. A failure tells something about the row. So an expression
must be evaluated for rows only that the caller may read: where it stands in a WHERE beside the
rule, write `CASE WHEN rule THEN expression ELSE false END`, because SQL chooses the order of ANDs.
"""

from documents.expressions.ast import Node
from documents.expressions.fields import paths
from documents.expressions.implications import implied
from documents.expressions.parser import is_variable, parse
from documents.expressions.problems import failure, failures
from documents.expressions.scope import Scope
from documents.expressions.to_sql import number, to_sql, truth

__all__ = [
    "Node",
    "Scope",
    "failure",
    "failures",
    "implied",
    "is_variable",
    "number",
    "parse",
    "paths",
    "to_sql",
    "truth",
]
