"""Query strings: as urllib reads them, refused where it would guess."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.kernel.http.request import MAX_PARAMETERS, parse_query_string
from baas.kernel.problems import Malformed


@given(st.text(alphabet='ab=&+;%41C3A9 {}"[]é', max_size=30))
def test_it_reads_what_urllib_reads(text: str) -> None:
    try:
        expected = dict(parse_qsl(text, keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        with pytest.raises(Malformed):
            parse_query_string(text)
    else:
        assert parse_query_string(text) == expected


def test_of_a_repeated_name_the_last_value_counts() -> None:
    assert parse_query_string("a=1&b=&a=2") == {"a": "2", "b": ""}


@pytest.mark.parametrize("text", ["a=%00", "%00=a", "a=%FF", "&".join(["a=1"] * 101)])
def test_it_refuses(text: str) -> None:
    with pytest.raises(Malformed):
        parse_query_string(text)


def test_it_takes_as_many_parameters_as_it_says() -> None:
    text = "&".join([f"p{number}=1" for number in range(MAX_PARAMETERS)])
    assert len(parse_query_string(text)) == MAX_PARAMETERS
