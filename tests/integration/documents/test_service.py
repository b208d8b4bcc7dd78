"""The service as other rooms call it: values in and out."""

from decimal import Decimal

import pytest

from baas.kernel.principals import Principal
from baas.kernel.problems import Forbidden, NotFound
from documents import commit, listing, service, updates, wire
from documents.access import Caller
from tests.integration.documents.conftest import Collection


@pytest.fixture
def key(notes: Collection) -> Caller:
    from baas.kernel.projects import by_slug

    return Caller(by_slug(notes.project.slug), Principal(kind="key"))


def test_values_go_in_and_come_out(key: Caller) -> None:
    made = service.create(key, "notes", {"_id": "a", "n": Decimal("1.10"), "f": 0.5})
    assert (made["n"], made["f"], made["_version"]) == (Decimal("1.10"), Decimal("0.5"), 1)
    assert service.get(key, "notes", "a") == made
    changed = service.update(key, "notes", "a", updates.parse({"$inc": {"n": Decimal("0.1")}}))
    assert changed["n"] == Decimal("1.20")
    replaced = service.replace(key, "notes", "a", {"x": 10**30}, if_version=2)
    assert (replaced["x"], replaced["_version"]) == (10**30, 3)
    page = listing.run(key, "notes", listing.parse_query({"filter": {"x": {"$gt": 1}}}))
    assert [wire.value(row) for row in page.rows] == [replaced]
    results = commit.commit(key, commit.parse([{"op": "delete", "collection": "notes", "id": "a"}]))
    assert results == [{"_id": "a", "_version": None}]
    with pytest.raises(NotFound):
        service.delete(key, "notes", "a")


def test_a_function_acts_for_its_caller_or_for_the_service(notes: Collection, key: Caller) -> None:
    notes.declare(rules={"read": "owner", "create": "owner"})
    for_user = Caller(key.project, Principal(kind="function", uid="u1"))
    for_service = Caller(key.project, Principal(kind="function"))
    assert service.create(for_user, "notes", {"_id": "u", "_owner": "forged"})["_owner"] == "u1"
    assert service.create(for_service, "notes", {"_id": "s", "_owner": "u2"})["_owner"] == "u2"
    with pytest.raises(NotFound):
        service.get(for_user, "notes", "s")
    with pytest.raises(Forbidden):
        service.create(for_user, "others", {})
    assert service.create(for_service, "others", {})["_owner"] is None


def test_a_failure_inside_a_transaction_leaves_the_rest_intact(key: Caller) -> None:
    from django.db import transaction

    from baas.kernel.problems import Conflict

    with transaction.atomic():
        service.create(key, "notes", {"_id": "a"})
        with pytest.raises(Conflict):
            service.create(key, "notes", {"_id": "a"})
        service.create(key, "notes", {"_id": "b"})
    assert service.get(key, "notes", "b")["_id"] == "b"
