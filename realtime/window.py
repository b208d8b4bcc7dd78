"""The ordered window of documents that a live query shows, and how it moves. Pure.

Indexes in changes are those of Firebase: each one holds once all changes before it are applied;
-1 stands where the document is not in the window.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, Literal, NamedTuple

Operation = Literal["added", "modified", "removed"]


class Entry(NamedTuple):
    """A document as the window keeps it."""

    key: Any  # its place in the order, unlike that of any other document
    id: str
    stamp: tuple[Any, ...]  # changes with every write, also if it is deleted and made again
    json: str  # the wire form


class Change(NamedTuple):
    """One step from an old window to a new one."""

    op: Operation
    id: str
    entry: Entry | None  # None for `removed`
    old_index: int
    new_index: int


_key = attrgetter("key")


class Window:
    """The first `limit` documents of an ordered result, and some more that may move up.

    What lies behind `boundary` is unknown. When so many documents left that an unknown one
    belongs into the window, `is_short` is true and the window must be loaded anew.
    """

    def __init__(self, limit: int, margin: int, entries: Iterable[Entry], *, has_more: bool):
        self.limit = limit
        self._capacity = limit + margin
        self._entries = list(entries)
        self._by_id = {entry.id: entry for entry in self._entries}
        # The last known key while there are documents behind it, else None.
        self._boundary: Any = self._entries[-1].key if has_more and self._entries else None
        self._changes: list[Change] = []

    @property
    def visible(self) -> list[Entry]:
        """What is shown, in order."""
        return self._entries[: self.limit]

    @property
    def is_short(self) -> bool:
        return self._boundary is not None and len(self._entries) < self.limit

    def __contains__(self, id_: str) -> bool:
        return id_ in self._by_id

    def take_changes(self) -> list[Change]:
        """The steps since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def put(self, id_: str, entry: Entry | None) -> None:
        """The document is now `entry`, or None if it is no longer in the result."""
        old = self._by_id.get(id_)
        if old is not None and entry is not None and old.stamp == entry.stamp:
            return
        old_index = self._take(old) if old is not None else -1
        new_index = self._place(entry) if entry is not None else -1
        was_seen = 0 <= old_index < self.limit
        is_seen = 0 <= new_index < self.limit
        if was_seen and is_seen:
            self._changes.append(Change("modified", id_, entry, old_index, new_index))
        elif was_seen:
            self._changes.append(Change("removed", id_, None, old_index, -1))
            if len(self._entries) >= self.limit:
                moved_up = self._entries[self.limit - 1]
                self._changes.append(Change("added", moved_up.id, moved_up, -1, self.limit - 1))
        elif is_seen:
            if len(self._entries) > self.limit:
                pushed_out = self._entries[self.limit].id
                self._changes.append(Change("removed", pushed_out, None, self.limit - 1, -1))
            self._changes.append(Change("added", id_, entry, -1, new_index))
        if len(self._entries) > self._capacity:
            del self._by_id[self._entries.pop().id]
            self._boundary = self._entries[-1].key

    def _take(self, entry: Entry) -> int:
        index = bisect_left(self._entries, entry.key, key=_key)
        del self._entries[index]
        del self._by_id[entry.id]
        return index

    def _place(self, entry: Entry) -> int:
        """The index that it has now; -1 when it lies in the unknown."""
        if self._boundary is not None and entry.key > self._boundary:
            return -1
        index = bisect_left(self._entries, entry.key, key=_key)
        self._entries.insert(index, entry)
        self._by_id[entry.id] = entry
        return index


def diff(old: Sequence[Entry], new: Sequence[Entry]) -> list[Change]:
    """The steps that lead from one window to another of the same order and limit."""
    staying = {entry.id for entry in new}
    changes: list[Change] = []
    work = list(old)
    for index in range(len(work) - 1, -1, -1):
        if work[index].id not in staying:
            changes.append(Change("removed", work[index].id, None, index, -1))
            del work[index]
    before = {entry.id: entry for entry in work}
    for entry in new:
        was = before.get(entry.id)
        if was is not None and was.stamp == entry.stamp:
            continue
        old_index = -1
        if was is not None:
            old_index = bisect_left(work, was.key, key=_key)
            del work[old_index]
        new_index = bisect_left(work, entry.key, key=_key)
        work.insert(new_index, entry)
        op: Operation = "added" if was is None else "modified"
        changes.append(Change(op, entry.id, entry, old_index, new_index))
    return changes
