import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from baas.kernel.problems import Invalid
from storage.paths import MAX_PATH, check_path, check_prefix, end_of_prefix

# Everything that Python text can hold, lone surrogates included.
anything = st.text(st.characters(codec=None, categories=None))


@given(anything)
@example("a\x00b")
@example("\ud800")
@example("a/../b")
@example("\u0344" * 300)  # grows when it is normalised
def test_a_path_is_accepted_only_when_it_is_harmless(text: str) -> None:
    try:
        path = check_path(text)
    except Invalid:
        return
    assert 1 <= len(path.encode()) <= MAX_PATH
    assert unicodedata.is_normalized("NFC", path)
    assert not any(unicodedata.category(character) == "Cc" for character in path)
    assert all(segment not in ("", ".", "..") for segment in path.split("/"))
    assert check_path(path) == path
    # Whatever the spelling, it is one object.
    assert check_path(unicodedata.normalize("NFD", path)) == path


@pytest.mark.parametrize(
    "path",
    ["", "/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/..", "\n", "a\x1fb", "a\x85", "\udfff"],
)
def test_it_refuses_what_is_no_path(path: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_path(path)
    assert refused.value.code == "invalid_path"


@pytest.mark.parametrize(
    "path", ["a", "a/b", "...", ".hidden", "a b", "\u76f8\u518c/\U0001f600", "a\\b", "%2F"]
)
def test_it_takes_what_people_call_files(path: str) -> None:
    assert check_path(path) == path


def test_the_limit_counts_bytes_not_characters() -> None:
    check_path("\u00e9" * (MAX_PATH // 2))
    with pytest.raises(Invalid, match="longer"):
        check_path("\u00e9" * (MAX_PATH // 2) + "a")


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
@example("\ud7ff", "\U0010ffff")
@example("a\U0010ffff", "")
def test_a_prefix_and_its_end_hold_exactly_what_starts_with_it(prefix: str, other: str) -> None:
    end = end_of_prefix(prefix)
    key, low, high = other.encode(), prefix.encode(), None if end is None else end.encode()
    inside = key >= low and (high is None or key < high)
    assert inside == key.startswith(low)
    assert low <= (prefix + other).encode()
    assert high is None or (prefix + other).encode() < high


def test_an_empty_prefix_is_one() -> None:
    assert check_prefix("") == ""
    assert end_of_prefix("") is None
    assert end_of_prefix("\U0010ffff") is None
