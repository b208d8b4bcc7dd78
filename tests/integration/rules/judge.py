"""Many odd documents, and both back ends' answers about them."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from auth.rules import DOCUMENT_ROOTS, Rule, compile_rule, document_bindings

REQUEST = {"ip": "127.0.0.1"}
NOW = datetime(2024, 6, 1, 12, 0, 0, 250, tzinfo=UTC)
SCALARS: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 7, Decimal("1.0"), Decimal("0.1"), Decimal("-7.5")),
    *(10**30, 10**100, -(10**120), Decimal("1e-101"), Decimal("0.30"), 1717243200, 4 * 10**11),
    *("", "a", "A", "b", "ab", "a/b", "%s", "é", "𝄞", "z\n", "0", "10", "-3", "1.50", "1e3", " 1"),
    *("true", "false", "null", "2024-06-01T12:00:00.000250Z", "2024-06-01T14:00:00.00025+02:00"),
    *("2024-02-30T00:00:00Z", "2024-06-01", "tomorrow", "0001-01-01T00:00:00+10:00"),
    *(
        "9999-12-31T23:59:59.9999999Z",
        "2023-01-31T23:59:59.123456789-14:00",
        "0000-01-01T00:00:00Z",
    ),
]
FIELDS = ("a", "b", "c", "list", "map")
AUTHS: list[dict[str, Any] | None] = [
    None,
    {
        **{"uid": "alice", "role": "hr", "email": None, "provider": "password", "anonymous": False},
        "claims": {"teams": ["t1", "a", "%s"], "level": 7, "a": 1, "map": {"a": True, "b": "a"}},
    },
    {
        **{"uid": "a", "role": "a", "email": "a%20@b", "provider": "p", "anonymous": True},
        "claims": {"teams": [], "level": Decimal("0.1"), "list": [1, None, ["a"]]},
    },
]


def _value(pick: random.Random, depth: int = 0) -> Any:
    kind = pick.random()
    if kind < 0.7 or depth == 2:
        return pick.choice(SCALARS)
    if kind < 0.85:
        return [_value(pick, depth + 1) for _ in range(pick.randrange(4))]
    if kind < 0.9:
        return {"$date": pick.choice(SCALARS[-8:])}
    return {name: _value(pick, depth + 1) for name in pick.sample(("a", "b", "t1"), 2)}


def make_document(pick: random.Random, number: int) -> dict[str, Any]:
    doc = {name: _value(pick) for name in FIELDS if pick.random() < 0.75}
    if pick.random() < 0.6:
        doc["list"] = [_value(pick, 1) for _ in range(pick.randrange(5))]
    if pick.random() < 0.6:
        doc["map"] = {name: _value(pick, 1) for name in pick.sample(("a", "b", "list", "t1"), 3)}
    return {
        "_id": pick.choice(("a", "alice", "t", "d")) + str(number) if number > 3 else f"t{number}",
        "_owner": pick.choice((None, "alice", "a", "%s")),
        "_version": pick.randrange(1, 9),
        "_createdAt": NOW + timedelta(microseconds=pick.choice((0, -250, 86_400_000_000, -1))),
        "_updatedAt": NOW + timedelta(days=pick.randrange(-400, 400), seconds=pick.randrange(90)),
        **doc,
    }


def to_json(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(map(to_json, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{to_json(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


class Judge:
    """The same documents in Python and in Postgres."""

    def __init__(
        self,
        connection: psycopg.Connection,
        documents: list[dict[str, Any]],
        teams: dict[str, dict[str, Any]],
    ) -> None:
        self.connection = connection
        self.documents = documents
        self.teams = teams

    def python(self, rule: Rule, auth: dict[str, Any] | None) -> set[str]:
        return {
            document["_id"]
            for document in self.documents
            if rule.allows(auth=auth, doc=document, now=NOW, request=REQUEST, get=self.get)
        }

    def postgres(self, rule: Rule, auth: dict[str, Any] | None) -> set[str]:
        where = rule.to_sql(self.bindings, auth=auth, now=NOW, request=REQUEST)
        assert "%" not in where.as_string()
        # parameters beside the rule, as the documents' queries have them
        query = sql.SQL("SELECT d._id FROM rule_docs d WHERE ({}) AND %s").format(where)
        return {row[0] for row in self.connection.execute(query, (True,))}

    @property
    def bindings(self) -> Any:
        return document_bindings(
            "d", lambda name: sql.Identifier("rule_teams") if name == "teams" else None
        )

    def get(self, collection: str, id_: str) -> dict[str, Any] | None:
        return self.teams.get(id_) if collection == "teams" else None

    def rule(self, source: str) -> Rule:
        return compile_rule(source, DOCUMENT_ROOTS)

    def must_agree(self, source: str) -> dict[int, set[str]]:
        """Asserts that both back ends let the same documents pass, for every caller; which ones."""
        found = {}
        for number, auth in enumerate(AUTHS):
            for text in (source, f"!({source})", f"!({source}) || false", f"[{source}] == [false]"):
                rule = self.rule(text)
                here, there = self.python(rule, auth), self.postgres(rule, auth)
                assert here == there, (text, auth, self.differing(here ^ there))
                if text == source:
                    found[number] = here
        return found

    def differing(self, ids: set[str]) -> list[dict[str, Any]]:
        return [document for document in self.documents if document["_id"] in ids][:3]
