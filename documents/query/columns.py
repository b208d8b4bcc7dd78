"""SQL expressions of a document's fields: the one place that knows where a field is kept.

Indexes, filters and sorts use these very expressions, which is why declared indexes are found.
"""

from collections.abc import Iterable
from typing import Final, LiteralString

from psycopg import sql

SYSTEM: Final[dict[str, LiteralString]] = {
    "_id": "_id",
    "_version": "version",
    "_owner": "coalesce('3' || owner, '1') COLLATE \"C\"",
    "_createdAt": "created_at",
    "_updatedAt": "updated_at",
}


def literal(text: str) -> sql.Composable:
    """A text constant inside a statement that also has placeholders: `%` is doubled."""
    quoted = sql.Literal(text).as_string(None)
    return sql.SQL(quoted.replace("%", "%%"))


def path_array(path: tuple[str, ...]) -> sql.Composable:
    """The steps as text[]."""
    return sql.SQL("ARRAY[{}]::text[]").format(sql.SQL(", ").join(map(literal, path)))


def value(path: tuple[str, ...]) -> sql.Composable:
    """The jsonb at a path of objects; NULL when missing or behind an array."""
    return sql.SQL("(doc -> {})").format(sql.SQL(" -> ").join(map(literal, path)))


def keys(field: str) -> list[sql.Composable]:
    """The expressions that order a field's values: parenthesised, as an index takes them.

    For a field of the document, only while no array is on its way: see `sort.expressions`.
    """
    if field in SYSTEM:
        return [sql.SQL("({})").format(sql.SQL(SYSTEM[field]))]
    return value_keys(value(tuple(field.split("."))))


def value_keys(jsonb: sql.Composable) -> list[sql.Composable]:
    """Text that orders all types, then the number: numbers share their text and compare exactly."""
    return [
        sql.SQL('(documents_sort_text({}) COLLATE "C")').format(jsonb),
        sql.SQL("(documents_sort_number({}))").format(jsonb),
    ]


def without_arrays(fields: Iterable[str]) -> sql.Composable:
    """True for a row that has no array on the way of any of the (non-system) fields."""
    tests = [
        sql.SQL("jsonb_typeof({}) IS DISTINCT FROM 'array'").format(value(path[: end + 1]))
        for path in (tuple(field.split(".")) for field in fields if field not in SYSTEM)
        for end in range(len(path))
    ]
    return sql.SQL(" AND ").join(tests) if tests else sql.SQL("true")
