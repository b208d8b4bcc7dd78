"""A live query: what is asked, by which class of callers. Pure."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from documents import values
from documents.query import ast, predicate, sort
from realtime.access import Access
from realtime.changes import DocumentChange, entry
from realtime.window import Entry

# How many documents behind the window are kept, to move up when others leave.
MARGIN: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveQuery:
    """Subscriptions with the same `key` share one window."""

    project_id: int
    collection: str
    collection_key: str  # changes when the collection is dropped and made again
    filter: ast.Node
    sort: sort.Sort
    limit: int
    access: Access
    filter_key: str
    key: str = field(init=False)
    fingerprint: str = field(init=False)  # the key, short enough for tokens
    place: Callable[[dict[str, Any]], Any] = field(init=False, compare=False, repr=False)
    selects: Callable[[dict[str, Any]], bool] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        parts = (
            str(self.project_id),
            self.collection,
            self.collection_key,
            self.filter_key,
            repr(self.sort.fields),
            str(self.limit),
            self.access.key,
        )
        key = "\n".join(parts)
        _set(self, "key", key)
        _set(self, "fingerprint", hashlib.blake2b(key.encode(), digest_size=8).hexdigest())
        _set(self, "place", _place(self.sort))
        _set(self, "selects", predicate.compile_predicate(self.filter))

    @property
    def owner(self) -> str | None:
        """The user whose documents alone can be in the result, None when anybody's can."""
        return self.access.owner or _required_owner(self.filter)

    def shows(self, document: dict[str, Any]) -> bool:
        """Whether the document is in the result; not for rules that read other documents."""
        return self.selects(self.access.mask(document)) and self.access.allows(document)

    def entry_of(self, change: DocumentChange) -> Entry | None:
        """The entry after the change, None when the document is not in the result any more."""
        document = change.document
        if document is None:
            return None
        asked = (self.filter_key, self.access.key)
        shown = change.verdicts.get(asked)
        if shown is None:
            shown = change.verdicts[asked] = self.shows(document)
        if not shown:
            return None
        if not self.access.hidden:
            return entry(self.place(document), document, change.json)
        masked, json = change.masked(self.access.key, self.access.mask)
        return entry(self.place(masked), masked, json)


def _required_owner(node: ast.Node) -> str | None:
    match node:
        case ast.Compare(path=("_owner",), op="eq", value=str(owner)):
            return owner
        case ast.And(parts):
            return next(filter(None, map(_required_owner, parts)), None)
        case _:
            return None


def filter_key(filter_: Any) -> str:
    """A text that is the same for the same filter."""
    return values.dumps(_sorted(filter_)).decode()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


def _place(order: sort.Sort) -> Callable[[dict[str, Any]], Any]:
    """A document's place in the order, as a value that compares."""
    if all(direction > 0 for _, direction in order.fields):
        return lambda document: sort.key(order, document)
    comparable = sort.sort_key(order)
    return lambda document: comparable(sort.key(order, document))


def _set(query: LiveQuery, name: str, value: Any) -> None:
    object.__setattr__(query, name, value)  # frozen: only while it is made
