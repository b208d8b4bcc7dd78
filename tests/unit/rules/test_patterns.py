"""The regular expressions of `matches()`: what is refused, and that none takes long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.rules.patterns import compile_pattern


@pytest.mark.parametrize(
    "source",
    [
        *("(a", "a)", "[a", "a**", "*a", "a{2", "a{3,2}", "a{256}", "(a{100}){100}", "a|*", "\\1"),
        *("(?=a)", "(?P<n>a)", "(?i:a)", "\\b", "\\p{L}", "[[:alpha:]]", "[z-a]", "[]", "[\\D]"),
        *("\\", "[\\", "(" * 30 + ")" * 30, "^*", "a{,3}", "(?s)."),
    ],
)
def test_it_refuses_what_the_engines_do_not_share(source: str) -> None:
    with pytest.raises(ValueError, match=r"matches\(\)"):
        compile_pattern(source)


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        *(
            ("^a.c$", "abc", True),
            ("^a.c$", "a\nc", False),
            ("c$", "abc\n", False),
            ("", "x", True),
        ),
        *(("^\\d+$", "٣", False), ("^\\w$", "é", False), ("^[^a]$", "é", True), ("a|", "", True)),
        *(("(?i)ſ", "s", False), ("(?i)[a-c]+$", "ABC", True), ("(?i)K", "\u212a", False)),
        *(("^(ab){2,3}?$", "ababab", True), ("\\.", "a", False), ("^[\\]\\-a-]+$", "]-a", True)),
        *(
            ("^(?:a|b)*c", "ababc", True),
            ("^\\S+@\\S+\\.com$", "a@b.com", True),
            ("x{0}y", "y", True),
        ),
    ],
)
def test_it_matches(source: str, text: str, expected: bool) -> None:
    assert compile_pattern(source).matches(text) is expected


def test_no_pattern_takes_long() -> None:
    text = "a" * 100_000 + "!"
    for source in ("^(a+)+$", "^(a|a)*$", "(.*)*x", "^(a?){255}a{255}$", "(a*)*b"):
        start = time.perf_counter()
        assert compile_pattern(source).matches(text) is False or source.startswith("^(a?)")
        assert time.perf_counter() - start < 1, source


@settings(max_examples=200, deadline=None)
@given(
    source=st.lists(
        st.sampled_from(
            ["a", "b", ".", "\\d", "[ab]", "[^a]", "(?:a|b)", "^", "$", "|", "*", "+", "?"]
        ),
        max_size=8,
    ).map("".join),
    text=st.text("ab1\n", max_size=6),
)
def test_it_means_what_python_means(source: str, text: str) -> None:
    try:
        mine = compile_pattern(source)
    except ValueError:
        return
    python = re.compile(source.replace("$", "\\Z"), re.ASCII)
    assert mine.matches(text) is (python.search(text) is not None)
