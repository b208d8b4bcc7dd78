"""What is hidden is taken out alike by PostgreSQL and by Python: random documents and paths."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baas.kernel import db
from documents import hidden

KEYS = st.sampled_from(["a", "b", "c", "0"])
VALUES = st.recursive(
    st.one_of(st.integers(0, 3), st.text("ab", max_size=2), st.none(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=3)
PATHS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3)


@given(cases=st.lists(st.tuples(DOCUMENTS, PATHS), min_size=1, max_size=20))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_it_is_taken_out_alike(installation: None, cases: list[tuple[Any, list[str]]]) -> None:
    rows = db.fetch_all(
        "SELECT documents_without(c -> 'v', ARRAY(SELECT jsonb_array_elements_text(c -> 'path')),"
        " (c ->> 'visible')::boolean)::text FROM jsonb_array_elements(%s::jsonb)"
        " WITH ORDINALITY AS i(c, n) ORDER BY n",
        (
            json.dumps([
                {"v": document, "path": path, "visible": visible}
                for document, path in cases for visible in (False, True)
            ]),
        ),
    )  # fmt: skip
    expected = [
        found for document, path in cases
        for found in (hidden.without(document, [tuple(path)]), document)
    ]  # fmt: skip
    assert [json.loads(row[0]) for row in rows] == expected
