"""Helpers of the index tests."""

from typing import Any

from tests.integration.documents.conftest import Collection


def plan(notes: Collection, **query: Any) -> str:
    """PostgreSQL's plan of a list by the secret key, where it prefers indexes."""
    from baas.kernel import db
    from baas.kernel.principals import Principal
    from baas.kernel.projects import by_slug
    from documents import listing
    from documents.access import Caller

    caller = Caller(by_slug(notes.project.slug), Principal(kind="key"))
    statement, values = listing.statement(caller, notes.name, listing.parse_query(query))
    db.execute("SET enable_seqscan = off")
    try:
        rows = db.fetch_all(b"EXPLAIN " + statement, values)
    finally:
        db.execute("RESET enable_seqscan")
    return "\n".join(row[0] for row in rows)


def stored(notes: Collection) -> Any:
    """The collection as the product keeps it."""
    from documents import collections

    return collections.get(notes.project.id, notes.name)


def index_name(notes: Collection, label: str) -> str:
    """The name in PostgreSQL of a declared index."""
    (found,) = [index.name for index in stored(notes).indexes if index.label == label]
    return str(found)


def shown(notes: Collection) -> Any:
    """What GET collections/{c} says."""
    return notes.client.get(
        f"{notes.project.path}/collections/{notes.name}", token=notes.project.secret_key
    ).json
