"""Statements without a cursor mean the same as with one."""

import time
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest
from django.db import connection, transaction
from psycopg.types.json import Jsonb

from baas.kernel import db, statements

pytestmark = pytest.mark.django_db(transaction=True)

VALUES = [
    "text with % and ü",
    "",
    None,
    7,
    2**40,
    10**30,
    True,
    1.5,
    Decimal("1.20"),
    b"\x00\xff",
    datetime(2026, 1, 2, 3, 4, 5, 678000, UTC),
    ["a", None, "b"],
    [1, 2],
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_through_a_cursor(value: object) -> None:
    # Three times: as it comes, when it is prepared, and prepared.
    for _ in range(3):
        cursor = psycopg.Cursor(db.raw()).execute("SELECT %s", (value,))
        assert db.fetch_one("SELECT %s", (value,)) == cursor.fetchone()


def test_json_is_passed_and_comes_back_as_text() -> None:
    assert db.fetch_one("SELECT %s", (Jsonb({"a": 1}),)) == ('{"a": 1}',)


def test_names_may_be_used_more_than_once() -> None:
    row = db.fetch_one("SELECT %(a)s::int + %(b)s::int + %(a)s::int", {"a": 2, "b": 3})
    assert row == (7,)


def test_the_wrong_number_of_parameters_is_an_error() -> None:
    with pytest.raises(psycopg.ProgrammingError, match="2 placeholders but 1"):
        db.execute("SELECT %s, %s", (1,))


def test_errors_are_psycopgs_with_what_they_name() -> None:
    for _ in range(3):
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            db.execute("SELECT %s::int", ("x",))
    db.execute("CREATE TEMP TABLE once (n int CONSTRAINT only_one UNIQUE)")
    db.execute("INSERT INTO once VALUES (%s)", (1,))
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        db.execute("INSERT INTO once VALUES (%s)", (1,))
    assert caught.value.diag.constraint_name == "only_one"
    db.execute("DROP TABLE once")


def test_rowcount_is_of_the_write() -> None:
    db.execute("CREATE TEMP TABLE counted (n int)")
    assert db.execute("INSERT INTO counted SELECT generate_series(1, %s)", (5,)).rowcount == 5
    assert db.execute("UPDATE counted SET n = n WHERE n > %s", (3,)).rowcount == 2
    assert len(db.fetch_all("SELECT n FROM counted WHERE n < %s", (3,))) == 2
    db.execute("DROP TABLE counted")


@transaction.atomic
def insert_and_fail(number: int) -> None:
    db.execute("INSERT INTO kept VALUES (%s)", (number,))
    raise ZeroDivisionError


def test_a_transaction_covers_the_statements_and_a_savepoint_takes_them_back() -> None:
    db.execute("CREATE TEMP TABLE kept (n int)")
    with transaction.atomic():
        db.execute("INSERT INTO kept VALUES (%s)", (1,))
        with pytest.raises(ZeroDivisionError):
            insert_and_fail(2)
        db.execute("INSERT INTO kept VALUES (%s)", (3,))
    with pytest.raises(ZeroDivisionError):
        insert_and_fail(4)
    assert db.fetch_all("SELECT n FROM kept ORDER BY n") == [(1,), (3,)]
    db.execute("DROP TABLE kept")


def test_no_more_statements_are_kept_prepared_than_allowed() -> None:
    for number in range(statements.MAX_PREPARED + 20):
        for _ in range(2):
            text = f"SELECT %s::int + {number}".encode()
            assert db.fetch_one(text, (1,)) == (1 + number,)
    row = db.fetch_one("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'baas%%'", ())
    assert row is not None
    assert row[0] <= statements.MAX_PREPARED


def test_a_lost_connection_is_an_operational_error_and_the_next_one_works() -> None:
    row = db.fetch_one("SELECT pg_backend_pid() + %s", (0,))
    assert row is not None
    with psycopg.connect(**_parameters(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (row[0],))
    time.sleep(0.2)
    try:
        with pytest.raises(psycopg.OperationalError) as caught:
            db.fetch_one("SELECT %s", (1,))
        assert db.is_disconnect(caught.value)
    finally:
        connection.close()
    assert db.fetch_one("SELECT %s::int", (1,)) == (1,)


def _parameters() -> dict[str, str]:
    parameters = connection.get_connection_params()
    return {k: parameters[k] for k in ("dbname", "user", "password", "host") if k in parameters}


def test_long_texts_are_run_but_not_kept() -> None:
    text = b"SELECT %s::int /* " + b"x" * statements.MAX_KEPT + b" */"
    kept = statements._positional.cache_info().currsize
    for _ in range(3):
        assert db.fetch_one(text, (7,)) == (7,)
    assert statements._positional.cache_info().currsize == kept
    found = db.fetch_one("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%xxx%'")
    assert found == (0,)
