"""The different values of a field among the documents that match and that the caller may read."""

import json
from dataclasses import dataclass, replace
from typing import Any, Final, LiteralString

from psycopg import sql

from baas.kernel import db
from documents import costs, query
from documents.access import Caller
from documents.aggregation import compiler, service
from documents.aggregation.ast import Match
from documents.aggregation.block import Closing, Context, Statement
from documents.aggregation.tables import table
from documents.query import columns, paths
from documents.query.ast import Path
from documents.query.problems import invalid_query

# An array's elements each by itself, once; in the order of all values.
_SELECT: Final[LiteralString] = (
    "SELECT v::text AS doc FROM (SELECT DISTINCT e AS v FROM {source},"
    " LATERAL documents_reach({value}, {path}) AS r(x), LATERAL jsonb_array_elements("
    "CASE WHEN jsonb_typeof(x) = 'array' THEN x WHEN x IS NULL THEN '[]'"
    " ELSE jsonb_build_array(x) END) AS a(e)) AS found ORDER BY {order}"
)

_TIMES: Final = frozenset({("_createdAt",), ("_updatedAt",)})  # texts on the wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinct:
    field: Path
    filter: query.Node


def parse(body: dict[str, Any]) -> Distinct:
    """From `{"field": "a.b", "filter": {…}}`. Raises Malformed."""
    unknown = body.keys() - {"field", "filter"}
    if unknown:
        raise invalid_query("distinct takes a field and a filter", min(unknown)[:60])
    if not isinstance(body.get("field"), str):
        raise invalid_query("field is the name of a field", "field")
    return Distinct(field=paths.parse(body["field"]), filter=query.parse(body.get("filter")))


def run(caller: Caller, name: str, wanted: Distinct) -> bytes:
    """The JSON of the values, separated by commas. Raises as `service.run`."""
    shared = Statement(caller)
    context = Context(shared, compiler.compile_stages)
    block = table(context, name)
    if block is None:
        return b""
    block = compiler.compile_stages(context, (Match(wanted.filter),), replace(block, ties=()))
    closing = Closing(shared, block)
    value = closing.add(block.rows.field(wanted.field[0]))
    statement = sql.SQL(_SELECT).format(
        source=closing.source,
        value=value,
        path=columns.path_array(wanted.field[1:]),
        order=columns.order_key(sql.SQL("v")),
    )
    prepared = service.Prepared(statement.as_bytes(db.raw()), shared.values, shared.collections)
    items = service.fetch(caller, prepared, lambda: costs.fields_for(wanted.filter))
    if wanted.field in _TIMES:
        items = [json.dumps(json.loads(item)["$date"]) for item in items]
    return service.joined(items)
