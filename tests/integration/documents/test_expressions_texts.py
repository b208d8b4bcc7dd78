"""Texts and conversions: values by MongoDB's manual."""

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

TEXTS: list[tuple[Any, Any]] = [
    ({"$concat": ["$t", "!", ""]}, "Hello, Wörld!"),
    ({"$concat": ["$t", "$nothing"]}, None),
    ({"$concat": []}, ""),
    ({"$substrCP": ["$t", 7, 3]}, "Wör"),
    ({"$substrCP": ["$t", 20, 3]}, ""),
    ({"$substrCP": ["$n", 0, 3]}, ""),
    ({"$substrCP": ["$i", 1, 3]}, "2"),
    ({"$substrBytes": ["$t", 7, 3]}, "Wö"),
    ({"$substrBytes": ["$t", 10, -1]}, "rld"),
    ({"$substr": ["$d", 0, 10]}, "2024-02-29"),
    ({"$strLenCP": "$t"}, 12),
    ({"$strLenBytes": "$t"}, 13),
    ({"$toUpper": "$t"}, "HELLO, WöRLD"),
    ({"$toLower": "ÀB"}, "Àb"),
    ({"$toLower": "$n"}, ""),
    ({"$toUpper": "$i"}, "42"),
    ({"$trim": {"input": " \n x y \u00a0"}}, "x y"),
    ({"$trim": {"input": "xyaxy", "chars": "yx"}}, "a"),
    ({"$ltrim": {"input": "  a "}}, "a "),
    ({"$rtrim": {"input": "  a "}}, "  a"),
    ({"$trim": {"input": "$n"}}, None),
    ({"$trim": {"input": "a", "chars": "$n"}}, None),
    ({"$split": ["a-b--c", "-"]}, ["a", "b", "", "c"]),
    ({"$split": ["$t", "§"]}, ["Hello, Wörld"]),
    ({"$split": ["", "-"]}, [""]),
    ({"$split": ["$n", "-"]}, None),
    ({"$indexOfCP": ["$t", "r"]}, 9),
    ({"$indexOfBytes": ["$t", "r"]}, 10),
    ({"$indexOfCP": ["$t", "l", 4]}, 10),
    ({"$indexOfCP": ["$t", "l", 4, 9]}, -1),
    ({"$indexOfCP": ["$t", "l", 40]}, -1),
    ({"$indexOfCP": ["$t", ""]}, 0),
    ({"$indexOfBytes": ["$n", "r"]}, None),
    ({"$replaceOne": {"input": "a.b.c", "find": ".", "replacement": "--"}}, "a--b.c"),
    ({"$replaceOne": {"input": "abc", "find": "x", "replacement": "y"}}, "abc"),
    ({"$replaceOne": {"input": "abc", "find": "x", "replacement": "$n"}}, None),
    ({"$replaceAll": {"input": "a.b.c", "find": ".", "replacement": ""}}, "abc"),
    ({"$replaceAll": {"input": "$n", "find": ".", "replacement": ""}}, None),
    ({"$strcasecmp": ["abc", "ABD"]}, -1),
    ({"$strcasecmp": ["a", "A"]}, 0),
    ({"$strcasecmp": ["$n", ""]}, 0),
    ({"$regexMatch": {"input": "$t", "regex": "^hello", "options": "i"}}, True),
    ({"$regexMatch": {"input": "$n", "regex": "x"}}, False),
    ({"$regexMatch": {"input": "a\nb", "regex": "^b$"}}, False),
    ({"$regexMatch": {"input": "a\nb", "regex": "^b$", "options": "m"}}, True),
    (
        {"$regexFind": {"input": "ab 12 cd", "regex": "([0-9])([0-9])"}},
        {"match": "12", "idx": 3, "captures": ["1", "2"]},
    ),
    (
        {"$regexFind": {"input": "ab 12", "regex": "[0-9]+"}},
        {"match": "12", "idx": 3, "captures": []},
    ),
    (
        {"$regexFind": {"input": "ab", "regex": "(a)|(b)"}},
        {"match": "a", "idx": 0, "captures": ["a", None]},
    ),
    ({"$regexFind": {"input": "ab", "regex": "x"}}, None),
    (
        {"$regexFindAll": {"input": "a1bb2", "regex": "([a-z]+)[0-9]"}},
        [
            {"match": "a1", "idx": 0, "captures": ["a"]},
            {"match": "bb2", "idx": 2, "captures": ["bb"]},
        ],
    ),
    (
        {"$regexFindAll": {"input": "a1a", "regex": "^a"}},
        [{"match": "a", "idx": 0, "captures": []}],
    ),
    ({"$regexFindAll": {"input": "$nothing", "regex": "a"}}, []),
    (
        {"$regexFindAll": {"input": "WÖRLD ö", "regex": "ö", "options": "i"}},
        [{"match": "Ö", "idx": 1, "captures": []}, {"match": "ö", "idx": 6, "captures": []}],
    ),
]

CONVERSIONS: list[tuple[Any, Any]] = [
    ({"$type": "$nothing"}, "missing"),
    ({"$type": "$n"}, "null"),
    ({"$type": "$i"}, "int"),
    ({"$type": 2**40}, "long"),
    ({"$type": 2**70}, "decimal"),
    ({"$type": Decimal("1.5")}, "double"),
    ({"$type": "$d"}, "date"),
    ({"$type": "$b"}, "binData"),
    ({"$type": [True]}, "bool"),
    ({"$isNumber": "$i"}, True),
    ({"$isNumber": "$t"}, False),
    ({"$toString": "$i"}, "42"),
    ({"$toString": Decimal("2.50")}, "2.5"),
    ({"$toString": True}, "true"),
    ({"$toString": "$d"}, "2024-02-29T13:05:09.123Z"),
    ({"$toString": "$n"}, None),
    ({"$toInt": "-7"}, -7),
    ({"$toInt": Decimal("-7.9")}, -7),
    ({"$toInt": True}, 1),
    ({"$toLong": "$d"}, 1709211909123),
    ({"$toDouble": "2.5"}, Decimal("2.5")),
    ({"$toDecimal": "1e3"}, 1000),
    ({"$toBool": "false"}, True),
    ({"$toBool": 0}, False),
    ({"$toBool": Decimal("0.1")}, True),
    ({"$toBool": [[]]}, True),
    ({"$toBool": "$n"}, None),
    ({"$toDate": 1709211909123}, day("2024-02-29T13:05:09.123Z")),
    ({"$toDate": "2018-03-20 12:00:00"}, day("2018-03-20T12:00:00Z")),
    ({"$convert": {"input": "x", "to": "int", "onError": "no"}}, "no"),
    ({"$convert": {"input": "x", "to": "int", "onError": "$nothing"}}, MISSING),
    ({"$convert": {"input": "$n", "to": "int", "onNull": 0}}, 0),
    ({"$convert": {"input": "5", "to": 16}}, 5),
    ({"$convert": {"input": "5", "to": "$n", "onNull": 9}}, 9),
    ({"$add": [{"$toInt": "5"}, 1]}, 6),
    ({"$binarySize": "$b"}, 5),
    ({"$binarySize": "ö"}, 2),
]


@pytest.mark.parametrize(("expression", "expected"), TEXTS + CONVERSIONS)
def test_an_expression_has_the_value_of_the_manual(expression: Any, expected: Any) -> None:
    found = value(expression, DOC)
    assert values.equal(found, expected), found


@pytest.mark.parametrize(
    "expression",
    [
        {"$concat": ["$t", "$i"]},
        {"$substrCP": ["$t", -1, 2]},
        {"$substrBytes": ["$t", 8, 1]},
        {"$strLenCP": "$n"},
        {"$toUpper": "$l"},
        {"$split": ["$t", ""]},
        {"$split": ["$i", "-"]},
        {"$indexOfCP": ["$t", "$n"]},
        {"$replaceAll": {"input": "$i", "find": "a", "replacement": "b"}},
        {
            "$replaceAll": {
                "input": {
                    "$reduce": {
                        "input": {"$range": [0, 5000]},
                        "initialValue": "",
                        "in": {"$concat": ["$$value", "a"]},
                    }
                },
                "find": "a",
                "replacement": "x" * 5000,
            }
        },
        {"$regexMatch": {"input": "$i", "regex": "x"}},
        {"$regexMatch": {"input": "$t", "regex": "(?<bad"}},
        {"$regexMatch": {"input": "$t", "regex": "x", "options": "q"}},
        {"$toInt": "1.5"},
        {"$toInt": 2**31},
        {"$toString": "$l"},
        {"$toDate": True},
        {"$convert": {"input": 1, "to": "objectId"}},
        {"$convert": {"input": 1, "to": "tree", "onError": 1}},
    ],
)
def test_a_wrong_argument_is_refused(expression: Any) -> None:
    with pytest.raises(Malformed) as refused:
        value(expression, DOC)
    assert refused.value.code == "invalid_query"
