"""How many batches of a worker run at once.

Batches of quick functions are mostly our own work, which threads of one interpreter only do slower
side by side; batches of slow functions are mostly waiting. Which it is shows after a moment: a
batch that is still running then makes room for another.
"""

import threading
import time
from types import TracebackType
from typing import Final, Self

QUICK_BATCHES: Final = 4
QUICK_S: Final = 0.25

_places = threading.BoundedSemaphore(QUICK_BATCHES)


class Turn:
    """A place among the quick batches, as a context manager; waits for it on entering."""

    def __enter__(self) -> Self:
        _places.acquire()
        self._ends_at = time.monotonic() + QUICK_S
        self._is_held = True
        return self

    def make_room(self) -> None:
        """To be called now and then: gives the place up once the batch is no quick one."""
        if self._is_held and time.monotonic() >= self._ends_at:
            self._give_up()

    def _give_up(self) -> None:
        self._is_held = False
        _places.release()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_held:
            self._give_up()
