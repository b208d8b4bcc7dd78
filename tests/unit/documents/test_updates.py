"""Updates as pure functions."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from baas.kernel.problems import Problem
from documents import updates

DOCUMENT: dict[str, Any] = {
    "n": 1,
    "d": Decimal("0.1"),
    "s": "x",
    "z": None,
    "o": {"a": 1, "b": {"c": 2}},
    "l": [1, {"k": 1}, [5]],
    "at": {"$date": "2024-01-01T00:00:00.000Z"},
}


@pytest.mark.parametrize(
    ("update", "changed"),
    [
        ({"$set": {"n": {"x": [1]}}}, {"n": {"x": [1]}}),
        ({"$set": {"o.b.c": 3}}, {"o": {"a": 1, "b": {"c": 3}}}),
        ({"$set": {"new.deep.er": 1}}, {"new": {"deep": {"er": 1}}}),
        ({"$set": {"l.1.k": 2}}, {"l": [1, {"k": 2}, [5]]}),
        ({"$set": {"l.4": 9}}, {"l": [1, {"k": 1}, [5], None, 9]}),
        ({"$set": {"o.0": 1}}, {"o": {"a": 1, "b": {"c": 2}, "0": 1}}),
        ({"$set": {"o.a": 1, "o.d": 2}}, {"o": {"a": 1, "b": {"c": 2}, "d": 2}}),
        ({"$unset": {"o.b.c": ""}}, {"o": {"a": 1, "b": {}}}),
        ({"$unset": {"l.0": ""}}, {"l": [None, {"k": 1}, [5]]}),
        ({"$unset": {"n.x.y": ""}}, {}),
        ({"$unset": {"gone.x": ""}}, {}),
        ({"$inc": {"n": 2}}, {"n": 3}),
        ({"$inc": {"d": Decimal("0.2")}}, {"d": Decimal("0.3")}),
        ({"$inc": {"n": 10**30}}, {"n": 10**30 + 1}),
        ({"$inc": {"count.x": 1}}, {"count": {"x": 1}}),
        ({"$push": {"l": 2}}, {"l": [1, {"k": 1}, [5], 2]}),
        ({"$push": {"l.2": {"$each": [6, 7]}}}, {"l": [1, {"k": 1}, [5, 6, 7]]}),
        ({"$push": {"new": {"k": 1}}}, {"new": [{"k": 1}]}),
        ({"$push": {"new": {"$each": []}}}, {"new": []}),
        ({"n": None, "o": {"b": None, "x": {"y": None, "z": 1}}}, {"o": {"a": 1, "x": {"z": 1}}}),
        ({"at": {"k": 1}}, {"at": {"k": 1}}),
        ({"o": {"$date": "2024-01-01T00:00:00Z"}}, {"o": DOCUMENT["at"]}),
        ({"l": {"k": 1}}, {"l": {"k": 1}}),
        ({}, {}),
        ({"$set": {}}, {}),
    ],
)
def test_it_changes_what_it_says_and_nothing_else(
    update: dict[str, Any], changed: dict[str, Any]
) -> None:
    before = deepcopy(DOCUMENT)
    expected = {**DOCUMENT, **changed}
    if update.get("n", 1) is None:
        del expected["n"]
    assert updates.apply(updates.parse(update), DOCUMENT) == expected
    assert before == DOCUMENT


@pytest.mark.parametrize(
    "update",
    [
        {"$inc": {"s": 1}},
        {"$inc": {"z": 1}},
        {"$inc": {"o": 1}},
        {"$inc": {"at": 1}},
        {"$push": {"n": 1}},
        {"$push": {"z": 1}},
        {"$set": {"n.a": 1}},
        {"$set": {"z.a": 1}},
        {"$set": {"l.k": 1}},
        {"$set": {"at.x": 1}},
        {"$set": {"l.99999": 1}},
        {"$set": {"o": 1, "o.a": 2}},
        {"$set": {"o.a": 1}, "$inc": {"o.a": 2}},
        {"$set": {"o.a.b": 1}, "$unset": {"o.a": 2}},
        {"$inc": {"n": True}},
        {"$push": {"l": {"$each": 1}}},
    ],
)
def test_it_refuses_what_does_not_fit(update: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        updates.apply(updates.parse(update), DOCUMENT)
    assert (refused.value.status, refused.value.code) == (422, "invalid_update")
