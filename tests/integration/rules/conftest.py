"""The documents of judge.py in a table of their own."""

from __future__ import annotations

import random
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.integration.rules.judge import Judge, make_document, to_json


@pytest.fixture(scope="session")
def judge(postgres_url: str) -> Iterator[Judge]:
    pick = random.Random(7)
    documents = [make_document(pick, number) for number in range(200)]
    teams = {document["_id"]: document for document in (make_document(pick, n) for n in range(20))}
    with psycopg.connect(postgres_url) as connection:
        for table, rows in (("rule_docs", documents), ("rule_teams", list(teams.values()))):
            name = sql.Identifier(table)
            connection.execute(
                sql.SQL(
                    "CREATE TEMPORARY TABLE {} (_id text PRIMARY KEY, doc jsonb, owner text, "
                    "version bigint, created_at timestamptz, updated_at timestamptz)"
                ).format(name)
            )
            with connection.cursor() as cursor:
                cursor.executemany(
                    sql.SQL("INSERT INTO {} VALUES (%s, %s::jsonb, %s, %s, %s, %s)").format(name),
                    [
                        (
                            row["_id"],
                            to_json({k: v for k, v in row.items() if not k.startswith("_")}),
                            *(row["_owner"], row["_version"], row["_createdAt"], row["_updatedAt"]),
                        )
                        for row in rows
                    ],
                )
        # what a session may set must not change what a rule means
        connection.execute("SET timezone = 'America/New_York'")
        connection.execute("SET datestyle = 'SQL, DMY'")
        yield Judge(connection, documents, teams)
