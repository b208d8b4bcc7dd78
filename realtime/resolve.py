"""From a subscribe frame to the live query that its sender may watch. Blocks: runs in the pool."""

from collections.abc import Iterable

from documents import collections
from documents.access import Caller, closed, readable_rows
from documents.geo.near import near_of
from documents.hidden import HiddenField
from documents.query import parser, sort
from documents.query.problems import invalid_query
from realtime.access import Access, access
from realtime.frames import Subscribe
from realtime.queries import LiveQuery, filter_key

NO_COLLECTION = "none yet"


def resolve(caller: Caller, frame: Subscribe) -> LiveQuery:
    """The query as this caller may see it.

    Raises Forbidden `rule_denied` when the collection is closed to him altogether, and the
    documents' own problems for a wrong name, filter or sort.
    """
    collections.check_name(frame.collection)
    filter_ = parser.parse(frame.filter)
    if near_of(filter_) is not None and not frame.sort:
        raise invalid_query("a live query with $near needs a sort: it is not kept by distance")
    order = sort.parse(frame.sort)
    found = collections.find(caller.project.id, frame.collection)
    return LiveQuery(
        project_id=caller.project.id,
        collection=frame.collection,
        collection_key=collection_key(found),
        filter=filter_,
        sort=order,
        limit=frame.limit,
        access=_access(caller, frame.collection, found),
        filter_key=filter_key(frame.filter),
    )


def collection_key(collection: collections.Collection | None) -> str:
    return NO_COLLECTION if collection is None else str(collection.id)


def is_current(query: LiveQuery) -> bool:
    """Whether the collection is still the one that the query was made for, under the same rule."""
    collection = collections.find(query.project_id, query.collection)
    if collection_key(collection) != query.collection_key:
        return False
    if query.access.rule is None or collection is None:
        return True
    rule = collection.rules.get("read")
    return (
        rule is not None
        and rule.source == query.access.rule.source
        and _sources(collection.hidden) == _sources(query.access.hidden)
    )


def _sources(hidden: Iterable[HiddenField]) -> list[tuple[object, str]]:
    return [(field.path, field.rule.source) for field in hidden]


def _access(caller: Caller, name: str, collection: collections.Collection | None) -> Access:
    if caller.principal.bypasses_rules:
        return access(None, caller)
    if collection is None:
        raise closed(name, "read")
    readable_rows(caller, collection)  # refuses who may read none of them
    return access(collection.rules["read"], caller, collection.hidden)
