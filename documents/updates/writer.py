"""Changes at paths of a document: what changes is copied once, the given document never changes."""

from collections.abc import Callable
from typing import Any

from documents.query.paths import MISSING, is_index
from documents.updates import kinds
from documents.updates.ast import Path
from documents.updates.limits import MAX_PADDING, Budget
from documents.updates.problems import invalid_update

Make = Callable[[Any], Any]  # from the value there (or MISSING) to the new one (or MISSING)


class Writer:
    def __init__(self, document: dict[str, Any], budget: Budget) -> None:
        self.document = document
        self._budget = budget
        # The containers that are ours already, by identity; kept, so that none is taken for
        # another that was freed.
        self._own: dict[int, Any] = {}

    def change(self, path: Path, make: Make) -> None:
        """Raises Invalid `invalid_update` where nothing can be stored."""
        self.document = self._at(self.document, path, 0, make)

    def _at(self, container: Any, path: Path, depth: int, make: Make) -> Any:
        step = path[depth]
        if kinds.is_object(container):
            old = container.get(step, MISSING)
        elif isinstance(container, list) and is_index(step):
            place = int(step)
            old = container[place] if place < len(container) else MISSING
        else:
            if self._changed(MISSING, path, depth, make) is MISSING:
                return container  # $unset of what cannot be there
            raise invalid_update(
                ".".join(path), f"{'.'.join(path[:depth])} is not an object that could hold it"
            )
        new = self._changed(old, path, depth, make)
        if new is old:
            return container
        own = self._owned(container)
        if isinstance(own, list):
            self._set_item(own, int(step), new, path)
        elif new is MISSING:
            del own[step]
        else:
            own[step] = new
        return own

    def _changed(self, old: Any, path: Path, depth: int, make: Make) -> Any:
        if depth == len(path) - 1:
            return make(old)
        if old is not MISSING:
            return self._at(old, path, depth + 1, make)
        return self._at({}, path, depth + 1, make) or MISSING

    def _owned(self, container: Any) -> Any:
        if id(container) in self._own:
            return container
        copy = container.copy()
        self._own[id(copy)] = copy
        return copy

    def _set_item(self, array: list[Any], place: int, new: Any, path: Path) -> None:
        if place < len(array):
            array[place] = None if new is MISSING else new
        elif new is not MISSING:
            gap = place - len(array)
            if gap > MAX_PADDING:
                raise invalid_update(
                    ".".join(path), f"the index {place} is far behind the array's end"
                )
            self._budget.write(gap * len("null,"))
            array += [None] * gap + [new]
