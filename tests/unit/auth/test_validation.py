"""What users may give us."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth import validation
from baas.kernel.problems import Invalid


@pytest.mark.parametrize("given_address", ["Alice@Example.com", " alice@example.com\n"])
def test_an_address_is_kept_in_lower_case(given_address: str) -> None:
    assert validation.email_address(given_address) == "alice@example.com"


@pytest.mark.parametrize(
    "value", [None, 1, "", "a", "a@", "@b.c", "a b@c.de", "a@b@c.de", "a@b.c\nbcc: x@y.z",
              "a" * 300]
)  # fmt: skip
def test_it_refuses_what_is_no_address(value: object) -> None:
    with pytest.raises(Invalid):
        validation.email_address(value)


def test_passwords_are_counted_in_characters_below_and_bytes_above() -> None:
    assert validation.new_password("пароль12") == "пароль12"
    assert validation.new_password("ß" * 512)
    for bad in ("1234567", "ß" * 513, "", None, 12345678):
        with pytest.raises(Invalid):
            validation.new_password(bad)


# The examples of RFC 7396, appendix A.
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_is_that_of_the_rfc(target: Any, patch: Any, result: Any) -> None:
    assert validation.merge_patch(target, patch) == result


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON, JSON)
def test_a_merge_patch_applied_twice_changes_nothing_more(target: Any, patch: Any) -> None:
    once = validation.merge_patch(target, patch)
    assert validation.merge_patch(once, patch) == once


@pytest.mark.parametrize("value", [{"\0": 1}, {"a": {"b": ["\0"]}}, [], "x", None])
def test_data_must_be_an_object_that_can_be_kept(value: object) -> None:
    with pytest.raises(Invalid):
        validation.json_object("data", value, 100)
    assert validation.json_object("data", {"a": "\\u0000"}, 100)
