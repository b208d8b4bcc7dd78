"""Documents that changed, as the log tells it. Pure."""

from collections.abc import Callable, Hashable
from typing import Any, Final

from baas.kernel.events import StoredEvent
from documents import values
from realtime.window import Entry

EVENT_TYPES: Final = "baas.db.document."  # how all their names begin
# Documents came into a collection without events of their own.
IMPORTED: Final = "baas.db.collection.imported"


class DocumentChange:
    """What one event says of one document; it is parsed when somebody asks."""

    __slots__ = (
        *("_document", "_event", "_json", "_masked", "_owners"),
        *("collection", "id", "position", "verdicts"),
    )

    def __init__(self, event: StoredEvent) -> None:
        self.collection, _, self.id = event.subject.partition("/")
        self.position = event.position
        # Who may see it, by (filter, rule class): decided once for all windows.
        self.verdicts: dict[Hashable, bool] = {}
        self._event: StoredEvent | None = event
        self._document: dict[str, Any] | None = None
        self._owners: set[str | None] = set()
        self._json: str | None = None
        self._masked: dict[str, tuple[dict[str, Any], str]] = {}

    @property
    def document(self) -> dict[str, Any] | None:
        """The document after the write, in wire form with exact numbers; None when deleted."""
        self._parse()
        return self._document

    @property
    def owners(self) -> set[str | None]:
        """Whose the document is, and whose it was."""
        self._parse()
        return self._owners

    @property
    def json(self) -> str:
        """The document's JSON text, the same object for all frames."""
        if self._json is None:
            self._json = values.dumps(self.document).decode()
        return self._json

    def masked(
        self, key: str, mask: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> tuple[dict[str, Any], str]:
        """The document and its JSON text as a class of callers sees it; `key` names the class."""
        found = self._masked.get(key)
        if found is None:
            document = mask(self.document or {})
            found = self._masked[key] = (document, values.dumps(document).decode())
        return found

    def _parse(self) -> None:
        if self._event is not None:
            data = values.loads(self._event.data)
            self._event = None
            self._document = data.get("document")
            states = (self._document, data.get("before"))
            self._owners = {state.get("_owner") for state in states if state is not None}


def is_document_event(event: StoredEvent) -> bool:
    """Whether our documents room wrote it: what users publish has an id of theirs."""
    return event.ce_id is None and event.type.startswith(EVENT_TYPES)


def is_import(event: StoredEvent) -> bool:
    """Whether it tells of documents without events: its subject is their collection."""
    return event.ce_id is None and event.type == IMPORTED


def stamp(document: dict[str, Any]) -> tuple[Any, ...]:
    """Differs between any two states of a document that a window can hold."""
    return (document["_version"], document["_createdAt"], document["_updatedAt"])


def entry(key: Any, document: dict[str, Any], json: str) -> Entry:
    return Entry(key=key, id=document["_id"], stamp=stamp(document), json=json)
