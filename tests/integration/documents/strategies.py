"""Random documents, filters and sorts from so few names and values that they meet."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c", "0", "1", 'q"%s'])
DATES = st.sampled_from(
    [{"$date": "2024-01-01T00:00:00.000Z"}, {"$date": "2024-06-30T12:30:00.500Z"}]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([Decimal("0.5"), Decimal("1.0"), Decimal("-1.50"), 10**20, Decimal("0.1")]),
    st.sampled_from(["", "a", "b", "0", "1", "true", "é", "Z", "𝄞", "｡", "2024-01-01"]),
    DATES,
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, min_size=0, max_size=3)
    ),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=3)
FIELDS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)

ORDERED = SCALARS
CONDITIONS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.fixed_dictionaries({"$eq": VALUES}),
        st.fixed_dictionaries({"$ne": VALUES}),
        *[st.fixed_dictionaries({name: ORDERED}) for name in ("$gt", "$gte", "$lt", "$lte")],
        st.fixed_dictionaries({"$in": st.lists(VALUES, max_size=3)}),
        st.fixed_dictionaries({"$nin": st.lists(VALUES, max_size=3)}),
        st.fixed_dictionaries({"$exists": st.booleans()}),
    ),
    lambda inner: st.fixed_dictionaries({"$not": inner}),
    max_leaves=2,
)
SYSTEM = st.one_of(
    st.tuples(st.just("_id"), st.sampled_from(["1", {"$gt": "2"}, {"$in": ["0", "3", 7]}, 1])),
    st.tuples(
        st.just("_owner"),
        st.sampled_from([None, "u1", {"$ne": "u1"}, {"$gt": "u0"}, {"$in": [None]}]),
    ),
    st.tuples(st.just("_version"), st.sampled_from([1, {"$gte": Decimal("1.5")}, "1", {"$ne": 2}])),
    st.tuples(
        st.just("_createdAt"),
        st.sampled_from(
            [
                {"$gt": "2024-01-01T00:00:01Z"},
                {"$lte": {"$date": "2024-01-01T00:00:02.500Z"}},
                {"$exists": True},
                {"$ne": 5},
            ]
        ),
    ),
)
FILTERS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(
        st.dictionaries(FIELDS, VALUES | CONDITIONS, min_size=1, max_size=2),
        SYSTEM.map(lambda pair: dict([pair])),
    ),
    lambda inner: st.one_of(
        *[
            st.fixed_dictionaries({name: st.lists(inner, min_size=1, max_size=2)})
            for name in ("$and", "$or", "$nor")
        ]
    ),
    max_leaves=4,
)
SORTS = st.dictionaries(
    FIELDS | st.sampled_from(["_id", "_owner", "_version", "_createdAt", "_updatedAt"]),
    st.sampled_from([1, -1]),
    max_size=3,
)
