"""The small tools around PostgreSQL's transactions: savepoints, locks, configuration within."""

from threading import Event, Thread

import psycopg
import pytest
from django.db import connection, transaction

from baas.kernel import config_cache, db, locks
from baas.kernel.problems import Conflict

pytestmark = pytest.mark.usefixtures("installation")


def count() -> int:
    row = db.fetch_one("SELECT count(*) FROM savepoints", ())
    assert row is not None
    return int(row[0])


def insert_together(*numbers: int) -> None:
    with db.savepoint():
        for n in numbers:
            db.execute("INSERT INTO savepoints VALUES (%s)", (n,))


def test_a_savepoint_undoes_its_block_only() -> None:
    with transaction.atomic():
        db.execute("CREATE TEMPORARY TABLE savepoints (n int UNIQUE) ON COMMIT DROP")
        for n in range(4):  # the statements are prepared when they come again
            db.execute("INSERT INTO savepoints VALUES (%s)", (n,))
            with pytest.raises(psycopg.errors.UniqueViolation):
                insert_together(100 + n, n)
            with db.savepoint():
                db.execute("INSERT INTO savepoints VALUES (%s)", (200 + n,))
                with pytest.raises(psycopg.errors.UniqueViolation):
                    insert_together(300 + n, 200 + n)
        assert count() == 8
        found = db.fetch_all("SELECT n FROM savepoints ORDER BY n", ())
        assert [n for (n,) in found] == [0, 1, 2, 3, 200, 201, 202, 203]


def test_outside_a_transaction_there_is_nothing_to_save() -> None:
    with db.savepoint():
        assert not db.in_transaction()
        assert db.fetch_one("SELECT 1", ()) == (1,)


def busy() -> Conflict:
    return Conflict("somebody else has it", code="busy")


def test_a_lock_is_held_by_one_and_freed_by_its_end() -> None:
    taken, release = Event(), Event()

    def hold() -> None:
        with locks.held(4711, wait_s=5, busy=busy):
            taken.set()
            release.wait(30)
        connection.close()

    holder = Thread(target=hold)
    holder.start()
    assert taken.wait(10)
    with pytest.raises(Conflict), locks.held(4711, wait_s=1, busy=busy):
        raise AssertionError
    release.set()
    with locks.held(4711, wait_s=10, busy=busy):
        pass
    holder.join()


def test_configuration_of_a_transaction_is_kept_within_it_only() -> None:
    loads: list[object] = []

    def load(project_id: int, key: object) -> str:
        loads.append(key)
        return f"{project_id} {key} {len(loads)}"

    cache = config_cache.ConfigCache("of a test", load)
    with config_cache.within_transaction(), transaction.atomic():
        assert cache.get(-1, "a") == cache.get(-1, "a") == "-1 a 1"
        config_cache.changed(-1)
        assert cache.get(-1, "a") == "-1 a 2"
        transaction.set_rollback(True)
    assert cache.get(-1, "a") == "-1 a 3"
