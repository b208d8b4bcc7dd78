"""Random documents and updates from so few names and values that they meet.

Numbers are whole or halves: the same in JavaScript, Python and here.
"""

from typing import Any

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c"])
NUMBERS: st.SearchStrategy[Any] = st.integers(-2, 4) | st.sampled_from([0.5, 1.5])
DATES = st.sampled_from(
    [{"$date": "2024-01-01T00:00:00.000Z"}, {"$date": "2024-06-30T12:30:00.500Z"}]
)
SCALARS: st.SearchStrategy[Any] = st.one_of(
    NUMBERS, NUMBERS, st.none(), st.booleans(), st.sampled_from(["", "x", "y"]), DATES
)
OBJECTS = st.dictionaries(NAMES, SCALARS | st.lists(NUMBERS, max_size=2), max_size=3)
LISTS: st.SearchStrategy[Any] = st.one_of(
    st.lists(NUMBERS, max_size=4),
    st.lists(SCALARS, max_size=4),
    st.lists(OBJECTS, min_size=1, max_size=4),
    st.lists(st.lists(NUMBERS, max_size=2), max_size=3),
)
VALUES: st.SearchStrategy[Any] = st.one_of(SCALARS, LISTS, OBJECTS)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "n": NUMBERS,
        "s": SCALARS,
        "o": OBJECTS,
        "l": st.lists(NUMBERS, max_size=4),
        "m": LISTS,
        "d": st.lists(OBJECTS, min_size=1, max_size=4),
    },
)
# Paths that often lead somewhere, and some that do not.
FIELDS = st.sampled_from(
    [
        "n",
        "s",
        "o",
        "o.a",
        "o.b",
        "o.b.c",
        "l",
        "l.0",
        "l.2",
        "m",
        "m.1",
        "d",
        "d.0",
        "d.0.a",
        "d.1.b",
        "x",
        "x.y",
        "n.a",
        "d.a",
        "l.6",
    ]
)
ELEMENTS = st.sampled_from(
    [
        "l.$[]",
        "l.$[e]",
        "l.$",
        "m.$[]",
        "m.$[e]",
        "d.$[].a",
        "d.$[e].b",
        "d.$.c",
        "d.$[]",
        "d.$[e]",
        "d.$[].a.$[]",
        "o.a.$[]",
        "d.$[e].a.$[f]",
        "m.$[].$[]",
    ]
)
PATHS = st.one_of(FIELDS, FIELDS, ELEMENTS)

CONDITIONS: st.SearchStrategy[Any] = st.one_of(
    SCALARS,
    *[
        st.fixed_dictionaries({name: NUMBERS | st.sampled_from(["x"])})
        for name in ("$gt", "$gte", "$lt", "$lte", "$ne", "$eq")
    ],
    st.fixed_dictionaries({"$in": st.lists(SCALARS, max_size=3)}),
    st.fixed_dictionaries({"$nin": st.lists(SCALARS, max_size=3)}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$gte": NUMBERS, "$lt": NUMBERS}),
)


def _each(**modifiers: Any) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"$each": st.lists(VALUES, max_size=3)}, optional=modifiers)


PUSHED = st.one_of(
    VALUES,
    _each(**{"$position": st.integers(-3, 4), "$slice": st.integers(-3, 3)}),
    _each(**{"$sort": st.sampled_from([1, -1]), "$slice": st.integers(-3, 3)}),
    st.fixed_dictionaries(
        {
            "$each": st.lists(OBJECTS, max_size=2),
            "$sort": st.dictionaries(NAMES, st.sampled_from([1, -1]), min_size=1, max_size=2),
        }
    ),
)
PULLED = st.one_of(VALUES, CONDITIONS, st.dictionaries(NAMES, CONDITIONS, min_size=1, max_size=2))
OPERATORS: dict[str, tuple[st.SearchStrategy[str], st.SearchStrategy[Any]]] = {
    "$set": (PATHS, VALUES),
    "$unset": (PATHS, st.just("")),
    "$inc": (PATHS, NUMBERS),
    "$mul": (PATHS, NUMBERS),
    "$min": (PATHS, VALUES),
    "$max": (PATHS, VALUES),
    "$rename": (FIELDS, FIELDS),
    "$setOnInsert": (FIELDS, VALUES),
    "$push": (PATHS, PUSHED),
    "$addToSet": (PATHS, VALUES | _each()),
    "$pop": (PATHS, st.sampled_from([1, -1])),
    "$pull": (PATHS, PULLED),
    "$pullAll": (PATHS, st.lists(VALUES, max_size=3)),
}


@st.composite
def updates(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(sorted(OPERATORS)), min_size=1, max_size=2, unique=True))
    return {name: draw(st.dictionaries(*OPERATORS[name], min_size=1, max_size=1)) for name in names}


FILTERS = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"l": CONDITIONS}),
    st.fixed_dictionaries({"d.a": CONDITIONS}),
    st.fixed_dictionaries({"n": CONDITIONS}),
)
TESTS = st.one_of(
    CONDITIONS.map(lambda condition: {"{}": condition}),
    st.tuples(NAMES, CONDITIONS).map(lambda pair: {"{}." + pair[0]: pair[1]}),
)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """An update-many with the array filters that it uses."""
    update = draw(updates())
    text = str(update)
    filters = [
        {key.replace("{}", name): value for key, value in draw(TESTS).items()}
        for name in ("e", "f")
        if f"$[{name}]" in text
    ]
    case = {"op": "update", "filter": draw(FILTERS), "update": update, "many": True}
    return case | ({"array_filters": filters} if filters else {})
