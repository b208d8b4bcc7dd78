"""Reads on shared connections: warm ones first, dead ones are noticed, transactions stay whole."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest
from django.db import transaction

from baas.kernel import db, reads

pytestmark = pytest.mark.django_db(transaction=True)

PID = b"SELECT pg_backend_pid() WHERE %(n)s = %(n)s"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    reads.forget()
    yield
    reads.forget()


def pid() -> int:
    row = reads.fetch_one(PID, {"n": 1})
    assert row is not None
    return int(row[0])


def test_threads_one_after_the_other_share_one_connection() -> None:
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as another:
        assert one.submit(pid).result() == another.submit(pid).result() == pid()


def test_threads_at_once_do_not() -> None:
    barrier = Barrier(2)

    def meet() -> list[int]:
        barrier.wait(10)
        rows = reads.fetch_all(b"SELECT pg_backend_pid() FROM pg_sleep(%(s)s)", {"s": 0.3})
        return [row[0] for row in rows]

    with ThreadPoolExecutor(2) as pool:
        first, second = [pool.submit(meet) for _ in range(2)]
        assert first.result() != second.result()


def test_a_connection_that_died_is_replaced() -> None:
    before = pid()
    db.execute("SELECT pg_terminate_backend(%s, 5000)", (before,))
    assert pid() != before


def test_a_refused_statement_keeps_its_connection() -> None:
    before = pid()
    with pytest.raises(psycopg.errors.DivisionByZero):
        reads.fetch_one(b"SELECT 1 / %(n)s::int", {"n": 0})
    assert pid() == before


def test_in_a_transaction_it_sees_what_that_wrote() -> None:
    with transaction.atomic():
        db.execute("CREATE TEMPORARY TABLE seen (n int) ON COMMIT DROP")
        db.execute("INSERT INTO seen VALUES (1)")
        assert reads.fetch_one(b"SELECT count(*) FROM seen WHERE n = %(n)s", {"n": 1}) == (1,)


def test_it_has_the_time_limit_of_the_other_connections() -> None:
    shown = b"SELECT current_setting('statement_timeout'), current_setting('timezone')"
    shared = reads.fetch_one(shown + b" WHERE %(n)s = 1", {"n": 1})
    assert shared == db.fetch_one(shown + b" WHERE %(n)s = 1", {"n": 1})
