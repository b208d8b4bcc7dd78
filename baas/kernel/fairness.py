"""No project keeps all the threads of a web process waiting for the database.

A statement timeout bounds one request; forty requests of one caller would still be all that a
process does for half a minute. So of a project's requests that have had the database work for long
only some go on, those that began first; the statements of the others are cancelled.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg

from baas.kernel.metrics import Counter

# A request is slow when the database has worked for it so many seconds, in all its statements.
SLOW_S: Final = 3.0
# The same while as many of the project's requests are slow as may be.
SLOW_BESIDE_SLOW_S: Final = 1.0
_LOOK_S: Final = 0.25

_REFUSED: Final = Counter(
    "baas_slow_requests_refused_total",
    "Requests whose statement was cancelled since the project had enough slow ones.",
)


class Refused(psycopg.errors.QueryCanceled):
    """The statement was cancelled: the project has enough slow requests."""


class Work:
    """What the database does for one request."""

    __slots__ = ("_connection", "_lock", "_since", "_spent", "is_refused", "project_id")

    def __init__(self, project_id: int) -> None:
        self.project_id = project_id
        self.is_refused = False
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._since = 0.0
        self._spent = 0.0

    def begin(self, connection: "psycopg.Connection[Any]") -> None:
        """A statement begins."""
        self._since = time.monotonic()
        self._connection = connection

    def end(self) -> None:
        # A cancellation that is on its way arrives before the connection's next statement.
        with self._lock:
            self._connection = None
            self._spent += time.monotonic() - self._since

    def seconds(self) -> float:
        """How long the database has worked; 0 when it does not at this moment."""
        with self._lock:
            if self._connection is None:
                return 0.0
            return self._spent + time.monotonic() - self._since

    def refuse(self) -> None:
        """Cancel the statement that runs, if one does."""
        with self._lock:
            if self._connection is None or self.is_refused:
                return
            self.is_refused = True
            _REFUSED.inc()
            with suppress(psycopg.Error):  # the connection was lost: so is the statement
                self._connection.cancel()


_here: Final = threading.local()
_working: Final[set[Work]] = set()
_most = 0
_watch: threading.Thread | None = None
_lock: Final = threading.Lock()


def limit(most: int) -> None:
    """Let each project have so many slow requests at a time in this process; 0: any number."""
    global _most
    _most = most


def enter(project_id: int) -> None:
    """What this thread asks of the database from now on is a project's."""
    leave()
    if not _most:
        return
    if _watch is None or not _watch.is_alive():
        _start()
    work = Work(project_id)
    _here.work = work
    _working.add(work)


def leave() -> None:
    """The request of this thread is done."""
    work: Work | None = getattr(_here, "work", None)
    if work is not None:
        _here.work = None
        _working.discard(work)


def here() -> Work | None:
    """The work for this thread's request, when it is one of a project."""
    return getattr(_here, "work", None)


@contextmanager
def counted(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """For a statement that does not go through `statements.run`. Raises Refused."""
    work = here()
    if work is None:
        yield
        return
    work.begin(connection)
    try:
        yield
    except psycopg.errors.QueryCanceled as error:
        raise refusal(work, error) from error
    finally:
        work.end()


def refusal(work: Work, error: psycopg.errors.QueryCanceled) -> psycopg.errors.QueryCanceled:
    """What a cancelled statement is to its request."""
    return Refused(*error.args) if work.is_refused else error


def look() -> None:
    """Refuse what is too much at this moment."""
    by_project: dict[int, list[tuple[float, Work]]] = defaultdict(list)
    for work in _working.copy():
        seconds = work.seconds()
        if seconds >= SLOW_BESIDE_SLOW_S:
            by_project[work.project_id].append((seconds, work))
    for found in by_project.values():
        found.sort(key=lambda each: each[0], reverse=True)
        is_full = len(found) > _most and found[_most - 1][0] >= SLOW_S
        for seconds, work in found[_most:]:
            if is_full or seconds >= SLOW_S:
                work.refuse()


def _start() -> None:
    global _watch
    with _lock:
        if _watch is None or not _watch.is_alive():  # none lives on in a forked child
            _watch = threading.Thread(target=_look_on, name="fairness", daemon=True)
            _watch.start()


def _look_on() -> None:
    while True:
        time.sleep(_LOOK_S)
        look()
