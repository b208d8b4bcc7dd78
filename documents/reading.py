"""Reading single documents: by a statement each, or one for all that come at the same moment."""

from collections.abc import Sequence

from psycopg import sql

from baas.kernel import db, reads
from documents import access, row_filter, wire
from documents.access import Caller
from documents.collections import Collection
from documents.compiled import Compiled
from documents.together import Refused
from documents.wire import Row


def find(collection: Collection, id: str) -> Row | None:
    """The stored row as of now, or as of the transaction; None when there is none."""

    def alone() -> Row | None:
        return reads.fetch_one(collection.statements.get, {"id": id})

    def together(ids: Sequence[str]) -> list[Row | None]:
        rows = reads.fetch_all(collection.statements.get_many, {"ids": list(set(ids))})
        found = {row[0]: row for row in rows}
        return [found.get(id) for id in ids]

    if db.in_transaction():
        return alone()
    try:
        return collection.reads.run(id, alone, together)
    except Refused:
        return alone()


def look(
    caller: Caller, collection: Collection, id: str, *, lock: bool = False
) -> tuple[Row, bool] | None:
    """The stored row and whether the caller may read it; None when there is none.

    It takes as many statements for what he may not read as for what is not there: PostgreSQL
    decides about rules that read other documents. With `lock` nobody else writes the row until the
    transaction ends.
    """
    rule = None if caller.principal.bypasses_rules else collection.rules.get("read")
    if rule is not None and "get()" in rule.reads:
        return _decided(caller, collection, id, lock=lock)
    row = db.fetch_one(collection.statements.lock, {"id": id}) if lock else find(collection, id)
    if row is None:
        return None
    if caller.principal.bypasses_rules:
        return row, True
    return row, access.may(caller, collection, "read", doc=wire.value(row))


def _decided(
    caller: Caller, collection: Collection, id: str, *, lock: bool
) -> tuple[Row, bool] | None:
    readable = row_filter.readable(caller, collection)
    statement = sql.SQL(
        "SELECT {}, coalesce({}, false) FROM {} AS d WHERE d._id = %(id)s{}"
    ).format(
        sql.SQL(wire.columns("d")),
        Compiled(readable.text or b"TRUE"),
        collection.table,
        sql.SQL(" FOR UPDATE OF d" if lock else ""),
    )
    row = db.fetch_one(statement, readable.parameters | {"id": id})
    return None if row is None else (row[:-1], row[-1])
