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
    st.sampled_from(
        [
            {"$binary": {"base64": "", "subType": "00"}},
            {"$binary": {"base64": "AAE=", "subType": "00"}},
            {"$binary": {"base64": "AAE=", "subType": "04"}},
        ]
    ),
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

TYPES = st.sampled_from(
    ["double", "string", "object", "array", "binData", "objectId", "bool", "date", "null", "int",
     "long", "decimal", "number", 1, 2, 3, 4, 16, -1]
)  # fmt: skip
# Of the kind that both PostgreSQL and RE2 understand.
PATTERNS = st.one_of(
    st.fixed_dictionaries(
        {
            "$regex": st.sampled_from(
                ["", "a", "^a", "^[ab]$", "é", "^tr.e$", "^0|1", "^2024-0+", "."]
            )
        }
    ),
    st.fixed_dictionaries({"$regex": st.sampled_from(["z", "^TRUE"]), "$options": st.just("i")}),
)
LISTED = st.lists(VALUES | PATTERNS, max_size=3)


def conditions(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.fixed_dictionaries({"$not": inner}),
        st.fixed_dictionaries({"$elemMatch": inner}),
        st.fixed_dictionaries(
            {"$elemMatch": st.dictionaries(FIELDS, VALUES | inner, min_size=0, max_size=2)}
        ),
        st.fixed_dictionaries(
            {"$all": st.lists(st.fixed_dictionaries({"$elemMatch": inner}), max_size=2)}
        ),
        st.fixed_dictionaries(
            {
                "$elemMatch": st.fixed_dictionaries(
                    {"$or": st.lists(st.dictionaries(FIELDS, inner, max_size=1), min_size=1)}
                )
            }
        ),
    )


CONDITIONS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        *[
            st.fixed_dictionaries({name: VALUES})
            for name in ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")
        ],
        *[st.fixed_dictionaries({name: LISTED}) for name in ("$in", "$nin", "$all")],
        st.fixed_dictionaries({"$in": st.lists(VALUES, min_size=9, max_size=12)}),
        st.fixed_dictionaries({"$exists": st.booleans()}),
        st.fixed_dictionaries({"$type": TYPES | st.lists(TYPES, min_size=1, max_size=2)}),
        st.fixed_dictionaries(
            {"$mod": st.tuples(st.sampled_from([2, 3, -2]), st.integers(-2, 2)).map(list)}
        ),
        st.fixed_dictionaries({"$size": st.integers(0, 3)}),
        PATTERNS,
    ),
    conditions,
    max_leaves=3,
)
SYSTEM = st.one_of(
    st.tuples(
        st.just("_id"),
        st.sampled_from(
            [
                "1",
                {"$gt": "2"},
                {"$in": ["0", "3", 7]},
                1,
                {"$regex": "^[1-3]"},
                {"$regex": "^1"},
                {"$type": "string"},
                {"$size": 1},
                {"$elemMatch": {}},
                {"$gt": []},
                {"$all": ["1"]},
            ]
        ),
    ),
    st.tuples(
        st.just("_owner"),
        st.sampled_from(
            [
                None,
                "u1",
                {"$ne": "u1"},
                {"$gt": "u0"},
                {"$in": [None]},
                {"$regex": "^u"},
                {"$type": ["null", "int"]},
                {"$type": "string"},
            ]
        ),
    ),
    st.tuples(
        st.just("_version"),
        st.sampled_from(
            [
                1,
                {"$gte": Decimal("1.5")},
                "1",
                {"$ne": 2},
                {"$mod": [2, 0]},
                {"$type": "int"},
                {"$regex": "1"},
            ]
        ),
    ),
    st.tuples(
        st.just("_createdAt"),
        st.sampled_from(
            [
                {"$gt": "2024-01-01T00:00:01Z"},
                {"$lte": {"$date": "2024-01-01T00:00:02.500Z"}},
                {"$exists": True},
                {"$ne": 5},
                {"$type": "date"},
                {"$type": "object"},
                {"$gt": {}},
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
