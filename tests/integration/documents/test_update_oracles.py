"""Updates mean what they mean to implementations that nobody here wrote: mingo and mongomock.

What is left out, and why, is said in disagreements.md.
"""

import json
from collections import Counter
from datetime import datetime
from typing import Any

import mongomock
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from baas.kernel.problems import Problem
from documents import updates, values
from documents.query import compile_predicate, parse
from documents.updates import Occasion, positional
from tests.integration.documents import update_cases
from tests.oracle import Mingo, OracleError

CASES = st.lists(update_cases.cases(), min_size=20, max_size=20)
SETS = st.lists(update_cases.DOCUMENTS, min_size=1, max_size=3)
MANY = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,  # an oracle's own way that is not known yet must not fail a build
    phases=[Phase.generate],  # a failure names its case: nothing to shrink
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# Where MongoDB refuses and an oracle does something or nothing.
REFUSED = (
    "another operator changes it or a part of it",
    "there must be an array to name elements of",
    "it is no array, which has elements",
    "needs an array there",
    "needs a number there",
    "$rename does not reach into arrays",
    "$rename takes another name than the field has",
    "is not an object that could hold it",
    "the filter has no condition that an element of this array meets",
)


def exact(value: Any) -> Any:
    """With numbers as they are read from requests and from the database."""
    return None if value is None else values.parse_body(json.dumps(value).encode())


def ours(documents: list[Any], case: dict[str, Any]) -> list[Any] | Problem:
    try:
        filter = parse(exact(case["filter"]))
        update = updates.parse(
            exact(case["update"]), exact(case.get("array_filters")), by_filter=True
        )
        matches = compile_predicate(filter)
        occasion = Occasion(matched=positional.finder(filter))
        return [
            updates.apply(update, document, occasion) if matches(document) else document
            for document in exact(documents)
        ]
    except Problem as problem:
        return problem


def agree(case: Any, problem_or_documents: list[Any] | Problem, theirs: Any) -> str:
    """What the comparison found; fails for a disagreement that is not recorded."""
    if isinstance(problem_or_documents, Problem):
        if isinstance(theirs, Exception):
            return "both refuse"
        details = [error.detail for error in problem_or_documents.errors]
        assert any(known in details[0] for known in REFUSED), problem_or_documents.detail
        return "we refuse"
    if isinstance(theirs, Exception):
        return "they refuse"
    for mine, other in zip(problem_or_documents, theirs, strict=True):
        if not values.equal(mine, exact(other)):
            ours = values.dumps(mine).decode()
            pytest.fail(f"{json.dumps(case)}\nours {ours}\ntheirs {json.dumps(other)}")
    return "same"


def has_twice(value: Any) -> bool:
    """Whether an array in it has an element twice."""
    if isinstance(value, dict):
        return any(map(has_twice, value.values()))
    if not isinstance(value, list):
        return False
    return any(values.equal(a, b) for at, a in enumerate(value) for b in value[:at]) or any(
        map(has_twice, value)
    )


def is_wrong_in_mingo(documents: list[Any], case: dict[str, Any]) -> bool:
    names, text = case["update"].keys(), json.dumps(case)
    if "$setOnInsert" in names:
        return True
    if len(names) > 1 and "$[" in str(case["update"]):
        return True  # its filters see what other operators have done already
    if "$addToSet" in names and has_twice([documents, case["update"]]):
        return True
    if any(path.endswith("]") for path in case["update"].get("$unset", ())):
        return True
    if "$[].$[]" in str(case["update"]):
        return True
    if "d.a" in case["filter"] and ("null" in text or ("$lt" in text and "$gte" in text)):
        return True
    if "m.$[e]" in text and "[[" in json.dumps(documents):
        return True
    if '"$slice": 0' in text:
        return True
    if "$slice" in text and any("." in path for path in case["update"].get("$push", ())):
        return True  # an array that it makes is not cut
    if "$sort" in str(case["update"]) and "[[" in json.dumps([documents, case["update"]]):
        return True
    return any(
        path.split(".")[0] not in ("n", "s", "x", "l")
        or path == "l"
        or isinstance(value, list | dict)
        for name in ("$min", "$max")
        for path, value in case["update"].get(name, {}).items()
    ) or (bool(names & {"$min", "$max"}) and '"l": []' in json.dumps(documents))


def test_updates_do_what_they_do_in_mingo(mingo: Mingo) -> None:
    found: Counter[str] = Counter()

    @MANY
    @given(SETS, CASES)
    def compare(sets: list[Any], cases: list[dict[str, Any]]) -> None:
        documents = [{**fields, "_id": str(place)} for place, fields in enumerate(sets)]
        cases = [case for case in cases if not is_wrong_in_mingo(documents, case)]
        answers = mingo.ask(documents, cases)
        for case, answer in zip(cases, answers, strict=True):
            theirs = answer if isinstance(answer, OracleError) else answer["docs"]
            outcome = agree(case, ours(documents, case), theirs)
            assert outcome != "they refuse", (documents, case, theirs)
            found[outcome] += 1

    compare()
    assert sum(found.values()) > 1000, found


def _revived(value: Any) -> Any:
    if isinstance(value, dict):
        if "$date" in value:
            return datetime.fromisoformat(value["$date"].removesuffix("Z"))
        return {key: _revived(inner) for key, inner in value.items()}
    return list(map(_revived, value)) if isinstance(value, list) else value


def _shown(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"$date": value.isoformat(timespec="milliseconds") + "Z"}
    if isinstance(value, dict):
        return {key: _shown(inner) for key, inner in value.items()}
    return list(map(_shown, value)) if isinstance(value, list) else value


def mocked(documents: list[Any], case: dict[str, Any]) -> Any:
    collection = mongomock.MongoClient().db.c
    collection.insert_many(_revived(documents))
    try:
        collection.update_many(_revived(case["filter"]), _revived(case["update"]))
    except Exception as error:  # noqa: BLE001 - it fails in many ways at what it does not know
        return error
    return _shown(list(collection.find({}).sort("_id", 1)))


def is_in_mongomock(case: dict[str, Any]) -> bool:
    """What it does as MongoDB: most of the rest it leaves out or fails at."""
    known = {"$set", "$inc", "$push", "$addToSet", "$pop", "$setOnInsert"}
    odd = ("$[", "$slice", "d.a")
    text = str(case["update"])
    return (
        case["filter"] == {}
        and case["update"].keys() <= known
        and not any(part in text for part in odd)
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_updates_do_what_they_do_in_mongomock() -> None:
    found: Counter[str] = Counter()

    @settings(MANY, max_examples=60)
    @given(SETS, CASES)
    def compare(sets: list[Any], cases: list[dict[str, Any]]) -> None:
        documents = [{**fields, "_id": str(place)} for place, fields in enumerate(sets)]
        for case in filter(is_in_mongomock, cases):
            found[agree(case, ours(documents, case), mocked(documents, case))] += 1

    compare()
    assert sum(found.values()) > 100, found
