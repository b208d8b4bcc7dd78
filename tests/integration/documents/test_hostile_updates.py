"""Updates that nobody would write: answered, never a failure of ours."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.installation import Client, TestProject

OPERATORS = st.sampled_from(
    [
        "$set",
        "$unset",
        "$inc",
        "$mul",
        "$min",
        "$max",
        "$rename",
        "$currentDate",
        "$setOnInsert",
        "$push",
        "$addToSet",
        "$pop",
        "$pull",
        "$pullAll",
        "$bit",
        "$",
    ]
)
STEPS = st.sampled_from(
    [
        "a",
        "l",
        "d",
        "0",
        "7",
        "99999999999",
        "$",
        "$[]",
        "$[x]",
        "$[",
        "$[X]",
        "",
        "_id",
        "_owner",
        "_version",
        "__proto__",
        "é",
        '"; --',
        "%s",
        "\x01",
        "$date",
        "a" * 300,
    ]
)
PATHS = st.lists(STEPS, min_size=1, max_size=4).map(".".join)
ODD_KEYS = st.sampled_from(
    [
        "$each",
        "$slice",
        "$sort",
        "$position",
        "$date",
        "$numberLong",
        "$binary",
        "$oid",
        "$type",
        "$gt",
        "$in",
        "$elemMatch",
        "$regex",
        "$not",
        "$and",
        "$or",
        "$expr",
        "$where",
        "$near",
        "$text",
        "a",
        "x",
        "x.a",
    ]
)
LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([10**400, -(10**18), 0.5, 1e300, "", "a", "\x00", "(", "x" * 50, "date"]),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_KEYS, inner, max_size=3),
    max_leaves=6,
)
UPDATES = st.one_of(
    st.dictionaries(OPERATORS, st.dictionaries(PATHS, VALUES, max_size=2), max_size=2),
    st.dictionaries(OPERATORS, VALUES, max_size=2),
    st.dictionaries(PATHS, VALUES, max_size=2),
    VALUES,
)
FILTERS = st.one_of(st.just({}), st.dictionaries(PATHS, VALUES, max_size=2), VALUES)
MORE: dict[str, st.SearchStrategy[Any]] = {
    "array_filters": st.lists(st.dictionaries(PATHS, VALUES, max_size=2), max_size=2) | VALUES,
    "upsert": st.booleans() | VALUES,
    "sort": st.lists(PATHS, max_size=2) | VALUES,
    "return": st.sampled_from(["before", "after"]) | VALUES,
}


def test_odd_updates_are_answered(client: Client, project: TestProject) -> None:
    path = f"{project.path}/db/odd"
    key = project.secret_key
    document = {"a": 1, "l": [1, 2, [3]], "d": [{"a": 1}, {"a": [1]}], "s": "x"}
    seen = set()

    @settings(
        max_examples=300,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(
        st.sampled_from(["update-one", "update-many", "replace-one", "delete-one", "patch"]),
        FILTERS,
        UPDATES,
        st.fixed_dictionaries({}, optional=MORE),
    )
    def run(verb: str, filter: Any, update: Any, more: dict[str, Any]) -> None:
        client.put(f"{path}/docs/one", document, token=key)
        if verb == "patch":
            reply = client.patch(f"{path}/docs/one", update, token=key)
        else:
            name = {"replace-one": "replacement", "delete-one": "sort"}.get(verb, "update")
            body = {**more, "filter": filter, name: update}
            if verb in ("update-many", "replace-one", "delete-one"):
                body = {k: v for k, v in body.items() if k in ("filter", name, "upsert")}
            reply = client.post(f"{path}/{verb}", body, token=key)
        assert reply.status in (200, 400, 409, 413, 422), (reply, verb, filter, update, more)
        seen.add(reply.status)

    run()
    assert {200, 400, 422} <= seen
