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
        ({"$mul": {"n": 5, "d": 3}}, {"n": 5, "d": Decimal("0.3")}),
        ({"$mul": {"gone": 5}}, {"gone": 0}),
        ({"$min": {"n": 0, "s": 5, "new": 1}}, {"n": 0, "s": 5, "new": 1}),
        ({"$max": {"n": 0, "s": 5, "z": 1}}, {"z": 1}),
        (
            {"$max": {"at": {"$date": "2025-01-01T00:00:00Z"}}},
            {"at": {"$date": "2025-01-01T00:00:00.000Z"}},
        ),
        ({"$rename": {"o.b.c": "c", "o.a": "o.s"}}, {"o": {"b": {}, "s": 1}, "c": 2}),
        ({"$rename": {"gone": "n"}}, {}),
        ({"$rename": {"n.x": "m.y"}}, {}),
        ({"$setOnInsert": {"n": 7, "new": 1}}, {}),
        ({"$push": {"l": {"$each": [7, 8], "$position": 1}}}, {"l": [1, 7, 8, {"k": 1}, [5]]}),
        ({"$push": {"l": {"$each": [7], "$position": -1}}}, {"l": [1, {"k": 1}, 7, [5]]}),
        ({"$push": {"l": {"$each": [7], "$slice": -2}}}, {"l": [[5], 7]}),
        ({"$push": {"l": {"$each": [7], "$slice": 1}}}, {"l": [1]}),
        ({"$push": {"l": {"$each": [], "$slice": 0}}}, {"l": []}),
        (
            {"$push": {"x": {"$each": [3, 1, Decimal("2.5")], "$sort": -1}}},
            {"x": [3, Decimal("2.5"), 1]},
        ),
        (
            {"$push": {"x": {"$each": [{"a": 2}, {"a": 1}, {"b": 1}], "$sort": {"a": 1}}}},
            {"x": [{"b": 1}, {"a": 1}, {"a": 2}]},
        ),
        (
            {
                "$push": {
                    "x": {
                        "$each": [{"a": 1, "b": 1}, {"a": 2, "b": 5}, {"a": 1, "b": 3}],
                        "$sort": {"a": -1, "b": -1},
                        "$slice": 2,
                    }
                }
            },
            {"x": [{"a": 2, "b": 5}, {"a": 1, "b": 3}]},
        ),
        ({"$addToSet": {"l": [5], "x": 1}}, {"x": [1]}),
        (
            {"$addToSet": {"l": {"$each": [1, True, {"k": Decimal("1.0")}, 2, 2]}}},
            {"l": [1, {"k": 1}, [5], True, 2]},
        ),
        ({"$pop": {"l": 1, "gone": 1}}, {"l": [1, {"k": 1}]}),
        ({"$pop": {"l.2": -1}}, {"l": [1, {"k": 1}, []]}),
        ({"$pull": {"l": {"k": 1}}}, {"l": [1, [5]]}),
        ({"$pull": {"l": [5]}}, {"l": [1, {"k": 1}]}),
        ({"$pull": {"l": {"$gte": 1}}}, {"l": [{"k": 1}]}),
        ({"$pull": {"l": {"$in": [1, {"k": 1}]}}}, {"l": [[5]]}),
        ({"$pull": {"l": {"$or": [{"k": 2}, {"k": 1}]}}}, {"l": [1, [5]]}),
        ({"$pull": {"l": {}}}, {"l": [1, [5]]}),
        ({"$pull": {"l": {"_createdAt": 1}}}, {}),
        ({"$pull": {"gone": 1}}, {}),
        ({"$pullAll": {"l": [1, [5], 9]}}, {"l": [{"k": 1}]}),
        ({"$inc": {"l.2.$[]": 1}}, {"l": [1, {"k": 1}, [6]]}),
        ({"$set": {"l.$[]": 0}}, {"l": [0, 0, 0]}),
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
        {"$push": {"l": {"$each": [1], "$slice": "1"}}},
        {"$push": {"l": {"$each": [1], "$slice": Decimal("1.5")}}},
        {"$push": {"l": {"$each": [1], "$sort": 2}}},
        {"$push": {"l": {"$each": [1], "$sort": {"a": "asc"}}}},
        {"$addToSet": {"n": 1}},
        {"$addToSet": {"l": {"$each": 1}}},
        {"$pop": {"l": 2}},
        {"$pop": {"n": 1}},
        {"$pull": {"n": 1}},
        {"$pullAll": {"l": 1}},
        {"$pullAll": {"n": [1]}},
        {"$mul": {"s": 1}},
        {"$mul": {"n": "2"}},
        {"$rename": {"n": "n"}},
        {"$rename": {"n": 5}},
        {"$rename": {"l.0": "x"}},
        {"$rename": {"n": "l.0"}},
        {"$rename": {"n": "s.x"}},
        {"$rename": {"o": "o.x"}},
        {"$rename": {"n": "x"}, "$set": {"n": 2}},
        {"$currentDate": {"x": {"$type": "time"}}},
        {"$set": {"n.$[]": 1}},
        {"$set": {"gone.$[]": 1}},
        {"$set": {"l.$[].k": 1}},
        {"$set": {"$[].x": 1}},
        {"$set": {"l.$[]": 1, "l.0": 1}},
        {"$set": {"l.$[]": 1}, "$unset": {"l.$[]": 1}},
        {"$inc": {"n": 10**3999}, "$mul": {"d": "x"}},
    ],
)
def test_it_refuses_what_does_not_fit(update: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        updates.apply(updates.parse(update), DOCUMENT)
    assert (refused.value.status, refused.value.code) == (422, "invalid_update")


@pytest.mark.parametrize(
    ("update", "filters", "changed"),
    [
        ({"$set": {"l.$[x]": 9}}, [{"x": {"$gte": 3}}], {"l": [1, 9, 9]}),
        ({"$unset": {"l.$[x]": 9}}, [{"x": {"$gte": 3}}], {"l": [1, None, None]}),
        (
            {"$inc": {"d.$[big].n": 1, "d.$[small].m": 2}},
            [{"big.n": {"$gt": 1}}, {"small.n": 1}],
            {"d": [{"n": 1, "m": 2}, {"n": 3, "t": [1, 5]}]},
        ),
        # Filters see the element as it was before the update.
        (
            {"$set": {"d.$[one].n": 2, "d.$[two].m": 1}},
            [{"one.n": 1}, {"two.n": 2}],
            {"d": [{"n": 2}, {"n": 2, "m": 1, "t": [1, 5]}]},
        ),
        (
            {"$set": {"d.$[a].t.$[b]": 0}},
            [{"a.n": 2}, {"b": {"$gt": 1}}],
            {"d": [{"n": 1}, {"n": 2, "t": [1, 0]}]},
        ),
        (
            {"$set": {"d.$[a].n": 7}},
            [{"$or": [{"a.n": 2}, {"a.n": 5}]}],
            {"d": [{"n": 1}, {"n": 7, "t": [1, 5]}]},
        ),
        ({"$push": {"d.$[].t": 1}}, None, {"d": [{"n": 1, "t": [1]}, {"n": 2, "t": [1, 5, 1]}]}),
        ({"$pull": {"d.$[].t": {"$lt": 5}}}, [], {"d": [{"n": 1}, {"n": 2, "t": [5]}]}),
        ({"$set": {"l.$[x]": 9}}, [{"x": 77}], {}),
    ],
)
def test_array_filters_choose_elements(update: Any, filters: Any, changed: Any) -> None:
    document = {"l": [1, 3, 4], "d": [{"n": 1}, {"n": 2, "t": [1, 5]}]}
    before = deepcopy(document)
    parsed = updates.parse(update, filters, by_filter=True)
    assert updates.apply(parsed, document) == {**document, **changed}
    assert document == before


@pytest.mark.parametrize(
    ("update", "filters", "code"),
    [
        ({"$set": {"l.$[x]": 9}}, None, "invalid_update"),
        ({"$set": {"l.$[x]": 9}}, [{"x": 1}, {"y": 1}], "invalid_update"),
        ({"$set": {"l.$[x]": 9}}, [{"x": 1}, {"x": 2}], "invalid_update"),
        ({"$set": {"l.$[x]": 9}}, [{"x": 1, "y": 2}], "invalid_query"),
        ({"$set": {"l.$[x]": 9}}, [{}], "invalid_query"),
        ({"$set": {"l.$[x]": 9}}, {"x": 1}, "invalid_query"),
        ({"$set": {"l.$[x]": 9}}, [{"x": {"$nonsense": 1}}], "unsupported_operator"),
        ({"$set": {"l.$[x]": 9}}, [{"$expr": 1}], "invalid_query"),
        ({"$set": {"l.$[X]": 9}}, [{"X": 1}], "invalid_query"),
        ({"$set": {"l.$[x].a": 9}}, [{"x": {"$gt": 0}}], "invalid_update"),
        ({"$set": {"l.$[x]": 9, "l.$[y]": 8}}, [{"x": 1}, {"y": 1}], "invalid_update"),
        ({"$set": {"l.$": 9}}, None, "invalid_update"),
        ({"$set": {"l.$.a.$": 9}}, None, "invalid_update"),
        ({"$set": {"l.$x": 9}}, None, "unsupported_operator"),
        ({"$rename": {"l.$[]": "x"}}, None, "invalid_update"),
        ({"a": 1}, [{"x": 1}], "invalid_update"),
        ([{"$set": {"a": 1}}], None, "unsupported_operator"),
    ],
)
def test_wrong_elements_are_refused(update: Any, filters: Any, code: str) -> None:
    with pytest.raises(Problem) as refused:
        updates.apply(updates.parse(update, filters, by_filter=True), {"l": [1, 3, 4]})
    assert refused.value.code == code


@pytest.mark.parametrize("step", ["$", "$[x]"])
def test_elements_of_a_filter_are_for_updates_by_filter(step: str) -> None:
    with pytest.raises(Problem) as refused:
        updates.parse({"$set": {f"l.{step}": 1}})
    assert refused.value.code == "unsupported_operator"


def test_both_paths_of_one_place_are_a_conflict_only_where_they_meet() -> None:
    update = {"$set": {"l.$[x]": 9, "l.$[y]": 8}}
    parsed = updates.parse(update, [{"x": 1}, {"y": {"$gt": 1}}], by_filter=True)
    assert updates.apply(parsed, {"l": [1, 3]}) == {"l": [9, 8]}
    meeting = updates.parse(update, [{"x": 3}, {"y": {"$gt": 1}}], by_filter=True)
    with pytest.raises(Problem):
        updates.apply(meeting, {"l": [1, 3]})


def test_a_small_update_cannot_write_gigabytes() -> None:
    document = {"l": [{}] * 100_000}
    for update in (
        {"$set": {"l.$[].a": "x" * 1000}},
        {"$set": {f"l.$[].{'x' * 1000}": 1}},
        {"$push": {"l.$[].a": {"$each": [1] * 1000}}},
        {"$mul": {"l.$[].n": 10**1000}},
    ):
        with pytest.raises(Problem) as refused:
            updates.apply(updates.parse(update), document)
        assert refused.value.code == "document_too_large"
    gaps = {"l": [{"a": []} for _ in range(100_000)]}
    with pytest.raises(Problem) as refused:
        updates.apply(updates.parse({"$set": {"l.$[].a.1500": 1}}), gaps)
    assert refused.value.code == "document_too_large"
    filters = [{"x": {"$in": [0] * 1000}}]
    costly = updates.parse({"$set": {"l.$[x]": 1}}, filters, by_filter=True)
    with pytest.raises(Problem) as refused:
        updates.apply(costly, document)
    assert refused.value.code == "invalid_update"


def test_many_fields_cost_as_much_as_they_are() -> None:
    """The document is copied once, not for each field (which took a minute)."""
    fields = {f"f{n}": 1 for n in range(50_000)}
    changed = updates.apply(updates.parse({"$inc": fields}), dict(fields))
    assert set(changed.values()) == {2}


def test_documents_nest_no_deeper_than_they_may() -> None:
    deep: Any = 1
    for _ in range(60):
        deep = {"a": deep}
    path = ".".join("b" * 41)
    for update in ({"$set": {path: deep}}, {"$push": {path: deep}}, {"$rename": {"d": path}}):
        with pytest.raises(Problem) as refused:
            updates.apply(updates.parse(update), {"d": deep})
        assert refused.value.code == "invalid_update"
    assert updates.apply(updates.parse({"$set": {path[2:]: deep}}), {})
