"""Bodies: size, type, depth."""

import io
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.kernel.http.request import (
    Request,
    check_depth,
    check_nesting,
    parse_json,
    require_json_type,
)
from baas.kernel.problems import Malformed, TooLarge, UnsupportedMediaType
from documents.values import parse_body

JSON = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers(-(2**63), 2**63),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


@given(JSON, st.integers(0, 6))
def test_depth_is_counted_as_a_parser_would(value: Any, limit: int) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        body = text.encode("utf-8", "surrogatepass")
        if _depth(value) <= limit:
            check_depth(body, limit)
            check_nesting(body, value, limit)
            continue
        with pytest.raises(Malformed) as refused:
            check_depth(body, limit)
        assert refused.value.code == "nesting_too_deep"
        with pytest.raises(Malformed) as refused:
            check_nesting(body, value, limit)
        assert refused.value.code == "nesting_too_deep"


@pytest.mark.parametrize("parse", [parse_json, parse_body])
@pytest.mark.parametrize("number", ["1", "1.5"])
@pytest.mark.parametrize(("levels", "ending"), [(101, "]"), (3000, "]"), (200_000, "]"), (500, "")])
def test_deep_bodies_are_refused_as_such(
    parse: Callable[[bytes], Any], number: str, levels: int, ending: str
) -> None:
    with pytest.raises(Malformed) as refused:
        parse(("[" * levels + number + ending * levels).encode())
    assert refused.value.code == "nesting_too_deep"
    assert parse(("[" * 100 + number + "]" * 100).encode())


def test_brackets_in_strings_do_not_nest() -> None:
    check_depth(json.dumps({"a": '[{"\\' * 200}).encode())


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_but_as_malformed(body: bytes) -> None:
    with suppress(Malformed):
        parse_json(body)


def request(body: bytes, length: str | None, **environ: str) -> Request:
    found: dict[str, Any] = {"wsgi.input": io.BytesIO(body), **environ}
    if length is not None:
        found["CONTENT_LENGTH"] = length
    return Request(found, "POST", "/", "r")


def test_a_body_over_the_limit_is_not_read() -> None:
    announced = request(b"x" * 11, "11")
    with pytest.raises(TooLarge):
        announced.body(10)
    assert announced.environ["wsgi.input"].tell() == 0
    chunked = request(b"x" * 100_000, None)
    with pytest.raises(TooLarge):
        chunked.body(10)
    assert chunked.environ["wsgi.input"].tell() == 11


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "+5", "5 "])
def test_a_length_that_is_no_number_is_malformed(length: str) -> None:
    with pytest.raises(Malformed):
        request(b"xxxxx", length).body(10)


def test_a_body_that_ends_early_is_malformed() -> None:
    with pytest.raises(Malformed):
        request(b"xxx", "5").body(10)


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "Application/JSON; charset=utf-8",
                     "application/merge-patch+json"]
)  # fmt: skip
def test_json_types(content_type: str | None) -> None:
    require_json_type(content_type)


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_other_types_are_not_json(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        require_json_type(content_type)


@pytest.mark.parametrize("query", ["a=%00", "a=%ff", "&".join("a=1" for _ in range(101))])
def test_a_malformed_query_string_is_refused(query: str) -> None:
    with pytest.raises(Malformed):
        _ = request(b"", None, QUERY_STRING=query).query


def test_of_a_repeated_name_the_last_value_counts() -> None:
    assert request(b"", None, QUERY_STRING="a=1&b=&a=2").query == {"a": "2", "b": ""}
