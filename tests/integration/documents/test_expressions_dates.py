"""Dates: values by MongoDB's manual."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from baas.kernel.problems import Malformed
from documents import dates, values
from tests.integration.documents.expressions_table import MISSING, value


@pytest.fixture(autouse=True)
def database(migrated: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


def day(text: str) -> dict[str, str]:
    return {"$date": dates.canonical(text)}


DOC: dict[str, Any] = {
    "n": None,
    "t": "Hello, Wörld",
    "l": [1],
    "i": 42,
    "d": day("2024-02-29T13:05:09.123Z"),
    "winter": day("2024-01-01T23:30:00Z"),
    "b": {"$binary": {"base64": "aGVsbG8=", "subType": "00"}},
}

DATES: list[tuple[Any, Any]] = [
    ({"$year": "$d"}, 2024),
    ({"$month": "$d"}, 2),
    ({"$dayOfMonth": {"date": "$d"}}, 29),
    ({"$dayOfYear": "$d"}, 60),
    ({"$dayOfWeek": "$d"}, 5),
    ({"$isoDayOfWeek": "$d"}, 4),
    ({"$isoWeek": day("2021-01-03T00:00:00Z")}, 53),
    ({"$isoWeekYear": day("2021-01-03T00:00:00Z")}, 2020),
    ({"$week": day("2021-01-02T00:00:00Z")}, 0),
    ({"$week": day("2021-01-03T00:00:00Z")}, 1),
    ({"$week": day("2023-01-01T00:00:00Z")}, 1),
    ({"$hour": ["$d"]}, 13),
    ({"$minute": "$d"}, 5),
    ({"$second": "$d"}, 9),
    ({"$millisecond": "$d"}, 123),
    ({"$year": "$nothing"}, None),
    ({"$hour": {"date": "$d", "timezone": "Asia/Shanghai"}}, 21),
    ({"$hour": {"date": "$d", "timezone": "+0530"}}, 18),
    ({"$minute": {"date": "$d", "timezone": "-03:30"}}, 35),
    ({"$dayOfMonth": {"date": "$winter", "timezone": "Europe/Berlin"}}, 2),
    ({"$year": {"date": "$d", "timezone": "$n"}}, None),
    ({"$dateToString": {"date": "$d"}}, "2024-02-29T13:05:09.123Z"),
    ({"$dateToString": {"date": "$d", "format": "%Y-%m-%d"}}, "2024-02-29"),
    ({"$dateToString": {"date": "$d", "format": "it's %H\"%M\\ 100%% Y"}}, "it's 13\"05\\ 100% Y"),
    (
        {"$dateToString": {"date": "$d", "format": "%j %G-W%V-%u %w %U %b %B %L"}},
        "060 2024-W09-4 5 08 Feb February 123",
    ),
    (
        {"$dateToString": {"date": "$d", "format": "%H:%M %z %Z", "timezone": "America/New_York"}},
        "08:05 -0500 -300",
    ),
    ({"$dateToString": {"date": "$d", "timezone": "+02:00"}}, "2024-02-29T15:05:09.123"),
    ({"$dateToString": {"date": "$d", "format": "%H:%M", "timezone": "$zone"}}, None),
    ({"$dateToString": {"date": "$n", "format": "%Y", "onNull": "never"}}, "never"),
    ({"$dateToString": {"date": "$n"}}, None),
    ({"$dateToString": {"date": "$n", "onNull": "$nothing"}}, MISSING),
    (
        {"$dateFromString": {"dateString": "2017-02-08T12:10:40.787"}},
        day("2017-02-08T12:10:40.787Z"),
    ),
    ({"$dateFromString": {"dateString": "2017-02-08"}}, day("2017-02-08T00:00:00Z")),
    ({"$dateFromString": {"dateString": "2017-02-08T12:10:40+01:00"}}, day("2017-02-08T11:10:40Z")),
    (
        {"$dateFromString": {"dateString": "2017-02-08", "timezone": "America/New_York"}},
        day("2017-02-08T05:00:00Z"),
    ),
    (
        {"$dateFromString": {"dateString": "15-6-2018", "format": "%d-%m-%Y"}},
        day("2018-06-15T00:00:00Z"),
    ),
    (
        {"$dateFromString": {"dateString": "2017-W02-3", "format": "%G-W%V-%u"}},
        day("2017-01-11T00:00:00Z"),
    ),
    (
        {
            "$dateFromString": {
                "dateString": "060/2024 7:08:09.5 +0100",
                "format": "%j/%Y %H:%M:%S.%L %z",
            }
        },
        day("2024-02-29T06:08:09.005Z"),
    ),
    (
        {"$dateFromString": {"dateString": "3 Mar 2020", "format": "%d %b %Y"}},
        day("2020-03-03T00:00:00Z"),
    ),
    ({"$dateFromString": {"dateString": "never", "onError": "$t"}}, "Hello, Wörld"),
    ({"$dateFromString": {"dateString": 5, "onError": 0}}, 0),
    ({"$dateFromString": {"dateString": "2017-02-30", "onError": None}}, None),
    ({"$dateFromString": {"dateString": "$n", "onNull": 1}}, 1),
    ({"$dateFromString": {"dateString": "$nothing"}}, None),
    (
        {"$dateToParts": {"date": "$d"}},
        {
            "year": 2024,
            "month": 2,
            "day": 29,
            "hour": 13,
            "minute": 5,
            "second": 9,
            "millisecond": 123,
        },
    ),
    (
        {"$dateToParts": {"date": "$d", "iso8601": True, "timezone": "+00"}},
        {
            "isoWeekYear": 2024,
            "isoWeek": 9,
            "isoDayOfWeek": 4,
            "hour": 13,
            "minute": 5,
            "second": 9,
            "millisecond": 123,
        },
    ),
    (
        {"$dateFromParts": {"year": 2017, "month": 2, "day": 8, "hour": 12}},
        day("2017-02-08T12:00:00Z"),
    ),
    (
        {"$dateFromParts": {"year": 2017, "month": 14, "day": 1, "hour": 12}},
        day("2018-02-01T12:00:00Z"),
    ),
    (
        {"$dateFromParts": {"year": 2017, "month": 0, "day": 1, "hour": 12}},
        day("2016-12-01T12:00:00Z"),
    ),
    (
        {"$dateFromParts": {"isoWeekYear": 2017, "isoWeek": 6, "isoDayOfWeek": 3, "hour": 12}},
        day("2017-02-08T12:00:00Z"),
    ),
    (
        {
            "$dateFromParts": {
                "year": 2016,
                "month": 12,
                "day": 31,
                "hour": 23,
                "minute": 46,
                "second": 12,
                "timezone": "America/New_York",
            }
        },
        day("2017-01-01T04:46:12Z"),
    ),
    ({"$dateFromParts": {"year": "$n"}}, None),
    (
        {"$dateAdd": {"startDate": "$d", "unit": "year", "amount": 1}},
        day("2025-02-28T13:05:09.123Z"),
    ),
    (
        {"$dateAdd": {"startDate": day("2020-12-31T00:00:00Z"), "unit": "month", "amount": 2}},
        day("2021-02-28T00:00:00Z"),
    ),
    (
        {"$dateAdd": {"startDate": "$d", "unit": "quarter", "amount": -1}},
        day("2023-11-29T13:05:09.123Z"),
    ),
    (
        {"$dateAdd": {"startDate": "$d", "unit": "millisecond", "amount": 877}},
        day("2024-02-29T13:05:10Z"),
    ),
    (
        {"$dateSubtract": {"startDate": "$d", "unit": "week", "amount": 1}},
        day("2024-02-22T13:05:09.123Z"),
    ),
    (
        {
            "$dateAdd": {
                "startDate": day("2024-03-30T12:00:00Z"),
                "unit": "day",
                "amount": 1,
                "timezone": "Europe/Berlin",
            }
        },
        day("2024-03-31T11:00:00Z"),
    ),
    (
        {
            "$dateAdd": {
                "startDate": day("2024-03-30T12:00:00Z"),
                "unit": "hour",
                "amount": 24,
                "timezone": "Europe/Berlin",
            }
        },
        day("2024-03-31T12:00:00Z"),
    ),
    ({"$dateAdd": {"startDate": "$n", "unit": "day", "amount": 1}}, None),
    (
        {
            "$dateDiff": {
                "startDate": day("2021-12-31T23:59:59Z"),
                "endDate": day("2022-01-01T00:00:00Z"),
                "unit": "year",
            }
        },
        1,
    ),
    ({"$dateDiff": {"startDate": "$winter", "endDate": "$d", "unit": "month"}}, 1),
    ({"$dateDiff": {"startDate": "$winter", "endDate": "$d", "unit": "day"}}, 59),
    (
        {
            "$dateDiff": {
                "startDate": "$winter",
                "endDate": "$d",
                "unit": "day",
                "timezone": "Europe/Berlin",
            }
        },
        58,
    ),
    ({"$dateDiff": {"startDate": "$winter", "endDate": "$d", "unit": "hour"}}, 58 * 24 + 14),
    (
        {
            "$dateDiff": {
                "startDate": day("2021-01-01T00:00:00Z"),
                "endDate": day("2021-01-04T00:00:00Z"),
                "unit": "week",
            }
        },
        1,
    ),
    (
        {
            "$dateDiff": {
                "startDate": day("2021-01-01T00:00:00Z"),
                "endDate": day("2021-01-03T00:00:00Z"),
                "unit": "week",
                "startOfWeek": "Monday",
            }
        },
        0,
    ),
    ({"$dateDiff": {"startDate": "$d", "endDate": "$winter", "unit": "quarter"}}, 0),
    ({"$dateDiff": {"startDate": "$d", "endDate": "$d", "unit": "millisecond"}}, 0),
    ({"$dateTrunc": {"date": "$d", "unit": "month"}}, day("2024-02-01T00:00:00Z")),
    ({"$dateTrunc": {"date": "$d", "unit": "week"}}, day("2024-02-25T00:00:00Z")),
    (
        {"$dateTrunc": {"date": "$d", "unit": "week", "startOfWeek": "mon"}},
        day("2024-02-26T00:00:00Z"),
    ),
    ({"$dateTrunc": {"date": "$d", "unit": "hour", "binSize": 4}}, day("2024-02-29T12:00:00Z")),
    ({"$dateTrunc": {"date": "$d", "unit": "minute", "binSize": 15}}, day("2024-02-29T13:00:00Z")),
    ({"$dateTrunc": {"date": "$d", "unit": "year", "binSize": 5}}, day("2020-01-01T00:00:00Z")),
    (
        {"$dateTrunc": {"date": day("1999-05-05T00:00:00Z"), "unit": "quarter"}},
        day("1999-04-01T00:00:00Z"),
    ),
    (
        {"$dateTrunc": {"date": "$winter", "unit": "day", "timezone": "Europe/Berlin"}},
        day("2024-01-01T23:00:00Z"),
    ),
    ({"$dateTrunc": {"date": "$n", "unit": "day"}}, None),
    ({"$dateTrunc": {"date": "$d", "unit": "year"}}, day("2024-01-01T00:00:00Z")),
    ({"$dateTrunc": {"date": "$d", "unit": "day"}}, day("2024-02-29T00:00:00Z")),
    ({"$dateTrunc": {"date": "$d", "unit": "hour"}}, day("2024-02-29T13:00:00Z")),
    ({"$dateTrunc": {"date": "$d", "unit": "minute"}}, day("2024-02-29T13:05:00Z")),
    ({"$dateTrunc": {"date": "$d", "unit": "second"}}, day("2024-02-29T13:05:09Z")),
    ({"$dateTrunc": {"date": "$d", "unit": "millisecond"}}, day("2024-02-29T13:05:09.123Z")),
    ({"$lte": [{"$subtract": ["$$NOW", day("2020-01-01T00:00:00Z")]}, 0]}, False),
]


@pytest.mark.parametrize(("expression", "expected"), DATES)
def test_an_expression_has_the_value_of_the_manual(expression: Any, expected: Any) -> None:
    found = value(expression, DOC)
    assert values.equal(found, expected), found


@pytest.mark.parametrize(
    "expression",
    [
        {"$year": "$t"},
        {"$hour": {"date": "$d", "timezone": "Mars/Phobos"}},
        {"$hour": {"date": "$d", "timezone": "ABC+3"}},
        {"$hour": {"date": "$d", "timezone": 5}},
        {"$dateToString": {"date": "$d", "format": "%Q"}},
        {"$dateToString": {"date": "$t"}},
        {"$dateFromString": {"dateString": "never"}},
        {"$dateFromString": {"dateString": "2017-02-08T12:10:40Z", "timezone": "Europe/Berlin"}},
        {"$dateFromParts": {"year": 0}},
        {"$dateFromParts": {"month": 1}},
        {"$dateFromParts": {"year": 2017, "isoWeek": 1}},
        {"$dateFromParts": {"isoWeekYear": 2017, "month": 1}},
        {"$dateAdd": {"startDate": "$d", "unit": "fortnight", "amount": 1}},
        {"$dateAdd": {"startDate": "$d", "unit": "day", "amount": Decimal("0.5")}},
        {"$dateAdd": {"startDate": "$d", "unit": "year", "amount": 10**9}},
        {"$dateDiff": {"startDate": "$d", "endDate": "$t", "unit": "day"}},
        {"$dateTrunc": {"date": "$d", "unit": "week", "startOfWeek": "x"}},
        {"$dateTrunc": {"date": "$d", "unit": "day", "binSize": 0}},
        {"$dateTrunc": {"date": "$t", "unit": "day"}},
    ],
)
def test_a_wrong_argument_is_refused(expression: Any) -> None:
    with pytest.raises(Malformed) as refused:
        value(expression, DOC)
    assert refused.value.code == "invalid_query"
