"""The documents that all contenders serve: number n is the same everywhere."""

from typing import Any, Final

PER_KIND: Final = 100  # documents with the same indexed `kind`, whatever the number of documents
GROUPS: Final = 100  # values of the indexed `part`: a hundredth of the documents each
OWN: Final = 200  # documents of the caller in the collection whose rule is `owner`
OTHERS: Final = 5000  # who own the rest

# Number n of {count}, as expressions that PostgreSQL and SQLite read alike.
TITLE: Final = "'a note about nothing much'"
PART: Final = f"n % {GROUPS}"
RANK: Final = "(n * 7919) % 1000003"


def document(n: int, count: int) -> dict[str, Any]:
    """Number n as a value, for creates."""
    return {
        "title": "a note about nothing much",
        "kind": kind(n, count),
        "part": n % GROUPS,
        "rank": n * 7919 % 1000003,
        "done": False,
        "tags": ["a", "b"],
    }


def kind(n: int, count: int) -> str:
    return f"k{n % (count // PER_KIND)}"


def kind_sql(count: int) -> str:
    return f"'k' || (n % {count // PER_KIND})"


def owner(count: int, uid: str) -> str:
    """An SQL expression: the caller's documents are spread over the whole table."""
    return f"CASE WHEN n % {count // OWN} = 0 THEN '{uid}' ELSE 'user' || (n % {OTHERS}) END"


def picked(request: int, count: int) -> int:
    """Which document a request asks for: all over the table."""
    return request * 7919 % count
