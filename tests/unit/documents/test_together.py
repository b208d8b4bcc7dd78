"""Threads that want the same at the same moment share a statement."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from documents.together import LANES, MAX, Refused, Together


class Line:
    """A line whose lanes are all taken until `count` others wait."""

    def __init__(self, together: Callable[[Sequence[int]], Sequence[Any]]) -> None:
        self.line = Together[int, Any]()
        self.groups: list[list[int]] = []
        self._together = together
        self._all_taken = threading.Barrier(LANES + 1)
        self._go = threading.Event()

    def _all(self, items: Sequence[int]) -> Sequence[Any]:
        self.groups.append(list(items))
        return self._together(items)

    def _hold(self) -> None:
        self._all_taken.wait(10)
        assert self._go.wait(10)

    def run(self, count: int) -> list[Any]:
        """The outcome of each of 1 … count: an answer or an exception."""

        def one(item: int) -> Any:
            try:
                return self.line.run(item, lambda: f"alone {item}", self._all)
            except Exception as error:  # noqa: BLE001 - the outcome is what is looked at
                return error

        with ThreadPoolExecutor(LANES + count) as pool:
            held = [pool.submit(self.line.run, 0, self._hold, self._all) for _ in range(LANES)]
            self._all_taken.wait(10)
            outcomes = [pool.submit(one, item) for item in range(1, count + 1)]
            while len(self.line._line) < count:
                threading.Event().wait(0.001)
            self._go.set()
            assert [holder.result(10) for holder in held] == [None] * LANES
            return [outcome.result(10) for outcome in outcomes]

    @property
    def served(self) -> list[int]:
        """The sizes of the groups, and of who was alone in the end."""
        return sorted(map(len, self.groups))


def test_who_comes_alone_is_served_alone() -> None:
    line = Together[int, str]()
    for item in range(3):
        assert line.run(item, lambda: "alone", lambda items: []) == "alone"


def test_who_comes_meanwhile_shares_a_statement() -> None:
    line = Line(lambda items: [f"group {item}" for item in items])
    outcomes = line.run(9)
    # The first lane that is free takes the line; who comes to the next one finds it empty.
    expected = {f"group {item}" for item in range(1, 10)} | {f"alone {n}" for n in range(1, 10)}
    assert set(outcomes) <= expected
    assert len(line.groups) <= LANES
    assert sum(map(len, line.groups)) >= 9 - LANES


def test_a_group_has_a_largest_size_and_the_rest_comes_next() -> None:
    line = Line(lambda items: list(items))
    outcomes = line.run(MAX + 50)
    assert all(str(item) in str(outcome) for item, outcome in enumerate(outcomes, 1))
    assert line.served[-1] <= MAX
    assert len(line.groups) >= 2


def test_each_gets_its_own_answer_and_none_when_it_has_none() -> None:
    line = Line(lambda items: [None if item % 2 else item for item in items])
    for item, outcome in enumerate(line.run(20), 1):
        assert outcome in (None if item % 2 else item, f"alone {item}")


def test_a_refused_group_leaves_each_to_itself() -> None:
    def refuse(items: Sequence[int]) -> Sequence[Any]:
        raise psycopg.errors.CheckViolation

    outcomes = Line(refuse).run(9)
    assert sum(type(outcome) is Refused for outcome in outcomes) >= 9 - LANES
    assert all(type(o) is Refused or str(o).startswith("alone") for o in outcomes)


@pytest.mark.parametrize(
    ("lost", "seen"),
    [
        (psycopg.OperationalError("the server went away"), psycopg.errors.AdminShutdown),
        (psycopg.errors.QueryCanceled("too slow"), psycopg.errors.QueryCanceled),
        (ZeroDivisionError("a fault"), psycopg.errors.AdminShutdown),
    ],
)
def test_nobody_repeats_what_may_have_happened(lost: Exception, seen: type[Exception]) -> None:
    def lose(items: Sequence[int]) -> Sequence[Any]:
        raise lost

    line = Line(lose)
    outcomes = line.run(9)
    in_groups = [outcome for outcome in outcomes if not isinstance(outcome, str)]
    assert len(in_groups) == sum(map(len, line.groups)) >= 9 - LANES
    # Those who ran the statement got its error, the others one of their own.
    assert sum(outcome is lost for outcome in in_groups) == len(line.groups)
    assert all(outcome is lost or type(outcome) is seen for outcome in in_groups)


def test_the_line_goes_on_after_a_failure() -> None:
    line = Together[int, str]()

    def fail() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        line.run(1, fail, lambda items: [])
    assert line.run(2, lambda: "fine", lambda items: []) == "fine"
