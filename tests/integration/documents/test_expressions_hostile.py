"""Every operator on values of every type: a value or a refusal, never an error of the database."""

import os
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baas.kernel.problems import Malformed
from documents.expressions.signatures import SIGNATURES, Named, Positional
from documents.expressions.special import SPECIAL
from tests.integration.documents.expressions_table import evaluate

EXAMPLES = int(os.environ.get("EXAMPLES", "15"))  # for each of 120 operators


@pytest.fixture(autouse=True)
def database(migrated: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, 10**40, -(10**40), Decimal("0.5"), Decimal("1e-300"), 10**3000]),
    st.sampled_from(
        ["", "a", "day", "UTC", "+25:99", "Etc/GMT+9", "%Y-%m-%d", "%", "%Q", "int", "monday",
         "9999-12-31", "0000-00-00", "2024-02-30T25:61:61Z", "1e9", "NaN", "Infinity", "é𝄞", "$x",
         "a.b", "(", "\\", "[[:alpha:]]"]
    ),
    st.sampled_from(
        [
            {"$date": "0001-01-01T00:00:00.000Z"},
            {"$date": "9999-12-31T23:59:59.999Z"},
            {"$date": "2024-03-31T01:30:00.000Z"},
            {"$binary": {"base64": "AAE=", "subType": "00"}},
        ]
    ),
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["k", "v", "a b", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)
# As constants, and as fields, which are compiled in other ways.
DOCUMENT = st.fixed_dictionaries(dict.fromkeys("abc", VALUES))
ARGUMENTS = st.one_of(
    VALUES.map(lambda value: {"$literal": value}),
    st.sampled_from(["$a", "$b", "$c", "$missing", "$a.x", "$b.k"]),
)


def calls(name: str) -> st.SearchStrategy[Any]:
    match SIGNATURES.get(name):
        case Positional(least, most):
            if most == 0:
                return st.just({name: {}})
            arguments = st.lists(ARGUMENTS, min_size=least, max_size=min(most, 3 + least))
            return arguments.map(lambda given: {name: given})
        case Named(required, optional):
            return st.fixed_dictionaries(
                dict.fromkeys(required, ARGUMENTS), optional=dict.fromkeys(optional, ARGUMENTS)
            ).map(lambda given: {name: given})
    return {
        "$literal": VALUES,
        "$cond": st.lists(ARGUMENTS, min_size=3, max_size=3),
        "$switch": ARGUMENTS.map(lambda a: {"branches": [{"case": a, "then": a}]}),
        "$let": ARGUMENTS.map(lambda a: {"vars": {"v": a}, "in": {"$add": ["$$v", 1]}}),
        "$map": ARGUMENTS.map(lambda a: {"input": a, "in": {"$type": "$$this"}}),
        "$filter": st.tuples(ARGUMENTS, ARGUMENTS).map(
            lambda pair: {"input": pair[0], "cond": "$$this.k", "limit": pair[1]}
        ),
        "$reduce": st.tuples(ARGUMENTS, ARGUMENTS).map(
            lambda pair: {"input": pair[0], "initialValue": pair[1], "in": ["$$value", "$$this"]}
        ),
        "$sortArray": ARGUMENTS.map(lambda a: {"input": a, "sortBy": {"k": 1, "x": -1}}),
    }.get(
        name,
        st.tuples(ARGUMENTS, st.sampled_from(["", "(a|b)*c", "(", "\\1", "(a)\\1", "[z-a]"])).map(
            lambda pair: {"input": pair[0], "regex": pair[1]}
        ),
    ).map(lambda argument: {name: argument})


@pytest.mark.parametrize("name", sorted({*SIGNATURES, *SPECIAL}))
def test_it_has_a_value_or_is_refused(name: str) -> None:
    outcomes: set[str] = set()

    @given(document=DOCUMENT, expression=calls(name))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    def attempt(document: Any, expression: Any) -> None:
        try:
            evaluate(expression, [document])
        except Malformed as problem:
            outcomes.add(problem.code)
        else:
            outcomes.add("value")

    attempt()
    assert outcomes
    assert outcomes <= {"value", "invalid_query", "unsupported_operator"}
