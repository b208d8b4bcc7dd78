"""Arithmetic, comparison, boolean and conditional expressions: values by MongoDB's manual."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from baas.kernel.problems import Malformed
from documents import values
from tests.integration.documents.expressions_table import MISSING, value

D = Decimal


@pytest.fixture(autouse=True)
def database(migrated: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


DOC: dict[str, Any] = {
    "a": 4,
    "b": D("2.5"),
    "z": 0,
    "t": "text",
    "n": None,
    "d": {"$date": "2024-05-01T10:00:00.000Z"},
    "o": {"x": 1, "y": {"z": 2}},
    "l": [{"x": 1}, {"x": 2, "y": [{"z": 1}, {"z": 2}]}, {"q": 3}, 7, [{"x": 9}]],
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"$add": ["$a", "$b"]}, D("6.5")),
        ({"$add": ["$a", {"$multiply": ["$b", 2]}, 1]}, D("10.0")),
        ({"$add": []}, 0),
        ({"$add": ["$a", "$n"]}, None),
        ({"$add": ["$nothing", "$t"]}, None),
        ({"$add": ["$d", 1500]}, {"$date": "2024-05-01T10:00:01.500Z"}),
        ({"$add": [D("0.6"), "$d"]}, {"$date": "2024-05-01T10:00:00.001Z"}),
        ({"$subtract": ["$a", "$b"]}, D("1.5")),
        ({"$subtract": ["$d", 60000]}, {"$date": "2024-05-01T09:59:00.000Z"}),
        ({"$subtract": ["$d", {"$date": "2024-05-01T09:59:59.500Z"}]}, 500),
        ({"$subtract": ["$t", "$n"]}, None),
        ({"$multiply": ["$a", "$b", 3]}, 30),
        ({"$multiply": ["$a"]}, 4),
        ({"$multiply": [10**30, 10**30]}, 10**60),
        ({"$divide": ["$a", 2]}, 2),
        ({"$divide": [1, 2]}, D("0.5")),
        ({"$divide": [1, 3]}, D(1) / D(3)),
        ({"$divide": [{"$add": ["$a", 1]}, {"$add": ["$a", 0]}]}, D("1.25")),
        ({"$divide": ["$n", 0]}, None),
        ({"$mod": [-7, 3]}, -1),
        ({"$mod": ["$a", D("1.5")]}, 1),
        ({"$abs": -3}, 3),
        ({"$abs": "$nothing"}, None),
        ({"$ceil": D("7.2")}, 8),
        ({"$floor": D("-7.2")}, -8),
        ({"$round": D("2.5")}, 2),
        ({"$round": D("3.5")}, 4),
        ({"$round": [D("-2.5"), 0]}, -2),
        ({"$round": [D("19.25"), 1]}, D("19.2")),
        ({"$round": [D("28.73"), 1]}, D("28.7")),
        ({"$round": [1250, -2]}, 1200),
        ({"$round": [1350, -2]}, 1400),
        ({"$round": ["$n", 1]}, None),
        ({"$trunc": D("-7.9")}, -7),
        ({"$trunc": [D("28.79"), 1]}, D("28.7")),
        ({"$trunc": [1299, -2]}, 1200),
        ({"$sqrt": 16}, 4),
        ({"$pow": [2, 10]}, 1024),
        ({"$pow": [2, -2]}, D("0.25")),
        ({"$pow": [0, 0]}, 1),
        ({"$pow": [D("0.5"), 2]}, D("0.25")),
        ({"$exp": 0}, 1),
        ({"$ln": 1}, 0),
        ({"$log10": 1000}, 3),
        ({"$log": [8, 2]}, 3),
        ({"$log": ["$n", 2]}, None),
        ({"$cmp": [1, 2]}, -1),
        ({"$eq": ["$a", D("4.0")]}, True),
        ({"$eq": ["$nothing", None]}, False),
        ({"$eq": ["$nothing", "$nothing2"]}, True),
        ({"$ne": ["$t", "text"]}, False),
        ({"$gt": ["$t", 5]}, True),
        ({"$gt": [5, "$t"]}, False),
        ({"$lt": ["$nothing", None]}, True),
        ({"$lte": ["$n", 0]}, True),
        ({"$gte": ["$a", 4]}, True),
        ({"$gt": [{"$add": ["$a", 1]}, 4]}, True),
        ({"$gt": ["$t", "tex"]}, True),
        ({"$gt": [True, "$d"]}, False),
        ({"$lt": ["$d", {"$date": "2025-01-01T00:00:00Z"}]}, True),
        ({"$and": []}, True),
        ({"$or": []}, False),
        ({"$and": [1, "x", []]}, True),
        ({"$and": ["$a", "$z"]}, False),
        ({"$or": ["$n", "$nothing", 0, False]}, False),
        ({"$or": ["$n", "$o"]}, True),
        ({"$not": ["$z"]}, True),
        ({"$not": [[]]}, False),
        ({"$cond": [{"$gt": ["$a", 3]}, "yes", "no"]}, "yes"),
        ({"$cond": {"if": "$z", "then": 1, "else": {"$add": ["$a", 1]}}}, 5),
        ({"$cond": [True, "$nothing", 1]}, MISSING),
        ({"$cond": [True, 1, {"$divide": [1, 0]}]}, 1),
        ({"$cond": ["$a", 1, {"$divide": ["$a", 0]}]}, 1),
        ({"$cond": ["$z", {"$sqrt": -1}, {"$add": [1, 1]}]}, 2),
        ({"$ifNull": ["$n", "$nothing", 7]}, 7),
        ({"$ifNull": ["$a", {"$divide": [1, 0]}]}, 4),
        ({"$ifNull": ["$n", "$nothing"]}, MISSING),
        (
            {
                "$switch": {
                    "branches": [
                        {"case": {"$lt": ["$a", 3]}, "then": "low"},
                        {"case": {"$lt": ["$a", 5]}, "then": "mid"},
                    ],
                    "default": "high",
                }
            },
            "mid",
        ),
        ("$o.y.z", 2),
        ("$o.q.z", MISSING),
        ("$t.x", MISSING),
        ("$l.x", [1, 2]),
        ("$l.y.z", [[1, 2]]),
        ("$l.0", []),
        ("$$ROOT.a", 4),
        ("$$CURRENT.o", {"x": 1, "y": {"z": 2}}),
        ("$$ROOT", DOC),
        ("$$REMOVE", MISSING),
        ({"x": "$a", "y": "$nothing", "z": {"w": "$t"}}, {"x": 4, "z": {"w": "text"}}),
        (["$a", "$nothing", {"k": "$n"}], [4, None, {"k": None}]),
        ({"$literal": {"k": "$a"}}, {"k": "$a"}),
        ({"$literal": "$a"}, "$a"),
        ({}, {}),
        ("it's 100%", "it's 100%"),
    ],
)
def test_an_expression_has_the_value_of_the_manual(expression: Any, expected: Any) -> None:
    found = value(expression, DOC)
    if isinstance(expected, Decimal):
        assert abs(D(found) - expected) < D("1e-15")
    else:
        assert values.equal(found, expected), found


@pytest.mark.parametrize(
    "expression",
    [
        {"$add": ["$a", "$t"]},
        {"$add": ["$d", "$d"]},
        {"$subtract": ["$a", "$d"]},
        {"$multiply": ["$d", 2]},
        {"$divide": ["$a", "$z"]},
        {"$divide": [{"$add": ["$a", 0]}, {"$add": ["$z", 0]}]},
        {"$divide": [1, 0]},
        {"$mod": ["$a", 0]},
        {"$sqrt": -1},
        {"$ln": 0},
        {"$log": [1, 1]},
        {"$pow": [0, -1]},
        {"$pow": [10, 100000]},
        {"$round": [1, 101]},
        {"$abs": "x"},
        {"$switch": {"branches": [{"case": "$z", "then": 1}]}},
        {"$add": ["$d", 10**18]},
    ],
)
def test_a_wrong_operand_is_refused_when_it_is_met(expression: Any) -> None:
    with pytest.raises(Malformed) as refused:
        value(expression, DOC)
    assert refused.value.code == "invalid_query"
