"""Extended JSON: what comes in as a value of ours, what goes out for a reader of doubles."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import values
from documents.transfer.extended_json import from_extended, needs_translation, to_extended

NUMBERS = (
    st.integers(-(10**40), 10**40)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
    | st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30).map(
        lambda number: Decimal(repr(number))
    )
)


def read_as_mongodb_does(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$numberDecimal"}:
            return Decimal(value["$numberDecimal"])
        return {key: read_as_mongodb_does(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [read_as_mongodb_does(inner) for inner in value]
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, int) and not isinstance(value, bool):
        assert -(2**63) <= value < 2**63
    return value


@given(st.dictionaries(st.text('ab"\\é', max_size=3), NUMBERS | st.lists(NUMBERS | st.text())))
def test_no_number_is_changed_on_the_way_out(document: dict[str, Any]) -> None:
    text = values.dumps(document).decode()
    assert values.equal(read_as_mongodb_does(json.loads(to_extended(text))), document)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (
            '{"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}',
            {"$binary": {"base64": "ABEiM0RVZneImaq7zN3u/w==", "subType": "04"}},
        ),
        ('{"$symbol": "a"}', "a"),
        ('{"$date": "2024-05-01T12:00:00.123+0200"}', {"$date": "2024-05-01T10:00:00.123Z"}),
        ('[{"a": {"$symbol": "b"}}]', [{"a": "b"}]),
        ('{"\\u0024symbol": "a"}', "a"),
    ],
)
def test_old_forms_are_translated(text: str, stored: Any) -> None:
    assert needs_translation(text.encode())
    assert values.normalise(from_extended(json.loads(text))) == stored


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_what_has_none_of_them_stays_as_it_is(value: Any) -> None:
    if not needs_translation(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")):
        assert from_extended(value) == value
