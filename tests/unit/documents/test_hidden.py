"""What is hidden of a document, as values."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import hidden

KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.one_of(st.integers(0, 3), st.text(max_size=2), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=3)
PATHS = st.lists(KEYS, min_size=1, max_size=3).map(tuple)


@given(DOCUMENTS, PATHS)
def test_nothing_is_left_at_a_hidden_path(document: dict[str, Any], path: tuple[str, ...]) -> None:
    assert not hidden.has(hidden.without(document, [path]), path)


@given(DOCUMENTS, PATHS)
def test_what_was_seen_can_be_sent_back(document: dict[str, Any], path: tuple[str, ...]) -> None:
    seen = hidden.without(document, [path])
    assert hidden.kept(document, seen, [path]) == document


@given(DOCUMENTS, DOCUMENTS, PATHS)
def test_a_replacement_never_loses_or_changes_what_is_hidden(
    old: dict[str, Any], new: dict[str, Any], path: tuple[str, ...]
) -> None:
    made = hidden.kept(old, new, [path])
    if made is None:
        return
    assert hidden.is_same(old, made, path)
    # The rest is as it was sent.
    left, sent = hidden.without(made, [path]), hidden.without(new, [path])
    assert {key: left[key] for key in sent} == sent


@pytest.mark.parametrize(
    ("changed", "is_touched"),
    [
        ("a.b", True),
        ("a", True),
        ("a.b.c", True),
        ("a.0.b", True),
        ("a.$[].b", True),
        ("a.$[x].z", True),  # the elements are chosen by a condition
        ("a.$.z", True),
        ("a.c", False),
        ("a.0.c", False),
        ("a.$[].c", False),
        ("ab", False),
        ("b", False),
    ],
)
def test_what_touches_a_hidden_path(changed: str, is_touched: bool) -> None:
    assert hidden.touches(tuple(changed.split(".")), ("a", "b")) is is_touched
