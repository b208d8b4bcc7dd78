"""How a query would find its documents: for those who declare indexes."""

from collections.abc import Sequence
from typing import Any

from baas.kernel.problems import Forbidden
from documents import collections, listing
from documents.access import Caller
from documents.aggregation import parse, service
from documents.collections import Collection
from documents.costs import hints, plans
from documents.costs.check import explained
from documents.costs.sizes import rows_of
from documents.query.problems import invalid_query

# Of tables that are read as a whole without harm.
SMALL = 1000


def explain(caller: Caller, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """The plan of a list (`filter`, `sort`, `limit` …) or of a `pipeline`.

    Raises Forbidden `rule_denied` for end users, since a plan tells of documents that they may not
    read; NotFound `collection_not_found`.
    """
    if not caller.principal.bypasses_rules and not caller.principal.is_acted:
        raise Forbidden("Plans are for the project's secret key and operators.", code="rule_denied")
    collection = collections.get(caller.project.id, name)
    read: Sequence[Collection] = [collection]
    if "pipeline" in body:
        if len(body) > 1:
            raise invalid_query("a pipeline stands alone", "pipeline")
        pipeline = parse(body["pipeline"])
        prepared = service.prepare(caller, name, pipeline)
        assert prepared is not None  # noqa: S101 - the collection is there
        text, values, read = prepared.text, prepared.values, prepared.collections
        fields = service.helpful(pipeline)
    else:
        query = listing.parse_query(body)
        text, values = listing.statement(caller, name, query)
        fields = hints.fields_for(query.filter, query.sort)
    plan = explained(text, values)
    return _reply(plan, read, fields)


def _reply(plan: plans.Plan, read: Sequence[Collection], fields: Sequence[str]) -> dict[str, Any]:
    used = _declared(plans.indexes(plan), read)
    scan = plans.scan(plan)
    sizes = {each.table_name: rows_of(each) for each in read}
    reply: dict[str, Any] = {
        "plan": {
            "index": used[0][0] if used else None,
            "fields": used[0][1] if used else [],
            "indexes": [{"index": index, "fields": names} for index, names in used],
            "scan": scan,
            "rows_estimated": plan["Plan Rows"],
            "rows_read_estimated": round(plans.rows_read(plan, sizes)),
            "postgres": plan,
        }
    }
    if scan == "table" and fields and any(size > SMALL for size in sizes.values()):
        reply["hint"] = {"index": {"fields": list(fields)}}
    return reply


def _declared(names: Sequence[str], read: Sequence[Collection]) -> list[tuple[str, list[str]]]:
    """What collections call their indexes, with the fields; `_id` has one of its own."""
    known: dict[str, tuple[str, list[str]]] = {}
    for collection in read:
        known[f"{collection.table_name}_pkey"] = ("_id", ["_id"])
        for index in collection.indexes:
            fields = [("-" if direction < 0 else "") + field for field, direction in index.fields]
            known[index.name] = known[index.members_name] = (index.label, fields)
    return [known[name] for name in names if name in known]
