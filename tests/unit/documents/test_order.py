"""The order of all values as a text."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.query import order
from documents.query.paths import MISSING

NUMBERS = [
    -(10**400), -(10**20) - 1, -(10**20), Decimal("-12.5"), -12, -2, Decimal("-1.01"), -1,
    Decimal("-0.1"), Decimal("-0.012"), 0, Decimal("0.0012"), Decimal("0.012"), Decimal("0.1"),
    1, Decimal("1.000000000000000000001"), 2, 9, 10, 11, 99, 100, Decimal("100.5"), 10**20,
    10**20 + 1, 10**400,
]  # fmt: skip
ORDERED: list[Any] = [
    MISSING, None, *NUMBERS, "", "\x01", "\x01\x01", "\x02", "A", "a", "a\x01", "aa", "é", "｡", "𝄞",
    {}, {"a": 2}, {"a": 2, "b": 0}, {"a": 2, "b": 1}, {"a": 3}, {"aa": 0}, {"b": 1},
    {"a": "x"}, {"a": "x\x01"}, {"a": "xx"}, {"a": {}}, {"a": []},
    [], [None], [1], [1, 1], [1, "a"], [2], ["a"], ["a", "b"], ["a\x01"], ["aa"], [{}], [[]],
    {"$binary": {"base64": "", "subType": "00"}},
    {"$binary": {"base64": "/w==", "subType": "00"}},
    {"$binary": {"base64": "AA==", "subType": "05"}},
    {"$binary": {"base64": "AAA=", "subType": "00"}},
    False, True,
    {"$date": "0001-01-01T00:00:00.000Z"}, {"$date": "2024-01-01T00:00:00.000Z"},
]  # fmt: skip


def test_every_kind_of_value_has_its_place() -> None:
    # Pairs of objects compare by type before they compare by name.
    shuffled = ORDERED[1::2] + ORDERED[::2]
    assert sorted(shuffled, key=order.text) == ORDERED
    assert len({order.text(value) for value in ORDERED}) == len(ORDERED)


@pytest.mark.parametrize(("less", "more"), list(pairwise(NUMBERS)))
def test_numbers_of_any_size_compare_within_arrays(less: Any, more: Any) -> None:
    assert order.text([less, 9]) < order.text([more, 0])
    assert order.text({"k": less}) < order.text({"k": more})


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers())
def test_texts_of_numbers_compare_as_the_numbers(left: Decimal, right: int) -> None:
    assert (order.text(left) < order.text(right)) == (left < right)
    assert (order.text(left) == order.text(right)) == (left == right)


# No text that is stored has a NUL.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


@given(TEXTS, TEXTS)
def test_texts_within_arrays_compare_as_the_texts(left: str, right: str) -> None:
    assert (order.text([left, 1]) < order.text([right, 0])) == (left < right) or left == right
