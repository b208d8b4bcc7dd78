"""Whether the database is up and holds this version's tables, without starting Django.

`python -m baas.embedded.schema` waits until BAAS_DATABASE_URL answers and prints a digest of the
migrations that are applied there (an empty line when there are none). The supervisor compares it
with what it saw after its last migration: equal files and an equal database need none.
"""

import hashlib
import os
import sys
import time
from pathlib import Path

_PATIENCE_S = 60.0
_HOPELESS = ("authentication failed", "does not exist", "could not translate host name")


def digest_of_files(checkout: Path) -> str:
    """A digest of all migration files of the product, names and contents."""
    digest = hashlib.sha256()
    for path in sorted(checkout.glob("*/migrations/*.py")) + sorted(
        checkout.glob("baas/*/migrations/*.py")
    ):
        digest.update(f"{path.relative_to(checkout)}\0".encode())
        digest.update(path.read_bytes())
        digest.update(b"\0")
    return digest.hexdigest()


def _digest_of_database(url: str) -> str:
    import psycopg  # here: the supervisor imports this module too, and needs no driver

    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection = psycopg.connect(url, connect_timeout=5)
            break
        except psycopg.OperationalError as error:
            wrong = any(words in str(error) for words in _HOPELESS)
            if wrong or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    with connection:
        exists = connection.execute("SELECT to_regclass('django_migrations')").fetchone()
        if exists == (None,):
            return ""
        rows = connection.execute(
            "SELECT app, name FROM django_migrations ORDER BY app, name"
        ).fetchall()
    return hashlib.sha256(repr(rows).encode()).hexdigest()


if __name__ == "__main__":
    try:
        print(_digest_of_database(os.environ["BAAS_DATABASE_URL"]))
    except Exception as error:  # noqa: BLE001 (the door of a process: say it in one line)
        sys.exit(f"BAAS_DATABASE_URL cannot be reached: {error}")
