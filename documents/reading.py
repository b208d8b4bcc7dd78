"""Reading single documents: by a statement each, or one for all that come at the same moment."""

from collections.abc import Sequence

from baas.kernel import db
from documents.collections import Collection
from documents.together import Refused
from documents.wire import Row


def find(collection: Collection, id: str) -> Row | None:
    """The stored row as of now, or as of the transaction; None when there is none."""

    def alone() -> Row | None:
        return db.fetch_one(collection.statements.get, {"id": id})

    def together(ids: Sequence[str]) -> list[Row | None]:
        rows = db.fetch_all(collection.statements.get_many, {"ids": list(set(ids))})
        found = {row[0]: row for row in rows}
        return [found.get(id) for id in ids]

    if db.in_transaction():
        return alone()
    try:
        return collection.reads.run(id, alone, together)
    except Refused:
        return alone()
