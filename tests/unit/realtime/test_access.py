"""Which callers are alike, so that they share a window: never too many."""

import pytest

from auth.rules import DOCUMENT_ROOTS, compile_rule
from documents.access import Caller
from realtime.access import access
from tests.unit.realtime.live import caller, document

ALICE, BOB, CHARLIE = caller("alice"), caller("bob"), caller()


def alike(source: str, a: Caller, b: Caller) -> bool:
    rule = compile_rule(source, DOCUMENT_ROOTS)
    return access(rule, a).key == access(rule, b).key


@pytest.mark.parametrize(
    ("source", "users", "with_anonymous"),
    [
        ("public", True, True),
        ("doc.public == true", True, True),
        ("authenticated", True, False),
        ("owner", False, False),
        ('auth.role == "hr" || doc.public == true', True, False),
        ("doc.team in auth.claims.teams", True, False),
        ("auth == doc.owner", False, False),
        ('doc.list.exists(x, x == auth["uid"])', False, False),
        ("has(auth.email) && doc.n > 1", False, False),
    ],
)
def test_callers_are_alike_when_the_rule_cannot_tell_them_apart(
    source: str, users: bool, with_anonymous: bool
) -> None:
    assert alike(source, ALICE, ALICE)
    assert alike(source, ALICE, BOB) is users
    assert alike(source, ALICE, CHARLIE) is with_anonymous


def test_roles_claims_and_addresses_tell_callers_apart() -> None:
    hr = caller("bob", role="hr", claims={"teams": ["red"]})
    assert not alike('auth.role == "hr"', ALICE, hr)
    assert not alike("doc.team in auth.claims.teams", ALICE, hr)
    assert not alike("request.ip == doc.ip", ALICE, caller("alice", ip="10.0.0.2"))
    assert alike("doc.public == true", ALICE, caller("alice", ip="10.0.0.2"))


def test_another_rule_is_another_class() -> None:
    public, closed = (compile_rule(s, DOCUMENT_ROOTS) for s in ("public", "doc.n == 1"))
    assert access(public, ALICE).key != access(closed, ALICE).key
    assert access(None, ALICE).key not in (access(public, ALICE).key, access(closed, ALICE).key)


def test_it_allows_what_the_rule_allows() -> None:
    owner = compile_rule("owner", DOCUMENT_ROOTS)
    hers = document("a") | {"_owner": "alice"}
    assert access(owner, ALICE).allows(hers)
    assert not access(owner, BOB).allows(hers)
    assert not access(owner, CHARLIE).allows(hers)
    assert access(None, CHARLIE).allows(hers)


def test_it_knows_rules_that_change_without_an_event() -> None:
    def kinds(source: str) -> tuple[bool, bool]:
        found = access(compile_rule(source, DOCUMENT_ROOTS), ALICE)
        return found.is_volatile, found.reads_others

    assert kinds("owner") == (False, False)
    assert kinds("now < timestamp(doc.until)") == (True, False)
    assert kinds('get("teams", doc.team).open == true') == (True, True)
