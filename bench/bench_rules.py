"""How long a rule takes: the predicate against `common-expression-language`, and making SQL.

    python bench/bench_rules.py

The peer (pip install common-expression-language, CEL in Rust) is left out where it is not there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from auth.rules import DOCUMENT_ROOTS, compile_rule, document_bindings

try:
    import cel
except ImportError:
    cel = None

AUTH = {
    **{"uid": "u1", "role": "member", "email": None, "provider": "password", "anonymous": False},
    "claims": {"teams": ["red", "green"], "level": 3},
}
DOC = {
    **{"_id": "d1", "_owner": "u1", "_version": 3, "team": "green", "public": False, "n": 12},
    "members": [{"uid": f"m{number}"} for number in range(20)],
    "tags": ["a", "b", "c"],
}
RULES = [
    "doc._owner == auth.uid",
    "doc.team in auth.claims.teams",
    "auth.role == 'hr' || doc.public == true || doc._owner == auth.uid",
    "doc.n >= 10 && size(doc.tags) < 5 && doc.team.startsWith('gr')",
    "doc.members.exists(m, m.uid == auth.uid)",
]


def microseconds(call: Callable[[], object]) -> float:
    """Of one call, the best of five rounds: what the machine's other work adds is no news."""
    rounds = 2000
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(rounds):
            call()
        best = min(best, time.perf_counter() - start)
    return best / rounds * 1e6


def main() -> None:
    bindings = document_bindings("d")
    now = datetime.now(UTC)
    print(f"{'rule':70} {'predicate':>10} {'peer':>9} {'ratio':>7} {'to_sql':>9}")
    for source in RULES:
        rule = compile_rule(source, DOCUMENT_ROOTS)
        own = microseconds(partial(rule.allows, auth=AUTH, doc=DOC))
        sql = microseconds(partial(rule.to_sql, bindings, auth=AUTH, now=now))
        peer = float("nan")
        if cel is not None:
            program, context = cel.compile(source), {"auth": AUTH, "doc": DOC}
            assert program.execute(context) is rule.allows(auth=AUTH, doc=DOC)
            peer = microseconds(partial(program.execute, context))
        print(f"{source:70} {own:8.2f}us {peer:7.2f}us {peer / own:6.1f}x {sql:7.1f}us")
    numbers = count()
    parse = microseconds(
        lambda: compile_rule(f"doc._owner == auth.uid || doc.n == {next(numbers)}", DOCUMENT_ROOTS)
    )
    print(f"compile_rule of a new rule: {parse:.0f}us")


if __name__ == "__main__":
    main()
