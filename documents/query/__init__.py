"""Queries: a filter is parsed once and has two back ends that mean the same.

node = parse({"tags": "a", "n": {"$gt": 1}})
to_sql(node, parameters, rows)    # the WHERE clause for a table, or for rows that a query made
compile_predicate(node)(document) # one document in its wire form
"""

from documents.query.ast import EVERYTHING, Node
from documents.query.parser import parse
from documents.query.predicate import compile_predicate, matches
from documents.query.rows import Rows
from documents.query.to_sql import Parameters, to_sql

__all__ = [
    "EVERYTHING",
    "Node",
    "Parameters",
    "Rows",
    "compile_predicate",
    "matches",
    "parse",
    "to_sql",
]
