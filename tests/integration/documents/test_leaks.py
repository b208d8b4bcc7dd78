"""What a caller may not read is answered like what is not there: every route, every rule.

There are two collections. In `there` are Alice's documents, which Charlie may not read; in `gone`
they are not. Whatever he asks, both must answer alike, to the byte, after as many statements.
Names are of the same length, and are made the same before the replies are compared.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.installation import Client, Reply, TestProject
from tests.integration.documents.conftest import Collection

SignUp = Callable[[str], tuple[str, str]]

# Read rules under which Charlie sees his own documents, but none of Alice's.
RULES: dict[str, str] = {
    "owner": "owner",
    "a flag": "doc.open == true",
    "a claim": "doc.team in auth.claims.teams || doc.open == true",
    "another document": "get('teams', doc.team) != null || doc.open == true",
    "the clock": "doc.open == true && now > timestamp('2020-01-01T00:00:00Z')",
}
# Which callers may write what they may read; nobody may make documents.
WRITES = {"create": "closed", "update": "authenticated", "delete": "authenticated"}
HERS = {"open": False, "team": "hers", "n": 5, "tags": ["secret"], "title": "hers",
        "at": {"type": "Point", "coordinates": [1, 1]}}  # fmt: skip
HIS = {"open": True, "team": "his", "n": 1, "tags": ["open"], "title": "his",
       "at": {"type": "Point", "coordinates": [2, 2]}}  # fmt: skip

Ask = tuple[str, str, Any, dict[str, str]]  # method, path below the collection, body, headers


def ask(method: str, path: str, body: Any = None, **headers: str) -> Ask:
    return method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}


def post(route: str, **body: Any) -> Ask:
    return ask("POST", f"/{route}", body)


BY_ID = [
    ask("GET", "/docs/hers"),
    ask("GET", "/docs/hers?fields=title"),
    ask("GET", "/docs/hers", If_None_Match='"1"'),
    ask("GET", "/docs/hers", If_None_Match="*"),
    ask("GET", "/docs/hers", X_Explain_Rules="1"),
    ask("PUT", "/docs/hers", {"title": "mine"}),
    ask("PUT", "/docs/hers", {"title": "mine"}, If_Match='"1"'),
    ask("PUT", "/docs/hers", {"title": "mine"}, If_Match='"7"'),
    ask("PUT", "/docs/hers", {"title": "mine"}, If_Match="*"),
    ask("PUT", "/docs/hers", {"title": "mine"}, If_None_Match="*"),
    ask("PUT", "/docs/hers", {"title": "mine"}, X_Explain_Rules="1"),
    ask("PATCH", "/docs/hers", {"title": "mine"}),
    ask("PATCH", "/docs/hers", {"$inc": {"title": 1}}),
    ask("PATCH", "/docs/hers", {"$set": {"n": 1}}, If_Match='"1"'),
    ask("PATCH", "/docs/hers", {"$set": {"n": 1}}, If_Match='"7"'),
    ask("PATCH", "/docs/hers", {"$set": {"n": 1}}, X_Explain_Rules="1"),
    ask("DELETE", "/docs/hers"),
    ask("DELETE", "/docs/hers", If_Match='"1"'),
    ask("DELETE", "/docs/hers", If_Match='"7"'),
    ask("POST", "/docs", {"_id": "hers", "title": "mine"}),
    ask("POST", "/docs", [{"_id": "hers", "title": "mine"}]),
    ask("POST", "/docs", {"_id": "hers", "title": "mine"}, X_Explain_Rules="1"),
]
FILTERS: list[dict[str, Any]] = [
    {},
    {"_id": "hers"},
    {"_id": {"$in": ["hers", "his"]}},
    {"title": "hers"},
    {"n": {"$gt": 2}},
    {"tags": "secret"},
    {"title": {"$regex": "^her"}},
    {"$expr": {"$gt": ["$n", 2]}},
    {"$expr": {"$eq": [{"$divide": [10, {"$subtract": ["$n", 5]}]}, 1]}},  # fails for hers
    {"at": {"$geoWithin": {"$box": [[0, 0], [3, 3]]}}},
    {"at": {"$near": {"$geometry": {"type": "Point", "coordinates": [1, 1]}}}},
    {"$text": {"$search": "hers"}},
]
LISTS = [
    *[post("query", filter=filter, count=True) for filter in FILTERS],
    *[post("count", filter=filter) for filter in FILTERS],
    *[post("distinct", field="title", filter=filter) for filter in FILTERS[:8]],
    *[post("update-one", filter=filter, update={"$set": {"seen": 1}}, **{"return": "before"})
      for filter in FILTERS[:8]],
    *[post("update-many", filter=filter, update={"$set": {"seen": 1}}) for filter in FILTERS[:8]],
    post("query", sort=["-n"], limit=1),
    post("query", sort=["n"], limit=1),
    post("query", skip=1),
    post("query", sort=["-n"], skip=1),
    post("query", fields=["title"]),
    post("query", filter=FILTERS[-1], sort={"s": {"$meta": "textScore"}}),
    ask("GET", '/docs?filter={"title":"hers"}&count=1'),
    post("replace-one", filter={"title": "hers"}, replacement={"x": 1}),
    post("delete-one", filter={"title": "hers"}, **{"return": "before"}),
    post("delete-many", filter={"title": "hers"}),
    post("update-one", filter={"_id": "hers"}, update={"$set": {"n": 1}}, upsert=True),
    post("update-many", filter={"_id": "hers"}, update={"$set": {"n": 1}}, upsert=True),
    post("replace-one", filter={"_id": "hers"}, replacement={"n": 1}, upsert=True),
    post("explain", filter={"title": "hers"}),
    *[post("aggregate", pipeline=pipeline) for pipeline in (
        [],
        [{"$match": {"n": {"$gte": 0}}}, {"$group": {"_id": None, "n": {"$sum": "$n"}}}],
        [{"$group": {"_id": "$title"}}],
        [{"$sort": {"n": -1}}, {"$limit": 1}],
        [{"$count": "n"}],
        [{"$sample": {"size": 5}}],
        [{"$facet": {"a": [{"$count": "n"}], "b": [{"$sortByCount": "$team"}]}}],
        [{"$unwind": "$tags"}, {"$sortByCount": "$tags"}],
        [{"$bucket": {"groupBy": "$n", "boundaries": [0, 3, 9]}}],
        [{"$geoNear": {"near": {"type": "Point", "coordinates": [1, 1]}, "key": "at",
                       "distanceField": "d"}}],
        [{"$lookup": {"from": "@", "pipeline": [], "as": "all"}}],
        [{"$lookup": {"from": "@", "localField": "none", "foreignField": "none", "as": "all"}}],
        [{"$facet": {"a": [{"$lookup": {"from": "@", "pipeline": [{"$count": "n"}],
                                        "as": "all"}}]}}],
        # Fails for hers: the failure would tell.
        [{"$project": {"x": {"$divide": [1, {"$subtract": ["$n", 5]}]}}}],
        [{"$match": {"$expr": {"$gt": [{"$divide": [1, {"$subtract": ["$n", 5]}]}, -9]}}}],
    )],
]  # fmt: skip
COMMITS: list[dict[str, Any]] = [
    {"op": "create", "id": "hers", "data": {}},
    {"op": "set", "id": "hers", "data": {}},
    {"op": "set", "id": "hers", "data": {}, "if_exists": True},
    {"op": "set", "id": "hers", "data": {}, "if_exists": False},
    {"op": "set", "id": "hers", "data": {}, "if_version": 1},
    {"op": "update", "id": "hers", "update": {"$set": {"n": 1}}},
    {"op": "update", "id": "hers", "update": {"$set": {"n": 1}}, "if_version": 1},
    {"op": "update", "id": "hers", "update": {"$set": {"n": 1}}, "if_version": 7},
    {"op": "delete", "id": "hers"},
    {"op": "delete", "id": "hers", "if_version": 1},
    {"op": "delete", "id": "hers", "if_exists": True},
]


class Worlds:
    """Two collections, with and without Alice's documents, as Charlie meets them."""

    def __init__(self, client: Client, project: TestProject, token: str, alice: str) -> None:
        self.client, self.project, self.token, self.alice = client, project, token, alice
        self.names = ("x-there", "x-gone0")

    def make(self, rules: dict[str, str]) -> None:
        for name in self.names:
            collection = Collection(self.client, self.project, name)
            declared = collection.declare(
                rules=rules,
                indexes=[{"fields": ["title"], "type": "text"}, {"fields": ["n"]},
                         {"fields": ["at"], "type": "geo"}],
            )  # fmt: skip
            assert declared.status in (200, 201), declared
            if name == self.names[0]:
                for n, id in enumerate(("hers", "hers1", "zhers")):
                    document = {**HERS, "_id": id, "_owner": self.alice, "n": 5 + n % 2}
                    assert collection.create(document).status == 201
            # What is asked once only (the configuration) is known from here on.
            collection.query(self.token)

        assert [len(Collection(self.client, self.project, name).ids()) for name in self.names] == [
            3,
            0,
        ]

    def give(self, uid: str) -> None:
        """A document that Charlie may read, the same in both."""
        for name in self.names:
            collection = Collection(self.client, self.project, name)
            assert collection.create({**HIS, "_id": "his", "_owner": uid}).status == 201

    def answers(self, asked: Ask) -> tuple[Any, Any]:
        """The replies and the statements of both, comparable."""
        method, path, body, headers = asked
        return tuple([self._answer(name, method, path, body, headers) for name in self.names])  # type: ignore[return-value]

    def _answer(
        self, name: str, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> tuple[int, Any, Any]:
        body = json.loads(json.dumps(body).replace('"@"', f'"{name}"'))
        with counted() as statements:
            reply = self.client.request(
                method, f"{self.project.path}/db/{name}{path}", json=body, token=self.token,
                headers=headers,
            )  # fmt: skip
        return comparable(reply, name), len(statements), reply.headers.get("etag")

    def commit(self, write: dict[str, Any]) -> tuple[Any, Any]:
        found = []
        for name in self.names:
            body = {"writes": [{**write, "collection": name}]}
            with counted() as statements:
                reply = self.client.post(f"{self.project.path}/db/commit", body, token=self.token)
            found.append((comparable(reply, name), len(statements)))
        return found[0], found[1]


def comparable(reply: Reply, name: str) -> tuple[int, str]:
    """Status and body without what differs between any two requests."""
    text = reply.body.decode().replace(name, "NAME")
    text = re.sub(r'"request_id":"[^"]*"', '"request_id":0', text)
    text = re.sub(r'"(_createdAt|_updatedAt)": ?("[^"]*"|\{[^}]*\})', r'"\1":0', text)
    return reply.status, text


def alike(ask_both: Callable[[], tuple[Any, Any]], asked: Any) -> Any:
    """The answer of the first, which must be that of the second.

    Asked again when they differ: now and then a cache looks whether it is up to date.
    """
    for _ in range(3):
        there, gone = ask_both()
        if there == gone:
            return there
    raise AssertionError(f"{asked}:\n{there}\n{gone}")


class counted:
    """Collects the statements that run meanwhile."""

    def __enter__(self) -> list[bytes]:
        from baas.kernel import statements

        self._module, self._run, self._seen = statements, statements.run, list[bytes]()

        def run(connection: Any, text: bytes, params: Any) -> Any:
            self._seen.append(text)
            return self._run(connection, text, params)

        statements.run = run
        return self._seen

    def __exit__(self, *_: object) -> None:
        self._module.run = self._run


@pytest.fixture
def worlds(client: Client, project: TestProject, sign_up: SignUp) -> tuple[Worlds, str]:
    _, alice = sign_up("alice")
    charlie, uid = sign_up("charlie")
    Collection(client, project, "teams").create({"_id": "his"})
    return Worlds(client, project, charlie, alice), uid


@pytest.mark.parametrize("rule", RULES)
def test_charlie_cannot_tell_what_he_may_not_read_from_what_is_not_there(
    worlds: tuple[Worlds, str], rule: str
) -> None:
    world, uid = worlds
    world.make({"read": RULES[rule], **WRITES})
    for is_empty in (True, False):
        if not is_empty:
            world.give(uid)
        before = world.project.events()
        for asked in BY_ID:
            alike(lambda: world.answers(asked), asked)  # noqa: B023
        for write in COMMITS:
            alike(lambda: world.commit(write), write)  # noqa: B023
        assert world.project.events() == before
        for asked in LISTS:
            alike(lambda: world.answers(asked), asked)  # noqa: B023


@pytest.mark.parametrize("create", ["data.title == 'hers'", "data.title == 'mine'", "data.n > 1"])
def test_who_may_not_make_a_document_learns_nothing_by_trying(
    worlds: tuple[Worlds, str], create: str
) -> None:
    """The rule of creating is asked of what the caller sends, not of what is stored."""
    world, _ = worlds
    world.make({"read": "owner", "create": create, "update": "authenticated"})
    for title in ("hers", "mine", "else"):
        if create == f"data.title == '{title}'":
            continue  # he may make it: that an id is taken cannot be a secret then
        for asked in (
            ask("PUT", "/docs/hers", {"title": title}),
            ask("POST", "/docs", {"_id": "hers", "title": title}),
            post("replace-one", filter={"_id": "hers"}, replacement={"title": title}, upsert=True),
        ):
            there = alike(lambda: world.answers(asked), (asked, create))  # noqa: B023
            assert there[0][0] == 403


def test_a_cursor_tells_of_nothing_but_the_last_document(worlds: tuple[Worlds, str]) -> None:
    world, uid = worlds
    world.make({"read": "owner", **WRITES})
    world.give(uid)
    for name in world.names:
        Collection(world.client, world.project, name).create(
            [{**HIS, "_id": f"his{n}", "_owner": uid, "n": n} for n in range(9)]
        )
    for sort in (["n"], ["-n"], ["title", "-n"]):
        cursors: tuple[Any, Any] = (None, None)
        for _ in range(5):
            replies = []
            for name, cursor in zip(world.names, cursors, strict=True):
                collection = Collection(world.client, world.project, name)
                reply = collection.query(world.token, sort=sort, limit=3, cursor=cursor)
                replies.append(comparable(reply, name))
            assert replies[0] == replies[1]
            cursors = tuple([json.loads(body).get("next_cursor") for _, body in replies])  # type: ignore[assignment]
            if cursors[0] is None:
                break


def test_transactions_tell_nothing_either(worlds: tuple[Worlds, str]) -> None:
    world, _ = worlds
    world.make({"read": "owner", **WRITES})
    begun = world.client.post(f"{world.project.path}/db/transactions", {}, token=world.token)
    assert begun.status == 201, begun
    for method, path, body, headers in BY_ID:
        asked = (method, path, body, {**headers, "X-Transaction": begun.json["id"]})
        there, gone = world.answers(asked)
        assert there[0] == gone[0], asked


def test_exports_plans_and_tried_rules_are_not_for_end_users(worlds: tuple[Worlds, str]) -> None:
    world, _ = worlds
    world.make({"read": "owner", **WRITES})
    path = world.project.path
    for route, body in (
        ("db/export", {}),
        ("db/x-there/explain", {"filter": {}}),
        ("rules/test", {"rule": "get('x-there', 'hers') != null"}),
    ):
        reply = world.client.post(f"{path}/{route}", body, token=world.token)
        assert reply.status == 403, (route, reply)
