"""The views of one collection, found by what a change is about."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from realtime.changes import DocumentChange
from realtime.view import View


class Views:
    """Where every user watches his own documents, a change concerns the views of its owner only:
    thousands of others are not even asked."""

    def __init__(self) -> None:
        self._by_key: dict[str, View] = {}
        self._of_anybody: set[View] = set()
        self._of_owner: defaultdict[str, set[View]] = defaultdict(set)

    def __iter__(self) -> Iterator[View]:
        return iter(list(self._by_key.values()))

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: str) -> View | None:
        """The view of a query's key."""
        return self._by_key.get(key)

    def add(self, view: View) -> None:
        self._by_key[view.query.key] = view
        owner = view.query.owner
        (self._of_anybody if owner is None else self._of_owner[owner]).add(view)

    def remove(self, view: View) -> None:
        del self._by_key[view.query.key]
        owner = view.query.owner
        if owner is None:
            self._of_anybody.discard(view)
            return
        self._of_owner[owner].discard(view)
        if not self._of_owner[owner]:
            del self._of_owner[owner]

    def concerned(
        self, changes: list[DocumentChange]
    ) -> Iterable[tuple[View, list[DocumentChange]]]:
        """Each view with the changes that may matter to it, in their order."""
        found = dict.fromkeys(self._of_anybody, changes)
        if self._of_owner:
            owned: defaultdict[View, list[DocumentChange]] = defaultdict(list)
            for change in changes:
                for owner in change.owners:
                    for view in self._of_owner.get(owner, ()) if owner is not None else ():
                        owned[view].append(change)
            found |= owned
        return found.items()
