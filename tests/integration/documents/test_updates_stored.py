"""What an update makes of documents in memory is what is stored, whichever way it comes."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baas.kernel.principals import Principal
from baas.kernel.problems import Problem
from documents import by_filter, listing, many, service, updates, values, wire
from documents.access import Caller
from documents.query import compile_predicate, parse
from documents.updates import Occasion, positional
from tests.installation import TestProject
from tests.integration.documents import update_cases
from tests.integration.documents.test_update_oracles import exact


def expected(documents: list[Any], case: dict[str, Any], most: int) -> list[Any] | None:
    """The documents after changing the first `most` that match; None for a refusal."""
    filter = parse(exact(case["filter"]))
    matches = compile_predicate(filter)
    occasion = Occasion(matched=positional.finder(filter))
    made = []
    for document in documents:
        if most > 0 and matches(document):
            most -= 1
            try:
                document = updates.apply(update_of(case), document, occasion)
            except Problem:
                return None
        made.append(document)
    return made


def update_of(case: dict[str, Any]) -> updates.Update:
    return updates.parse(exact(case["update"]), exact(case.get("array_filters")), by_filter=True)


def is_sound(case: dict[str, Any]) -> bool:
    try:
        update_of(case)
    except Problem:
        return False
    return True


def test_what_is_stored_is_what_was_computed(project: TestProject) -> None:
    from baas.kernel.projects import by_slug

    caller = Caller(by_slug(project.slug), Principal(kind="key"))
    seen = {"changed": 0, "refused": 0}

    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(
        st.lists(update_cases.DOCUMENTS, min_size=1, max_size=4),
        st.lists(st.tuples(update_cases.cases().filter(is_sound), st.booleans()), max_size=6),
    )
    def run(sets: list[Any], cases: list[tuple[dict[str, Any], bool]]) -> None:
        many.delete_many(caller, "notes", parse({}))
        documents = [exact({**fields, "_id": str(place)}) for place, fields in enumerate(sets)]
        service.create_many(caller, "notes", documents)
        for case, is_many in cases:
            wanted = expected(documents, case, len(documents) if is_many else 1)
            write = many.update_many if is_many else by_filter.update_one
            filter = parse(exact(case["filter"]))
            if wanted is None:
                with pytest.raises(Problem):
                    write(caller, "notes", filter, update_of(case))
                seen["refused"] += 1
            else:
                write(caller, "notes", filter, update_of(case))
                documents = wanted
                seen["changed"] += 1
            rows = listing.run(caller, "notes", listing.Query()).rows
            now = [{"_id": row[0], **wire.user_fields(wire.value(row))} for row in rows]
            assert values.equal(now, documents), (case, now, documents)

    run()
    assert seen["changed"] > 20, seen
