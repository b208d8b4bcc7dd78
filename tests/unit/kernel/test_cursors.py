"""Cursors and limits of lists."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.kernel import cursors
from baas.kernel.problems import Invalid, Malformed

# PostgreSQL keeps no NUL, so no position has one.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
POSITIONS = st.recursive(
    st.none() | st.integers(-(2**53), 2**53) | TEXTS, lambda inner: st.lists(inner, max_size=3)
)


@given(POSITIONS)
def test_a_cursor_comes_back_as_it_went(position: Any) -> None:
    cursor = cursors.encode(position)
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert cursors.decode(cursor) == position


@given(st.text(max_size=50))
def test_no_text_makes_it_fail_but_as_malformed(text: str) -> None:
    with suppress(Malformed):
        cursors.decode(text)


@pytest.mark.parametrize("cursor", ["!", "x", "é", "AAAA", "eyJ", "\0"])
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: str) -> None:
    with pytest.raises(Malformed) as refused:
        cursors.decode(cursor)
    assert refused.value.code == "invalid_cursor"


@pytest.mark.parametrize(("value", "limit"), [(None, 20), ("1", 1), ("1000", 1000), (7, 7)])
def test_limits(value: object, limit: int) -> None:
    assert cursors.parse_limit(value) == limit


@pytest.mark.parametrize("value", ["0", "1001", "-1", "x", "1.5", "", True, 2.0, [], "9" * 5000])
def test_a_limit_out_of_range_is_refused(value: object) -> None:
    with pytest.raises(Invalid) as refused:
        cursors.parse_limit(value)
    assert refused.value.code == "invalid_limit"
