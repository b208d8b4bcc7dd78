"""The bounded memory of what was looked up recently."""

from hypothesis import given
from hypothesis import strategies as st

from auth.recent import Recent

KEYS = st.integers(0, 20)


@given(st.lists(KEYS), st.integers(1, 5))
def test_it_never_keeps_more_than_twice_its_size(keys: list[int], size: int) -> None:
    recent: Recent[int, str] = Recent(size)
    for key in keys:
        recent.put(key, str(key))
        assert len(recent) <= 2 * size
        assert recent.get(key) == str(key)


@given(st.lists(KEYS, min_size=1), st.integers(1, 5))
def test_the_last_used_are_still_there(keys: list[int], size: int) -> None:
    recent: Recent[int, str] = Recent(size)
    for key in keys:
        if recent.get(key) is None:
            recent.put(key, str(key))
    newest = list(dict.fromkeys(reversed(keys)))[:size]
    assert all(recent.get(key) == str(key) for key in newest)


def test_what_is_dropped_is_gone_from_both_halves() -> None:
    recent: Recent[str, int] = Recent(1)
    recent.put("a", 1)
    recent.put("b", 2)
    recent.drop("a")
    recent.drop("b")
    recent.drop("never there")
    assert (recent.get("a"), recent.get("b"), len(recent)) == (None, None, 0)
