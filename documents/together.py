"""What several threads ask of the database at the same moment, done in one statement.

A commit waits for the disk, and each round trip wakes two processes: under load that costs more
than the work. So while statements run, the others that want the same line up; when one is done, the
first in the line runs one statement for all. Who comes alone does not wait for anybody.
"""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final, Generic, TypeVar

import psycopg

MAX: Final = 100  # members of a group
# Statements at a time: while one waits for the disk the next ones work.
LANES: Final = 2

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# The server has said that nothing was done, and it concerns one of the items: the others may do.
_REFUSALS: Final = (
    psycopg.IntegrityError,
    psycopg.DataError,
    psycopg.ProgrammingError,
    psycopg.errors.ProgramLimitExceeded,
)


class Refused(Exception):
    """The database refused the group's statement: each of its members is to try by itself."""


class _Member(Generic[Item, Answer]):
    __slots__ = ("answer", "error", "is_done", "item", "turn")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.turn = Lock()
        self.turn.acquire()
        self.is_done = False
        self.answer: Answer | None = None
        self.error: BaseException | None = None


class Together(Generic[Item, Answer]):
    """One line of waiting threads. What runs in it must not wait for locks of other writers."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._line: deque[_Member[Item, Answer]] = deque()
        self._running = 0

    def run(
        self,
        item: Item,
        alone: Callable[[], Answer | None],
        together: Callable[[Sequence[Item]], Sequence[Answer | None]],
    ) -> Answer | None:
        """The answer to the item, by `alone()` or as one of those of `together(items)`.

        Raises Refused when the item's group was refused, otherwise what `alone` raises, and what
        ends a group without an answer of the server, such as the loss of the connection.
        """
        mine: _Member[Item, Answer] = _Member(item)
        with self._lock:
            waits = self._running == LANES
            if waits:
                self._line.append(mine)
            else:
                self._running += 1
        if waits:
            mine.turn.acquire()
            if mine.is_done:
                return _outcome(mine)
        others = self._take()
        try:
            if not others:
                return alone()
            _answer([mine, *others], together)
        finally:
            self._pass_on()
            for other in others:
                other.is_done = True
                other.turn.release()
        return _outcome(mine)

    def _take(self) -> list[_Member[Item, Answer]]:
        with self._lock:
            return [self._line.popleft() for _ in range(min(MAX - 1, len(self._line)))]

    def _pass_on(self) -> None:
        with self._lock:
            if self._line:
                self._line.popleft().turn.release()
            else:
                self._running -= 1


def _answer(
    members: Sequence[_Member[Item, Answer]],
    together: Callable[[Sequence[Item]], Sequence[Answer | None]],
) -> None:
    try:
        answers = together([member.item for member in members])
    except _REFUSALS as error:
        for member in members:
            member.error = error
        return
    except BaseException as error:
        for member in members:
            member.error = error
        raise
    for member, answer in zip(members, answers, strict=True):
        member.answer = answer


def _outcome(member: _Member[Item, Answer]) -> Answer | None:
    error = member.error
    if error is None:
        return member.answer
    if isinstance(error, _REFUSALS):
        raise Refused from error
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        raise type(error)(*error.args) from error
    # The connection was lost, or worse: whether the write happened is not known.
    raise psycopg.errors.AdminShutdown(f"a statement for several requests failed: {error}") from (
        error
    )
