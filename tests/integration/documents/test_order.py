"""The order of values is the same in SQL and in Python."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baas.kernel import db
from documents import values
from documents.query import order
from documents.query.paths import MISSING
from tests.integration.documents.strategies import VALUES
from tests.unit.documents.test_order import ORDERED

NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30),
    st.builds(
        lambda digits, exponent: Decimal(digits).scaleb(exponent),
        st.integers(-99, 99),
        st.integers(-300, 300),
    ),
)


def texts(found: list[Any]) -> list[str]:
    documents = [None if value is MISSING else values.dumps(value).decode() for value in found]
    rows = db.fetch_all(
        "SELECT documents_order_text(v::jsonb) FROM unnest(%s::text[]) WITH ORDINALITY AS i(v, n)"
        " ORDER BY n",
        (documents,),
    )
    return [row[0] for row in rows]


@pytest.mark.django_db
def test_every_kind_of_value_has_the_same_text() -> None:
    assert texts(ORDERED) == [order.text(value) for value in ORDERED]


@pytest.mark.django_db
@given(st.lists(VALUES | NUMBERS | st.lists(NUMBERS, max_size=2), max_size=20))
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_random_values_have_the_same_text(found: list[Any]) -> None:
    assert texts(found) == [order.text(value) for value in found]
