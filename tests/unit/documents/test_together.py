"""Threads that want the same at the same moment share a statement."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from documents.together import MAX, Together


class Line:
    """A line whose first member is held up until `count` others wait behind it."""

    def __init__(self, together: Callable[[Sequence[int]], Sequence[Any]]) -> None:
        self.line = Together[int, Any]()
        self.groups: list[list[int]] = []
        self.alone: list[int] = []
        self._together = together
        self._first = threading.Event()
        self._go = threading.Event()

    def _all(self, items: Sequence[int]) -> Sequence[Any]:
        self.groups.append(list(items))
        return self._together(items)

    def _by_itself(self, item: int) -> str:
        self.alone.append(item)
        if item == 0:
            self._first.set()
            assert self._go.wait(10)
        return f"alone {item}"

    def run(self, count: int) -> list[Any]:
        """The outcome of each of 0 … count: an answer or an exception."""

        def one(item: int) -> Any:
            try:
                return self.line.run(item, lambda: self._by_itself(item), self._all)
            except Exception as error:  # noqa: BLE001 - the outcome is what is looked at
                return error

        with ThreadPoolExecutor(count + 1) as pool:
            outcomes = [pool.submit(one, 0)]
            assert self._first.wait(10)
            outcomes += [pool.submit(one, item) for item in range(1, count + 1)]
            while len(self.line._line) < count:
                threading.Event().wait(0.001)
            self._go.set()
            return [outcome.result(10) for outcome in outcomes]


def test_who_comes_alone_is_served_alone() -> None:
    line = Together[int, str]()
    for item in range(3):
        assert line.run(item, lambda: "alone", lambda items: []) == "alone"


def test_who_comes_meanwhile_shares_one_statement() -> None:
    line = Line(lambda items: [f"group {item}" for item in items])
    outcomes = line.run(5)
    assert outcomes[0] == "alone 0"
    assert sorted(outcomes[1:]) == [f"group {item}" for item in range(1, 6)]
    assert [sorted(group) for group in line.groups] == [[1, 2, 3, 4, 5]]


def test_a_group_has_a_largest_size_and_the_rest_comes_next() -> None:
    line = Line(lambda items: list(items))
    outcomes = line.run(MAX + 10)
    assert sorted(outcomes[1:]) == list(range(1, MAX + 11))
    assert [len(group) for group in line.groups] == [MAX, 10]


def test_an_item_without_an_answer_gets_none() -> None:
    line = Line(lambda items: [None if item == 2 else item for item in items])
    assert sorted(line.run(3)[1:], key=str) == [1, 3, None]


def test_a_refused_group_leaves_each_to_itself() -> None:
    def refuse(items: Sequence[int]) -> Sequence[Any]:
        raise psycopg.errors.CheckViolation

    assert Line(refuse).run(3)[1:] == [None, None, None]


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
    outcomes = line.run(3)[1:]
    assert line.alone == [0]
    assert [outcome for outcome in outcomes if outcome is lost] == [lost]
    others = [outcome for outcome in outcomes if outcome is not lost]
    if type(lost).__name__ == "QueryCanceled":
        assert all(type(outcome) is psycopg.errors.QueryCanceled for outcome in outcomes)
    assert len(others) == 2
    assert all(isinstance(outcome, seen) for outcome in others)


def test_the_line_goes_on_after_a_failure() -> None:
    line = Together[int, str]()

    def fail() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        line.run(1, fail, lambda items: [])
    assert line.run(2, lambda: "fine", lambda items: []) == "fine"
