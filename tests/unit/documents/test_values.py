"""JSON values: numbers stay exact, dates have one form, names are checked."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.kernel.problems import Invalid, Malformed
from documents import dates, values

NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=6)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc é"), inner),
    max_leaves=10,
)


@given(JSON)
def test_what_is_written_is_read_again(value: Any) -> None:
    text = values.dumps(value)
    for read in (values.loads, values.parse_body):
        again = read(text)
        assert values.equal(again, value)
        assert not any(isinstance(number, float) for number in numbers(again))


def numbers(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [found for item in value for found in numbers(item)]
    return [value]


@pytest.mark.parametrize(
    "text",
    [b"1.10", b"123456789012345678901234567890", b"1E400", b"-0.5", b"9223372036854775808"],
)
def test_numbers_are_exact(text: bytes) -> None:
    assert values.parse_body(text) == Decimal(text.decode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"NaN",
        b"[1.5,NaN]",
        b"[1.5,Infinity]",
        b'["\\ud800",1.5]',
        b'["\\ud800"]',
        b'"\xff"',
        b'["\xff",1.5]',
        "[1.5]".encode("utf-16"),
        b"[" * 101 + b"]" * 101,
        b"1" * 5000,
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        values.parse_body(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"$a":1}',
        b'{"a":{"$b":1}}',
        b'{"a.b":1}',
        b'{"":1}',
        b'{"a" :1, "b.c" : 2}',
        b'{"\\u0024a":1}',
        b'{"a\\u002eb":1}',
        b'{"x":"y","":1}',
        b'{"x":["a"],"a.":1}',
        b'{"a":1e16000}',
        b'{"a":[1.5E-400]}',
        b'{"a":' + b"9" * 4000 + b"}",
    ],
)
def test_nothing_suspicious_is_taken_for_plain(body: bytes) -> None:
    assert not values.is_plain(body)


@given(JSON)
def test_plain_text_needs_no_change(value: Any) -> None:
    text = values.dumps({"a": value})
    if values.is_plain(text):
        assert values.equal(values.normalise({"a": value}), {"a": value})


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00.000Z"),
        ("2024-05-01t10:00:00.123456z", "2024-05-01T10:00:00.123Z"),
        ("2024-05-01 10:00:00.5+02:30", "2024-05-01T07:30:00.500Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("0999-01-01T00:30:00-01:00", "0999-01-01T01:30:00.000Z"),
    ],
)
def test_dates_have_one_form(text: str, canonical: str) -> None:
    assert dates.canonical(text) == canonical


@pytest.mark.parametrize(
    "text",
    ["", "today", "2024-02-30T00:00:00Z", "2024-01-01", "2024-01-01T25:00:00Z",
     "2024-01-01T00:00:00", "0001-01-01T00:00:00+01:00", "2024-01-01T00:00:00.Z"],
)  # fmt: skip
def test_other_texts_are_no_dates(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any message
        dates.canonical(text)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, Decimal("1.0"), True),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        (None, False, False),
        ({"a": 1, "b": 2}, {"b": Decimal("2.00"), "a": 1}, True),
        ([1, 2], [2, 1], False),
        ([1], [True], False),
        ({}, [], False),
    ],
)
def test_equality_keeps_types_apart(left: Any, right: Any, same: bool) -> None:
    assert values.equal(left, right) is same
    assert values.equal(right, left) is same


@pytest.mark.parametrize(
    "value",
    [
        *(float("nan"), float("inf"), Decimal("NaN"), Decimal("1E+999999"), object()),
        # What would come back much longer than it was sent, or not be read at all.
        *(Decimal("1E+401"), Decimal("1E-401"), Decimal("0E+401"), 10**4000, Decimal(10**4000)),
    ],
)
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(Invalid):
        values.normalise({"a": value})


def test_extended_values_become_their_stored_form() -> None:
    assert values.normalise(
        {"l": {"$numberLong": "9007199254740993"}, "d": {"$numberDecimal": "1.10"}, "f": 0.1}
    ) == {"l": 9007199254740993, "d": Decimal("1.10"), "f": Decimal("0.1")}


@pytest.mark.parametrize("number", [1e308, 5e-324, Decimal("1E+400"), 10**3999, -(10**3999)])
def test_large_numbers_are_written_in_full_and_read_again(number: Any) -> None:
    kept = values.normalise(number)
    text = values.dumps(kept)
    assert b"E" not in text
    assert values.loads(text) == kept


def test_numbers_that_are_not_for_storing_are_not_written_out() -> None:
    assert values.dumps({"$comment": Decimal("1E+999999999")}) == b'{"$comment":1E+999999999}'


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"$date": {"$numberLong": "1714557600123"}}, {"$date": "2024-05-01T10:00:00.123Z"}),
        ({"$date": -1}, {"$date": "1969-12-31T23:59:59.999Z"}),
        ({"$oid": "5F1E8c0a9b3d2f0012345678"}, "5f1e8c0a9b3d2f0012345678"),
        ({"$binary": "/w=="}, {"$binary": {"base64": "/w==", "subType": "00"}}),
        (
            {"$binary": {"base64": "AAE=", "subType": "4"}},
            {"$binary": {"base64": "AAE=", "subType": "04"}},
        ),
        (
            {"$binary": "AAE=", "$type": "05"},
            {"$binary": {"base64": "AAE=", "subType": "05"}},
        ),
        ({"$numberLong": "-9223372036854775808"}, -(2**63)),
        ({"$numberInt": "+7"}, 7),
        ({"$numberDecimal": "1.50"}, Decimal("1.50")),
    ],
)
def test_extended_json_has_one_form(given: Any, stored: Any) -> None:
    assert values.normalise([{"a": given}]) == [{"a": stored}]
    assert values.normalise({"a": values.normalise(given)}) == {"a": stored}


@pytest.mark.parametrize(
    "given",
    [
        {"$date": {"$numberLong": "9" * 30}},
        {"$date": {"$numberLong": 5}},
        {"$date": True},
        {"$date": Decimal("1.5")},
        {"$oid": "xyz"},
        {"$oid": 5},
        {"$binary": "not base64"},
        {"$binary": {"base64": "AAE=", "subType": "xx"}},
        {"$binary": {"base64": 5, "subType": "00"}},
        {"$binary": {"base64": "AAE="}},
        {"$binary": None, "$type": None},
        {"$numberLong": "1_000"},
        {"$numberLong": "1.5"},
        {"$numberDecimal": "NaN"},
        {"$numberDouble": "1_0.5"},
        {"$numberInt": 5},
    ],
)
def test_extended_json_that_is_none_is_refused(given: Any) -> None:
    with pytest.raises(Invalid) as refused:
        values.normalise({"a": given})
    assert refused.value.code == "invalid_value"
