"""SQL expressions of a document's fields: the one place that knows where a field is kept.

Indexes, filters and sorts use these very expressions, which is why declared indexes are found.
"""

from collections.abc import Iterable
from typing import Final

from psycopg import sql

# The columns of the system fields.
SYSTEM: Final[dict[str, str]] = {
    "_id": "_id",
    "_version": "version",
    "_owner": "owner",
    "_createdAt": "created_at",
    "_updatedAt": "updated_at",
}
DOC: Final = sql.Identifier("doc")


def literal(text: str) -> sql.Composable:
    """A text constant inside a statement that also has placeholders: `%` is doubled."""
    quoted = sql.Literal(text).as_string(None)
    return sql.SQL(quoted.replace("%", "%%"))


def path_array(path: tuple[str, ...]) -> sql.Composable:
    """The steps as text[]."""
    return sql.SQL("ARRAY[{}]::text[]").format(sql.SQL(", ").join(map(literal, path)))


def value(path: tuple[str, ...], doc: sql.Composable = DOC) -> sql.Composable:
    """The jsonb at a path of objects; NULL when missing or behind an array."""
    return sql.SQL("({} -> {})").format(doc, sql.SQL(" -> ").join(map(literal, path)))


def column(name: str, alias: str | None = None) -> sql.Composable:
    """A column of the table, or of the rows that a statement names `alias`."""
    return sql.Identifier(name) if alias is None else sql.Identifier(alias, name)


def keys(field: str, alias: str | None = None) -> list[sql.Composable]:
    """The expressions that order a field's values: parenthesised, as an index takes them.

    For a field of the document, only while no array is on its way: see `sort.expressions`.
    """
    if field in SYSTEM:
        found = column(SYSTEM[field], alias)
        if field == "_owner":
            found = sql.SQL("coalesce('3' || {}, '1') COLLATE \"C\"").format(found)
        return [sql.SQL("({})").format(found)]
    return value_keys(value(tuple(field.split(".")), column("doc", alias)))


def value_keys(jsonb: sql.Composable) -> list[sql.Composable]:
    """Text that orders all types, then the number: numbers share their text and compare exactly."""
    return [
        sql.SQL('(documents_sort_text({}) COLLATE "C")').format(jsonb),
        sql.SQL("(documents_sort_number({}))").format(jsonb),
    ]


def rank_keys(jsonb: sql.Composable) -> list[sql.Composable]:
    """As `value_keys`, for a value that may be an array; no index has these."""
    return [
        sql.SQL('(documents_rank_text({}) COLLATE "C")').format(jsonb),
        sql.SQL("(documents_sort_number({}))").format(jsonb),
    ]


def order_key(jsonb: sql.Composable) -> sql.Composable:
    """Text that orders all values, what is missing (NULL) first: see `documents.query.order`."""
    return sql.SQL('(documents_order_text({}) COLLATE "C")').format(jsonb)


def without_arrays(fields: Iterable[str]) -> sql.Composable:
    """True for a row that has no array on the way of any of the (non-system) fields."""
    tests = [without_array(tuple(field.split("."))) for field in fields if field not in SYSTEM]
    return sql.SQL(" AND ").join(tests) if tests else sql.SQL("true")


def without_array(path: tuple[str, ...], doc: sql.Composable = DOC) -> sql.Composable:
    """True where no array is on the way of the path, its end included."""
    return sql.SQL(" AND ").join(
        [
            sql.SQL("jsonb_typeof({}) IS DISTINCT FROM 'array'").format(value(path[: end + 1], doc))
            for end in range(len(path))
        ]
    )


def multikey(path: tuple[str, ...], doc: sql.Composable = DOC) -> sql.Composable:
    """All values that a path reaches, as hashes: what an index of a field with arrays is on
    (`USING gin (…)`). See `documents.query.multikey`."""
    return sql.SQL("documents_keys({}, {})").format(doc, path_array(path))
