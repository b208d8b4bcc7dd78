"""The collections that a pipeline reads: their rows, and of them those that the caller may read."""

from psycopg import sql

from documents import access, collections, hiding, row_filter
from documents.access import Caller
from documents.aggregation.block import Block, Context, Term, Text
from documents.collections import Collection
from documents.query import sort


def find(caller: Caller, name: str) -> Collection | None:
    """The collection; None when it is not there, which for end users is one closed to them.

    Raises Forbidden `rule_denied`.
    """
    found = collections.find(caller.project.id, name)
    if found is None and not caller.principal.bypasses_rules:
        raise access.closed(name, "read")
    return None if found is None else hiding.seen(caller, found)


def table(context: Context, name: str) -> Block | None:
    """The rows that the caller may read, by `_id`; None when there is no such collection.

    The table is named `d`, as rules want it: whatever reads it with rows from outside closes it
    first. Raises Forbidden `rule_denied` when the collection is closed to the caller.
    """
    collection = find(context.statement.caller, name)
    if collection is None:
        return None
    allowed = row_filter.readable(context.statement.caller, collection)
    context.statement.rule_values.update(allowed.parameters)
    context.statement.collections.append(collection)
    rows = collection.rows("d")
    return Block(
        source=sql.SQL("{} AS d").format(collection.source),
        rows=rows,
        where=(Text(allowed.text),) if allowed.text else (),
        ties=tuple([Term(key) for key in sort.expressions("_id", 1, rows)]),
    )
