"""Random documents and queries for the oracles, whose numbers are JavaScript's doubles."""

from typing import Any

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c", "0", "1"])
DATES = st.sampled_from(
    [{"$date": "2024-01-01T00:00:00.000Z"}, {"$date": "2024-06-30T12:30:00.500Z"}]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.sampled_from([0.5, -1.5, 2.25, 1e15]),
    st.sampled_from(["", "a", "b", "ab", "B", "é", "1"]),
    DATES,
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=5,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=3)
FIELDS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
TYPES = st.sampled_from(
    ["string", "object", "array", "bool", "date", "null", "number", 2, 3, 4, 8, 9, 10]
)
PATTERNS = st.one_of(
    st.fixed_dictionaries(
        {"$regex": st.sampled_from(["a", "^a", "^[ab]$", "é", "^$", "a|B", "^1", ".b", "[^a]"])}
    ),
    st.fixed_dictionaries(
        {"$regex": st.sampled_from(["^A", "b$", "Ab"]), "$options": st.just("i")}
    ),
)
LISTED = st.lists(VALUES | PATTERNS, max_size=3)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.fixed_dictionaries({"$not": inner}),
        st.fixed_dictionaries({"$elemMatch": inner}),
        st.fixed_dictionaries(
            {"$elemMatch": st.dictionaries(FIELDS, SCALARS | inner, min_size=1, max_size=2)}
        ),
        st.fixed_dictionaries(
            {"$all": st.lists(st.fixed_dictionaries({"$elemMatch": inner}), min_size=1, max_size=2)}
        ),
    )


CONDITIONS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        *[st.fixed_dictionaries({name: VALUES}) for name in ("$eq", "$ne")],
        *[
            st.fixed_dictionaries({name: VALUES.filter(lambda value: value is not None)})
            for name in ("$gt", "$gte", "$lt", "$lte")
        ],
        *[st.fixed_dictionaries({name: LISTED}) for name in ("$in", "$nin", "$all")],
        st.fixed_dictionaries({"$exists": st.booleans()}),
        st.fixed_dictionaries({"$type": TYPES | st.lists(TYPES, min_size=1, max_size=2)}),
        st.fixed_dictionaries(
            {"$mod": st.tuples(st.sampled_from([2, 3]), st.integers(0, 2)).map(list)}
        ),
        st.fixed_dictionaries({"$size": st.integers(0, 3)}),
        PATTERNS,
    ),
    _nested,
    max_leaves=3,
)
FILTERS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(FIELDS, VALUES | CONDITIONS, min_size=1, max_size=2),
    lambda inner: st.one_of(
        *[
            st.fixed_dictionaries({name: st.lists(inner, min_size=1, max_size=2)})
            for name in ("$and", "$or", "$nor")
        ]
    ),
    max_leaves=3,
)
SORTS = st.dictionaries(FIELDS, st.sampled_from([1, -1]), min_size=1, max_size=2)

# Places in arrays are no steps of a projection, to the oracles they are.
_PLAIN = st.sampled_from(["a", "b", "c"])
_PLAIN_FIELDS = st.lists(_PLAIN, min_size=1, max_size=3).map(".".join)
_PARTS = st.one_of(
    st.integers(-3, 3).map(lambda count: {"$slice": count}),
    st.tuples(st.integers(-3, 3), st.integers(1, 3)).map(lambda pair: {"$slice": list(pair)}),
    st.dictionaries(
        _PLAIN, SCALARS.filter(lambda value: value is not None), min_size=1, max_size=1
    ).map(lambda condition: {"$elemMatch": condition}),
)
PROJECTIONS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.dictionaries(_PLAIN_FIELDS, st.just(1), min_size=1, max_size=3),
    st.dictionaries(_PLAIN_FIELDS | st.just("_id"), st.just(0), min_size=1, max_size=3),
    st.tuples(
        st.dictionaries(_PLAIN, st.just(1), min_size=3, max_size=3),
        st.dictionaries(_PLAIN, _PARTS, min_size=1, max_size=2),
    ).map(lambda pair: {**pair[0], **pair[1]}),
)
