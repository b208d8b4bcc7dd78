"""Imports and exports take long and keep a thread busy: a process runs a few at a time."""

import threading
from typing import Final

from baas.kernel.problems import Unavailable

MAX_AT_ONCE: Final = 4
_free: Final = threading.BoundedSemaphore(MAX_AT_ONCE)


class Slot:
    """One of them, taken when made. Raises Unavailable `too_many_transfers`."""

    def __init__(self) -> None:
        self._is_taken = _free.acquire(blocking=False)
        if not self._is_taken:
            raise Unavailable(
                f"{MAX_AT_ONCE} imports and exports are running on this server: try again later.",
                code="too_many_transfers",
                retry_after_s=10,
            )

    def free(self) -> None:
        """Safe to repeat."""
        if self._is_taken:
            self._is_taken = False
            _free.release()
