"""Lists of many users share their statement, and find what each of them may read."""

from typing import Any

import pytest

from baas.kernel.principals import Principal
from baas.kernel.problems import Forbidden
from documents import collections, listing, row_filter, service
from documents.access import Caller
from documents.listing import Query
from tests.integration.documents.conftest import Collection

UIDS = ["u1", "u2", "3u1", "q\"uo'te%s", "admin"]
DOCUMENTS: list[dict[str, Any]] = [
    {"_owner": "u1", "a": "u1", "i": "u1", "members": ["u1", "u2"]},
    {"_owner": "u2", "a": "3u1", "i": "3u1", "members": {"u1": True}},
    {"_owner": UIDS[3], "a": UIDS[3], "i": UIDS[3], "members": [UIDS[3]]},
    {"a": "u1x", "i": 5, "members": "u1"},
    {"a": "admin", "i": None, "team": "red", "public": True},
]


@pytest.mark.parametrize(
    ("rule", "shared"),
    [
        ("owner", True),
        ("auth.uid == doc._owner", True),
        ("doc.a == auth.uid", True),
        ("doc.i == auth.uid || doc.public == true", True),
        ("doc.i != auth.uid", True),
        ("auth.uid in doc.members", True),
        ("auth != null && doc.a == auth.uid && auth.role != 'x'", True),
        ("get('people', auth.uid).ok == true", True),
        ("get('people', auth.uid).team == doc.team", True),
        ("doc._createdAt == auth.uid || doc._version == auth.uid || doc.a == auth.uid", True),
        ("has(auth.uid) && doc.a == auth.uid", True),
        ("auth.uid == 'admin' || doc.public == true", False),
        ("auth.uid.startsWith('u') && doc.a == auth.uid", False),
        ("doc.a == auth.uid + 'x'", False),
        ("doc.members[auth.uid] == true", False),
        ("doc.members.exists(m, m == auth.uid)", False),
        ("doc.a in [auth.uid, 'admin']", False),
    ],
)
def test_each_user_finds_what_the_rule_lets_him_read(
    notes: Collection, rule: str, shared: bool
) -> None:
    from baas.kernel.projects import by_slug

    project = by_slug(notes.project.slug)
    key = Caller(project, Principal(kind="key"))
    people = [{"_id": uid, "ok": uid == "u2", "team": "red"} for uid in ("u1", "u2")]
    service.create_many(key, "people", people)
    reply = notes.declare(rules={"read": rule}, indexes=[{"fields": ["i"]}])
    assert reply.status == 201, reply
    stored = [service.create(key, "notes", document) for document in DOCUMENTS]
    collection = collections.get(project.id, "notes")
    texts = set()
    for uid in UIDS:
        caller = Caller(project, Principal(kind="user", uid=uid))
        expected = sorted(
            document["_id"]
            for document in stored
            if collection.rules["read"].allows(
                auth=caller.principal.auth, doc=document, get=caller.get
            )
        )
        try:
            page = listing.run(caller, "notes", Query())
        except Forbidden:  # no document could make the rule true for this user
            assert expected == []
            texts.add(uid.encode())
            continue
        assert [row[0] for row in page.rows] == expected, uid
        texts.add(row_filter.readable(caller, collection).text)
    assert (len(texts) == 1) == shared
