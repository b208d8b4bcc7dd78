"""A list by rule reads a declared index, as a filter would."""

from collections.abc import Callable

import pytest

from tests.integration.documents.conftest import Collection

SignUp = Callable[[str], tuple[str, str]]


@pytest.mark.parametrize(
    ("rule", "ids"),
    [
        ("doc.team == auth.claims.team", ["2"]),
        ("doc.team in auth.claims.teams", ["2", "3"]),
        ("doc.n == 5.0 && doc.team != 'x'", ["5"]),
        ("doc.n in [6, 7]", ["6", "7"]),
        ("doc.flag == true || doc.team == auth.claims.team", ["2", "8"]),
        ("doc.team == '100%'", ["9"]),
    ],
)
def test_a_rule_about_an_indexed_field_reads_the_index(
    rule: str, ids: list[str], notes: Collection
) -> None:
    from psycopg import sql

    from baas.kernel import db
    from baas.kernel.principals import Principal
    from baas.kernel.projects import by_slug
    from documents import access, collections

    declared = notes.declare(
        rules={"read": rule},
        indexes=[{"fields": [field]} for field in ("team", "n", "flag")],
    )
    assert declared.status in (200, 201), declared
    notes.create(
        [
            {"_id": str(n), "team": "100%" if n == 9 else f"t{n}", "n": n, "flag": n == 8}
            for n in range(1, 10)
        ]
    )
    claims = {"team": "t2", "teams": ["t2", "t3"]}
    principal = Principal(kind="user", uid="u1", claims=claims)
    caller = access.Caller(by_slug(notes.project.slug), principal)
    collection = collections.get(caller.project.id, notes.name)
    readable = access.readable_rows(caller, collection)
    query = sql.SQL("SELECT _id FROM {} AS d WHERE {} AND %s ORDER BY _id").format(
        collection.table, readable
    )
    assert [row[0] for row in db.fetch_all(query, (True,))] == ids
    db.execute("SET enable_seqscan = off")
    try:
        plan = db.fetch_all(sql.SQL("EXPLAIN {}").format(query), (True,))
    finally:
        db.execute("RESET enable_seqscan")
    text = "\n".join(row[0] for row in plan)
    assert "Index Cond" in text, text
