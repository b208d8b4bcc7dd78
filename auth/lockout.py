"""Too many failed sign-ins for one account from one address: wait.

Counted in PostgreSQL (a sign-in costs an Argon2 hash anyway, and a FLUSHALL must not open the
door), for unknown accounts as well, so that the answer says nothing about who has one.
"""

import hashlib
from typing import Final

from baas.kernel import db
from baas.kernel.problems import TooMany

MAX_FAILURES: Final = 10
WINDOW_S: Final = 600

_WAIT: Final = (
    "SELECT ceil(extract(epoch FROM began_at - now()) + %s)::int FROM baas_auth_failedsignin"
    " WHERE scope = %s AND failures >= %s AND began_at > now() - make_interval(secs => %s)"
)
_COUNT: Final = (
    "INSERT INTO baas_auth_failedsignin AS f (scope, failures, began_at)"
    " VALUES (%(scope)s, 1, now())"
    " ON CONFLICT (scope) DO UPDATE SET"
    " failures = CASE WHEN f.began_at > now() - make_interval(secs => %(window_s)s)"
    "  THEN f.failures + 1 ELSE 1 END,"
    " began_at = CASE WHEN f.began_at > now() - make_interval(secs => %(window_s)s)"
    "  THEN f.began_at ELSE now() END"
)


def scope(project_id: int, account: str, ip: str) -> bytes:
    """The name under which failures are counted."""
    return hashlib.blake2b(f"{project_id}\0{account}\0{ip}".encode(), digest_size=32).digest()


def check(name: bytes) -> None:
    """Raises TooMany `too_many_attempts` after MAX_FAILURES failures within WINDOW_S seconds."""
    row = db.fetch_one(_WAIT, (WINDOW_S, name, MAX_FAILURES, WINDOW_S))
    if row is not None:
        raise TooMany(
            "Too many failed sign-ins for this account: wait before the next one.",
            code="too_many_attempts",
            retry_after_s=max(1, row[0]),
        )


def count_failure(name: bytes) -> None:
    """Remember one more failure. Must not be in a transaction that will be rolled back."""
    db.execute(_COUNT, {"scope": name, "window_s": WINDOW_S})


def forget(name: bytes) -> None:
    """Begin anew, after a successful sign-in."""
    db.execute("DELETE FROM baas_auth_failedsignin WHERE scope = %s", (name,))


def sweep() -> int:
    """Drop counters whose window is over; returns how many."""
    return db.execute(
        "DELETE FROM baas_auth_failedsignin WHERE began_at <= now() - make_interval(secs => %s)",
        (WINDOW_S,),
    ).rowcount
