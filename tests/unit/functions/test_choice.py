from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from functions.configuration import pick
from functions.packages import digest, from_inline

weights = st.dictionaries(st.integers(1, 50), st.integers(1, 100), min_size=1, max_size=5)


@given(weights=weights, key=st.none() | st.text(max_size=20))
def test_a_call_goes_to_one_of_the_aliass_versions(weights: dict[int, int], key: str) -> None:
    assert pick(weights, key) in weights
    if key is not None:
        assert pick(weights, key) == pick(dict(reversed(weights.items())), key)


def test_calls_are_spread_by_weight() -> None:
    keys = Counter(pick({3: 90, 4: 10}, str(number)) for number in range(5000))
    assert 350 < keys[4] < 650
    chances = Counter(pick({3: 90, 4: 10}, None) for _ in range(5000))
    assert 350 < chances[4] < 650


@given(files=st.dictionaries(st.text("abc.", min_size=1, max_size=5), st.text(max_size=20)))
def test_the_same_files_make_the_same_package(files: dict[str, str]) -> None:
    assert digest(from_inline(files)) == digest(from_inline(dict(reversed(files.items()))))
