"""The documents that a write by filter is about.

They match, and the caller may read them and, as far as SQL can say it, write them.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from baas.kernel import db
from documents import costs, hiding, listing, row_filter, wire
from documents.access import Caller
from documents.collections import Action, Collection
from documents.query import Node, Parameters, sort
from documents.query.sort import BY_ID, Sort
from documents.wire import Row
from documents.writable import writable

# Rows that are read at a time: the first will do, unless the caller may not write it.
_FIRST_PAGE: Final = 1
_NEXT_PAGE: Final = 16
_PAGE: Final = 256
_CHARACTERS: Final = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Selection:
    caller: Caller
    collection: Collection  # as the caller's lists read it
    filter: Node
    order: Sort
    is_sorted: bool  # the caller asked for the order
    is_whole: bool  # the condition is all that the rule of the write says
    select: bytes
    where: bytes
    order_by: bytes
    values: dict[str, Any]

    def rows(self) -> Iterator[Row]:
        """In their order, read as they are asked for.

        Raises Malformed `query_too_expensive` when it takes more rows than the caller may read.
        """
        self.require_cheap(b" LIMIT 1")
        return self._pages(b"")

    def require_cheap(self, limit: bytes = b"") -> None:
        """Raises Malformed `query_too_expensive` when to find them takes too many rows."""
        text = self.select + self.where + self.order_by + limit
        costs.require_cheap(self.caller, (self.collection,), text, self.values, self._hint)

    def _hint(self) -> list[str]:
        return costs.fields_for(self.filter, self.order)

    def idle(self) -> Iterator[Row]:
        """Those that nobody else has locked; locked for us until the transaction ends."""
        return self._pages(b" FOR UPDATE OF d SKIP LOCKED")

    def _pages(self, lock: bytes) -> Iterator[Row]:
        behind, values, size = b"", self.values, _FIRST_PAGE
        while True:
            text = self.select + self.where + behind + self.order_by + b" LIMIT %d" % size + lock
            if size > _FIRST_PAGE:
                text = listing.within(text, _CHARACTERS)
            page = db.fetch_all(text, values)
            if not page:
                return
            yield from page
            parameters = Parameters("c")
            # The order is that of what the caller sees.
            seen = hiding.mask(self.caller, self.collection, wire.value(page[-1]))
            last = sort.position(self.order, seen)
            condition = sort.after(self.order, last, parameters, self.collection.rows())
            behind = b" AND " + condition.as_bytes(db.raw())
            values = self.values | parameters.values
            size = _NEXT_PAGE if size == _FIRST_PAGE else _PAGE

    def queue(self) -> None:
        """Wait behind those who look for the same first document, until their transactions end.

        All would wait for that one, get it one after the other, and find it taken.
        """
        text = b"%d" % self.collection.id + self.where + self.order_by
        number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), signed=True)
        db.execute("SELECT pg_advisory_xact_lock(%s)", (number,))

    def lock(self, id: str) -> Row | None:
        """The row, locked until the transaction ends; None when it is no longer among them."""
        text = self.select + self.where + b" AND d._id = %(locked)s FOR UPDATE OF d"
        return db.fetch_one(text, self.values | {"locked": id})


def select(
    caller: Caller, collection: Collection, action: Action, filter: Node, order: Sort | None = None
) -> Selection:
    """Raises Forbidden `rule_denied` when the caller may read or write nothing at all here."""
    collection = hiding.seen(caller, collection)
    readable = row_filter.readable(caller, collection)
    allowed = writable(caller, collection, action)
    plan = listing.plan_of(collection, filter, order or BY_ID)
    where = listing.where(plan, readable)
    if allowed.text:
        where += b" AND (" + allowed.text + b")"
    return Selection(
        caller=caller,
        collection=collection,
        filter=filter,
        order=order or BY_ID,
        is_sorted=order is not None,
        is_whole=allowed.is_whole,
        select=collection.statements.select_whole.as_bytes(db.raw()),
        where=where,
        order_by=plan.order_by,
        values=plan.condition.bind(filter) | readable.parameters | allowed.parameters,
    )
